"""Means, sample standard deviations, and estimates with their law: Student's for a few seeds, BCa's from ten on.

A comparison is a contrast: a sum of means of cells with coefficients, as 1 and −1 for a difference. Values in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special

RESAMPLED = 10  # seeds from which on intervals are bootstrapped: of three values, a bootstrap covers far too little
DRAWS = 9_999


@dataclass(frozen=True)
class Summary:
    """`n` values with their mean and sample standard deviation (ddof 1); `std` is None below two values."""

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Spread:
    """How an error falls with the seeds: `variances` of the terms with one seed a cell, coefficients included."""

    variances: tuple[float, ...]

    def error(self, n: float) -> float:
        """Standard error with n seeds a cell."""
        return math.sqrt(sum(self.variances) / n)

    def df(self, n: float) -> float:
        """Degrees of freedom with n seeds a cell (Welch and Satterthwaite)."""
        return (n - 1) * sum(self.variances) ** 2 / sum(v**2 for v in self.variances)


@dataclass(frozen=True)
class Estimated:
    """The value of a contrast, its degrees of freedom, the `scale` that makes an effect size of it, and its spread."""

    value: float
    df: float
    scale: float
    spread: Spread

    @property
    def g(self) -> float:
        """Hedges' effect size: the value in pooled standard deviations, less its bias at small n."""
        return self.value * self.scale


@dataclass(frozen=True)
class Student(Estimated):
    """An estimate with its standard error and Student's law."""

    error: float

    def shifted(self, by: float) -> Student:
        """The estimate of a value that lies `by` higher."""
        return replace(self, value=self.value + by)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        half = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.value - half, self.value + half

    def above(self, bound: float) -> float:
        """One-sided p against the true value being `bound` or less."""
        return float(special.stdtr(self.df, (bound - self.value) / self.error))

    def below(self, bound: float) -> float:
        """One-sided p against the true value being `bound` or more."""
        return float(special.stdtr(self.df, (self.value - bound) / self.error))


@dataclass(frozen=True)
class Bootstrap(Estimated):
    """An estimate with its bias-corrected and accelerated bootstrap (Efron 1987); `draws` are sorted."""

    draws: np.ndarray
    acceleration: float

    def shifted(self, by: float) -> Bootstrap:
        """The estimate of a value that lies `by` higher."""
        return replace(self, value=self.value + by, draws=self.draws + by)

    @cached_property
    def bias(self) -> float:
        """z0: the normal quantile of the share of draws below the estimate, ties by half."""
        return float(special.ndtri(self._share(self.value)))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        z = self.bias + special.ndtri([(1 - level) / 2, (1 + level) / 2])
        low, high = np.quantile(self.draws, special.ndtr(self.bias + z / (1 - self.acceleration * z)))
        return float(low), float(high)

    def above(self, bound: float) -> float:
        """One-sided p against the true value being `bound` or less: the level whose interval begins there."""
        z = float(special.ndtri(self._share(bound))) - self.bias
        return float(special.ndtr(z / (1 + self.acceleration * z) - self.bias))

    def below(self, bound: float) -> float:
        """One-sided p against the true value being `bound` or more."""
        return 1 - self.above(bound)

    def _share(self, value: float) -> float:
        """The share of draws below `value`; never 0 or 1, which so few draws cannot tell."""
        count = (np.searchsorted(self.draws, value, "left") + np.searchsorted(self.draws, value, "right")) / 2
        return min(max(float(count), 0.5), len(self.draws) - 0.5) / len(self.draws)


Estimate = Student | Bootstrap


def summarise(values: Sequence[float]) -> Summary:
    """Mean and sample standard deviation of at least one value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1 or np.ptp(array) <= 1e-12 * np.abs(array).max():  # no rounding may pass for a spread
        return Summary(array.size, float(array[0]), None if array.size == 1 else 0.0)
    return Summary(array.size, float(array.mean()), float(array.std(ddof=1)))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of at least two values."""
    return contrast([1.0], [summarise(values)], standing=True).interval(level)


def contrast(coefficients: Sequence[float], cells: Sequence[Summary], *, standing: bool = False) -> Student:
    """Welch's estimate of the sum of coefficient times mean over independent cells.

    Raises ValueError where a cell has fewer than two values, or where none of them has a spread (unless
    `standing`).
    """
    stds = [cell.std for cell in cells if cell.std is not None]
    if len(stds) < len(cells):
        raise ValueError("a comparison needs two values in every cell")
    if not any(stds) and not standing:
        raise ValueError("the standard deviation is 0 throughout")
    value = sum(c * cell.mean for c, cell in zip(coefficients, cells, strict=True))
    single = [(c * std) ** 2 for c, std in zip(coefficients, stds, strict=True)]
    parts = [v / cell.n for v, cell in zip(single, cells, strict=True)]
    df = sum(parts) ** 2 / sum(p**2 / (cell.n - 1) for p, cell in zip(parts, cells, strict=True)) if any(parts) \
        else sum(cell.n - 1 for cell in cells)
    return Student(value, df, _scale(cells, stds), Spread(tuple(single)), math.sqrt(sum(parts)))


def _scale(cells: Sequence[Summary], stds: Sequence[float]) -> float:
    df = sum(cell.n - 1 for cell in cells)
    pooled = math.sqrt(sum((cell.n - 1) * std**2 for cell, std in zip(cells, stds, strict=True)) / df)
    return (1 - 3 / (4 * df - 1)) / pooled if pooled else math.nan


def resampled(coefficients: Sequence[float], samples: Sequence[Sequence[float]]) -> Bootstrap:
    """The contrast of independent samples, bootstrapped. Raises ValueError as `contrast` does."""
    student = contrast(coefficients, [summarise(sample) for sample in samples])
    generator = np.random.default_rng(0)  # the same values give the same interval
    draws = np.zeros(DRAWS)
    influence: list[np.ndarray] = []
    for c, sample in zip(coefficients, samples, strict=True):
        array = np.asarray(sample, dtype=np.float64)
        draws += c * array[generator.integers(array.size, size=(DRAWS, array.size))].mean(axis=1)
        influence.append(c * (array - array.mean()) / array.size)
    u = np.concatenate(influence)
    acceleration = float((u**3).sum() / (6 * (u**2).sum() ** 1.5))
    return Bootstrap(student.value, student.df, student.scale, student.spread, np.sort(draws), acceleration)


def estimate(coefficients: Sequence[float], samples: Sequence[Sequence[float]]) -> Estimate:
    """The contrast of independent samples, by Student's law below RESAMPLED values in any of them."""
    if min(map(len, samples)) < RESAMPLED:
        return contrast(coefficients, [summarise(sample) for sample in samples])
    return resampled(coefficients, samples)
