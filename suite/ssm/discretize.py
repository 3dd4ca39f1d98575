"""Dense systems in discrete time, by `bilinear` or `zoh`, and their basis kernels (paper section 2). NumPy, float64.

The rules for a diagonal A are in `suite.ssm.s4d` (plain) and `suite.ssm.modes` (as the layers use them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Array = NDArray[np.float64]


def dense(a: Array, b: Array, dt: float, rule: str) -> tuple[Array, Array]:
    """Discrete (A, B) of one dense system: `a` (N, N), `b` (N,). Raises KeyError for an unknown rule."""
    n = len(b)
    if rule == "bilinear":
        left = np.eye(n) - dt * a / 2
        both = np.linalg.solve(left, np.column_stack([np.eye(n) + dt * a / 2, dt * b]))
    elif rule == "zoh":  # one exponential of [[A, B], [0, 0]] gives both, even if A is singular
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
