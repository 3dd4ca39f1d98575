"""The variance of a seed, pooled over the cells of a column, and the guard that asks whether it may be pooled.

Unpaired: the mean of the cells' variances, weighted by their degrees of freedom. By seed: the residual variance of the
two-way fit row + seed, as all rows of a seed see the same batches. With cells missing, the fit is least squares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

GUARD = 0.10  # level at which equal variances are rejected
DRAWS = 4_999
Layout = tuple[tuple[bool, ...], ...]  # by row and seed: whether there is a value


@dataclass(frozen=True, eq=False)
class Variance:
    """A variance with its degrees of freedom."""

    value: float
    df: float


def pooled(variances: Sequence[Variance]) -> Variance:
    """The common variance of cells, at least one."""
    df = sum(one.df for one in variances)
    return Variance(sum(one.value * one.df for one in variances) / df, df)


def alike(variances: Sequence[Variance]) -> bool:
    """Whether the cells may have one variance: Bartlett's statistic below the 90 % point of its law.

    A variance of zero says no.
    """
    if len(variances) < 2:
        return True
    if any(one.value <= 0 for one in variances):
        return False
    values, dfs = np.array([one.value for one in variances]), tuple(round(one.df) for one in variances)
    return bool(_bartlett(values, np.array(dfs)) <= _law(tuple(sorted(dfs))) + 1e-9)


def in_blocks(rows: Mapping[str, Mapping[int, float]]) -> Variance | None:
    """The residual variance of row + seed over values by row and seed; None if no degree of freedom is left."""
    layout, values = _laid_out(rows)
    made = _maker(layout)
    if made is None:
        return None
    residuals = made.matrix @ (values - values.mean())
    total = float((residuals**2).sum())
    floor = (1e-12 * max(np.abs(values).max(), 1e-300)) ** 2 * values.size  # no rounding may pass for a spread
    return Variance(total / made.df if total > floor else 0.0, made.df)


def alike_in_blocks(rows: Mapping[str, Mapping[int, float]]) -> bool:
    """Whether the rows may have one variance around row + seed: Bartlett's statistic of the residuals, as `alike`."""
    layout, values = _laid_out(rows)
    made = _maker(layout)
    if made is None:
        return True
    squares = _row_squares(made, (made.matrix @ (values - values.mean()))[None])[0]
    if (squares <= 1e-20 * max(float((values**2).max()), 1e-300)).any():
        return False
    return bool(_bartlett(squares / made.dfs, made.dfs) <= _law_in_blocks(made) + 1e-9)


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes residuals of values in one layout: `row` of each value, and n − 1 of each row as `dfs`."""

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
def _maker(layout: Layout) -> _Maker | None:
    there = np.argwhere(np.array(layout))
    if len(there) < 4:
        return None
    row, seed = there[:, 0], there[:, 1]
    of_row, of_seed = row[:, None] == np.arange(len(layout)), seed[:, None] == np.arange(len(layout[0]))
    design = np.hstack([of_row, of_seed]).astype(float)
    matrix = np.eye(len(there)) - design @ np.linalg.pinv(design)
    df = len(there) - int(np.linalg.matrix_rank(design))
    counts = np.bincount(row, minlength=len(layout))
    return _Maker(matrix, df, row, np.maximum(counts - 1, 1)) if df else None


def _row_squares(made: _Maker, residuals: np.ndarray) -> np.ndarray:
    """Sums of squared residuals by row, for draws of them."""
    return np.asarray((residuals**2) @ (made.row[:, None] == np.arange(len(made.dfs))))


def _bartlett(values: np.ndarray, dfs: np.ndarray) -> np.ndarray:
    """Bartlett's statistic without its constant factor, over the last axis."""
    pool = (values * dfs).sum(-1) / dfs.sum()
    return np.asarray(dfs.sum() * np.log(pool) - (dfs * np.log(values)).sum(-1))


@lru_cache(maxsize=512)
def _law(dfs: tuple[int, ...]) -> float:
    free = np.array(dfs)
    draws = np.random.default_rng(0).chisquare(free, size=(DRAWS, len(dfs))) / free
    return float(np.quantile(_bartlett(draws, free), 1 - GUARD))


@lru_cache(maxsize=512)
def _law_in_blocks(made: _Maker) -> float:
    draws = np.random.default_rng(0).normal(size=(DRAWS, len(made.row))) @ made.matrix
    return float(np.quantile(_bartlett(_row_squares(made, draws) / made.dfs, made.dfs), 1 - GUARD))
