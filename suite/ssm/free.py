"""A free kernel, whose values are the parameters (Long Convs, 2302.06646): a control without state."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from suite.errors import UserError
from suite.ssm.base import KernelLayer


class FreeKernel(KernelLayer):
    """A convolution with trained kernels (Ch, H, L). Input and output: (batch, length, features).

        layer = FreeKernel(features=64, length=1024)

    Every value is shrunk towards 0 by λ = `free_squash`, sign(k) max(|k| - λ, 0), and dropped with probability
    `free_dropout` in training. A value with |k| <= λ has gradient 0 and stays 0, see `alive`. The parameter is `k`
    (Ch, H, L), or (Ch, H, K) with `kernel_length` K, without weight decay. Only rate 1 is supported, and no step mode.
    Arguments and errors: see `KernelLayer`.
    """

    defaults: ClassVar[dict[str, Any]] = {"kernel": "free"}
    parameter_groups: ClassVar = KernelLayer.parameter_groups | {"k": "ssm"}
    k: Tensor

    @property
    def needs_length(self) -> bool:
        """True: the kernel has L values."""
        return True

    def _depends(self) -> str:
        return "the number of values of the kernel"

    def _add_parameters(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        L, H = self.length_at(), self.features
        shape = (2 if self.bidirectional else 1, H, self._taps(L, 1.0))
        if self.config.free_init == "random":
            scale = np.full((H, 1), 0.002)
        else:
            decay = (H / 2) ** (np.arange(H)[:, None] / H)
            scale = 0.02 * np.exp(-np.arange(shape[2]) / L * decay)
        self._add("k", rng.standard_normal(shape) * scale, True, dtype)

    @property
    def alive(self) -> float:
        """The fraction of the kernel's values that are not 0, and so are still trained."""
        return float((self.k.detach().abs() > self.config.free_squash).double().mean())

    def _kernel(self, taps: int, L: int, rate: float) -> Tensor:
        if rate != 1:
            raise UserError(f"a free kernel at rate {rate:g}", "rate",
                            "its values are for the rate of the training data; use rate 1")
        k = self.k[..., :taps]
        if self.config.free_squash:
            k = F.softshrink(k, self.config.free_squash)
        return F.dropout(k, self.config.free_dropout, self.training) if self.config.free_dropout else k

    def recurrence(self, rate: float = 1.0) -> NoReturn:
        """Raises UserError: a free kernel has no state."""
        raise UserError("a free kernel has no step mode, since it has no state", "ssm.kernel", "use vandermonde")

    def extra_repr(self) -> str:
        """What `print(layer)` shows, with the fraction of values that are not 0."""
        return f"{super().extra_repr()}, alive={self.alive:.2f}"
