"""The variance of a seed, pooled over the cells of a column, and Bartlett's test of whether it may be pooled.

Unpaired: the mean of the cells' variances, weighted by their degrees of freedom. By seed: the residual variance of the
two-way fit row + seed, because all rows of a seed see the same batches. Missing cells are allowed (least squares).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

GUARD = 0.10  # level at which equal variances are rejected
DRAWS = 4_999
Layout = tuple[tuple[bool, ...], ...]  # by row and seed: True if there is a value


@dataclass(frozen=True, eq=False)
class Variance:
    """A variance with its degrees of freedom."""

    value: float
    df: float


def pooled(variances: Sequence[Variance]) -> Variance:
    """The pooled variance of at least one cell."""
    df = sum(one.df for one in variances)
    return Variance(sum(one.value * one.df for one in variances) / df, df)


def alike(variances: Sequence[Variance]) -> bool:
    """Whether the cells may share one variance: Bartlett's statistic is below the 90 % quantile of its distribution.

    Returns False if a variance is zero.
    """
    if len(variances) < 2:
        return True
    if any(one.value <= 0 for one in variances):
        return False
    values, dfs = np.array([one.value for one in variances]), tuple(round(one.df) for one in variances)
    return bool(_bartlett(values, np.array(dfs)) <= _critical(tuple(sorted(dfs))) + 1e-9)


def in_blocks(rows: Mapping[str, Mapping[int, float]]) -> Variance | None:
    """The residual variance of the fit row + seed to values by row and seed; None if no degrees of freedom are left."""
    layout, values = _laid_out(rows)
    made = _residual_maker(layout)
    if made is None:
        return None
    residuals = made.matrix @ (values - values.mean())
    total = float((residuals**2).sum())
    floor = (1e-12 * max(np.abs(values).max(), 1e-300)) ** 2 * values.size  # rounding errors are not a spread
    return Variance(total / made.df if total > floor else 0.0, made.df)


def alike_in_blocks(rows: Mapping[str, Mapping[int, float]]) -> bool:
    """Whether the rows may share one variance around the fit row + seed: Bartlett's statistic of the residuals."""
    layout, values = _laid_out(rows)
    made = _residual_maker(layout)
    if made is None:
        return True
    squares = _row_squares(made, (made.matrix @ (values - values.mean()))[None])[0]
    if (squares <= 1e-20 * max(float((values**2).max()), 1e-300)).any():
        return False
    return bool(_bartlett(squares / made.dfs, made.dfs) <= _critical_in_blocks(made) + 1e-9)


@dataclass(frozen=True, eq=False)
class _ResidualMaker:
    """Computes residuals for one layout: `row` is the row of each value, `dfs` is n − 1 for each row."""

    matrix: np.ndarray
    df: int
    row: np.ndarray
    dfs: np.ndarray


def _laid_out(rows: Mapping[str, Mapping[int, float]]) -> tuple[Layout, np.ndarray]:
    seeds = sorted({seed for values in rows.values() for seed in values})
    kept = [values for values in rows.values() if values]
    layout = tuple(tuple(seed in values for seed in seeds) for values in kept)
    return layout, np.array([values[seed] for values in kept for seed in seeds if seed in values])


@lru_cache(maxsize=512)
def _residual_maker(layout: Layout) -> _ResidualMaker | None:
    places = np.argwhere(np.array(layout))
    if len(places) < 4:
        return None
    row, seed = places[:, 0], places[:, 1]
    of_row, of_seed = row[:, None] == np.arange(len(layout)), seed[:, None] == np.arange(len(layout[0]))
    design = np.hstack([of_row, of_seed]).astype(float)
    matrix = np.eye(len(places)) - design @ np.linalg.pinv(design)
    df = len(places) - int(np.linalg.matrix_rank(design))
    counts = np.bincount(row, minlength=len(layout))
    return _ResidualMaker(matrix, df, row, np.maximum(counts - 1, 1)) if df else None


def _row_squares(made: _ResidualMaker, residuals: np.ndarray) -> np.ndarray:
    """Sums of squared residuals by row, for each draw: (draws, values) to (draws, rows)."""
    return np.asarray((residuals**2) @ (made.row[:, None] == np.arange(len(made.dfs))))


def _bartlett(values: np.ndarray, dfs: np.ndarray) -> np.ndarray:
    """Bartlett's statistic without its constant factor, over the last axis."""
    pool = (values * dfs).sum(-1) / dfs.sum()
    return np.asarray(dfs.sum() * np.log(pool) - (dfs * np.log(values)).sum(-1))


@lru_cache(maxsize=512)
def _critical(dfs: tuple[int, ...]) -> float:
    free = np.array(dfs)
    draws = np.random.default_rng(0).chisquare(free, size=(DRAWS, len(dfs))) / free
    return float(np.quantile(_bartlett(draws, free), 1 - GUARD))


@lru_cache(maxsize=512)
def _critical_in_blocks(made: _ResidualMaker) -> float:
    draws = np.random.default_rng(0).normal(size=(DRAWS, len(made.row))) @ made.matrix
    return float(np.quantile(_bartlett(_row_squares(made, draws) / made.dfs, made.dfs), 1 - GUARD))
