"""From continuous to discrete time: bilinear and zero-order hold (paper section 2.1). NumPy, float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


def bilinear(a: Complex, b: Complex, dt: Array | float) -> tuple[Complex, Complex]:
    """Discrete (a, b) of diagonal systems, elementwise; `dt` broadcasts against both."""
    half = dt * a / 2
    return np.asarray((1 + half) / (1 - half)), np.asarray(dt * b / (1 - half))


def zoh(a: Complex, b: Complex, dt: Array | float) -> tuple[Complex, Complex]:
    """Discrete (a, b) of diagonal systems, elementwise; an `a` of 0 gets the limit dt * b."""
    step = np.asarray(dt * a)
    safe = np.where(step == 0, 1.0, step)
    return np.exp(step), np.asarray(dt * b * np.where(step == 0, 1.0, np.expm1(safe) / safe))


Rule = Callable[[Complex, Complex, Array | float], tuple[Complex, Complex]]
RULES: dict[str, Rule] = {"bilinear": bilinear, "zoh": zoh}


def dense(a: Array, b: Array, dt: float, rule: str) -> tuple[Array, Array]:
    """Discrete (A, B) of one dense system: `a` (N, N), `b` (N,). Raises KeyError for an unknown rule."""
    n = len(b)
    if rule == "bilinear":
        left = np.eye(n) - dt * a / 2
        both = np.linalg.solve(left, np.column_stack([np.eye(n) + dt * a / 2, dt * b]))
    elif rule == "zoh":  # one exponential of [[A, B], [0, 0]] gives both, also where A is singular
        both = linalg.expm(dt * np.block([[a, b[:, None]], [np.zeros((1, n + 1))]]))[:n]
    else:
        raise KeyError(rule)
    return np.asarray(both[:, :n]), np.asarray(both[:, n])


def basis(a: Array, b: Array, dt: float, steps: int, rule: str, keep: int | None = None) -> Array:
    """The basis kernels K_n(t) = e_n^T exp(tA) B at t = 0, dt, 2 dt, …, in time units (paper figures 2, 4 and 5).

    `a` (N, N), `b` (N,). Returns (steps, keep), the first `keep` of N. Computed as the discrete kernel over dt.
    """
    step, x = dense(a, b, dt, rule)
    keep = len(b) if keep is None else keep
    rows = np.empty((steps, keep))
    for t in range(steps):
        rows[t] = x[:keep] / dt
        x = step @ x
    return rows
