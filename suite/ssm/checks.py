"""Checks of a layer's arguments, and the random generator of its seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from suite.errors import UserError

DTYPES = (torch.float32, torch.float64)


def generator(seed: int | Sequence[int] | None, rng: np.random.Generator | None) -> np.random.Generator:
    """`rng`, or a NumPy generator of `seed`, or of a seed drawn from torch. Raises UserError if both are given."""
    if rng is not None:
        if seed is not None:
            raise UserError("both seed and rng are given", "seed", "give only one of them")
        return rng
    return np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")) if seed is None else seed)


def check_rate(rate: float) -> None:
    """Raises UserError for a rate that is not positive."""
    if not 0 < rate < float("inf"):
        raise UserError(f"the rate is {rate}", "rate", "give a positive number, e.g. 2 for every second sample")


def check_dtype(dtype: torch.dtype) -> None:
    """Raises UserError unless the dtype is float32 or float64."""
    if dtype not in DTYPES:
        raise UserError(f"parameters in {dtype}, which is too inaccurate for the phases of a kernel", "dtype",
                        "use float32 or float64, and torch.autocast around the rest of a model")
