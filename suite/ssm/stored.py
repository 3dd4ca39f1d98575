"""Complex numbers as stored by a layer: real arrays whose last axis has two parts, or one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def pairs(z: np.ndarray) -> np.ndarray:
    """Complex z (…) as real (…, 2)."""
    return np.stack([z.real, z.imag], axis=-1)


def complex_of(x: Tensor) -> Tensor:
    """Stored (…, 2) or (…, 1) real values as complex128."""
    x = x.double()
    return torch.view_as_complex(x) if x.shape[-1] == 2 else torch.complex(x[..., 0], torch.zeros_like(x[..., 0]))
