"""The size of a kernel at init: sqrt(E ||K||²) over the random C, in closed form. NumPy, float64, no torch.

Some initializations after S4D make outputs a hundred times as large, which by itself can decide an experiment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import init

Complex = NDArray[np.complex128]
KNOWN = {"structure": "diagonal", "kernel": "vandermonde", "discretization": "zoh"}


def kernel_size(config: SSM, length: int, features: int = 64, seed: int = 0) -> float:
    """sqrt(E ||K||²) of the first `length` values, with E ||K||² averaged over `features` (paper section 4 for C).

    For complex Gaussian C, E ||K||² = 2 E|C|² sum over n of |B_bar_n|² (1 - |A_bar_n|^2L)/(1 - |A_bar_n|²). For
    diagonal A with ZOH. Raises UserError, with the field's name, for other settings.
    """
    config = config.resolved()
    _check(config)
    rng = np.random.default_rng(seed)
    found = init.initialize(config, rng)
    dt = np.exp(init.log_dt(config, features, rng, length))[:, None]
    repeats = (features // config.copies, 1)
    A, B = np.tile(np.minimum(found.A.real, -config.re_clamp) + 1j * found.A.imag, repeats), np.tile(found.B, repeats)
    s = dt * A if config.dt_scope == "both" else dt * A.real + 1j * A.imag
    decay = 2 * s.real
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.where(decay == 0, length, np.expm1(decay * length) / np.expm1(decay))
    each = (np.abs(B * _gain(config.gain, s, dt, config.dt_scope)) ** 2 * steps).sum(1)
    return float(np.sqrt(2 * config.c_variance * each.mean() * (1 if found.paired else 0.5)))


def _check(config: SSM) -> None:
    """Raises UserError for the first field that the closed form does not cover."""
    wrong = [(field, value) for field, value in KNOWN.items() if getattr(config, field) != value]
    if not wrong:
        return
    field, value = wrong[0]
    given = getattr(config, field)
    if given == "mimo":
        raise UserError("mimo has one state for all features, so there is no kernel of each feature to measure",
                        "ssm.structure", "leave it out: the size is for diagonal layers")
    raise UserError(f"there is no closed form of the kernel size with {field}: {given}", f"ssm.{field}",
                    f"use {value}")


def _gain(gain: str, s: Complex, dt: NDArray[np.float64], scope: str) -> Complex:
    if gain == "gamma":
        return np.asarray(np.sqrt(-np.expm1(2 * s.real)), dtype=np.complex128)
    if gain != "rule":
        return np.asarray(dt if gain == "dt" else np.ones_like(dt), dtype=np.complex128)
    safe = np.where(s == 0, 1, s)
    return np.asarray(np.where(s == 0, 1, np.expm1(safe) / safe) * (dt if scope == "both" else 1), dtype=np.complex128)
