"""Checks of a layer's arguments, and the random generator of its seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from suite.errors import UserError

DTYPES = (torch.float32, torch.float64)


def generator(seed: int | Sequence[int] | None, rng: np.random.Generator | None) -> np.random.Generator:
    """`rng`, or NumPy's generator of `seed`, or one whose seed is drawn from torch's. Raises UserError for both."""
    if rng is not None:
        if seed is not None:
            raise UserError("both seed and rng", "seed", "give the one or the other")
        return rng
    return np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")) if seed is None else seed)


def check_rate(rate: float) -> None:
    """Raises UserError for a rate that is not positive."""
    if not 0 < rate < float("inf"):
        raise UserError(f"a rate of {rate}", "rate", "give 2 for every second sample")


def check_dtype(dtype: torch.dtype) -> None:
    """Raises UserError for another dtype than float32 or float64."""
    if dtype not in DTYPES:
        raise UserError(f"parameters in {dtype}, in which the phases of a kernel are lost", "dtype",
                        "use float32 or float64, and torch.autocast around the rest of a model")
