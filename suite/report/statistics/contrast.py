"""Means, sample standard deviations, and contrasts (sums of coefficient × mean), tested with Student's t.

The difference of two rows is the contrast with coefficients 1 and −1. All values are float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from suite.report.statistics.variance import Variance

WELCH, PAIRED = "Welch's t", "paired t"


@dataclass(frozen=True)
class Summary:
    """`n` values with their mean and sample standard deviation (ddof 1); `std` is None below two values."""

    n: int
    mean: float
    std: float | None

    @property
    def variance(self) -> Variance | None:
        """The variance of this cell alone; None below two values."""
        return None if self.std is None else Variance(self.std**2, self.n - 1)


@dataclass(frozen=True)
class Term:
    """A cell in a contrast: its coefficient, its mean over `n` seeds, and the variance of a seed.

    Terms of one pool share one Variance object, and its degrees of freedom count once.
    """

    coefficient: float
    mean: float
    n: int
    variance: Variance


@dataclass(frozen=True)
class Estimate:
    """The value of a contrast with its standard error and degrees of freedom.

    `test` is the name of the test, `paired` says whether it compares seed by seed, and `deviation` is the pooled
    standard deviation of a seed.
    """

    value: float
    error: float
    df: float
    deviation: float
    test: str = WELCH
    paired: bool = False

    @property
    def g(self) -> float:
        """Hedges' g: the value in pooled standard deviations, corrected for its bias at small df."""
        return self.value * (1 - 3 / (4 * self.df - 1)) / self.deviation if self.deviation else math.nan

    def shifted(self, by: float) -> Estimate:
        """The same estimate with `by` added to its value."""
        return replace(self, value=self.value + by)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        half = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.value - half, self.value + half

    def above(self, bound: float) -> float:
        """One-sided p for the true value being above `bound` (the null hypothesis: at most `bound`)."""
        return float(special.stdtr(self.df, (bound - self.value) / self.error))

    def below(self, bound: float) -> float:
        """One-sided p for the true value being below `bound` (the null hypothesis: at least `bound`)."""
        return float(special.stdtr(self.df, (self.value - bound) / self.error))


def summarise(values: Sequence[float]) -> Summary:
    """Mean and sample standard deviation of at least one value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1 or np.ptp(array) <= 1e-12 * np.abs(array).max():  # only rounding errors
        return Summary(array.size, float(array[0]), None if array.size == 1 else 0.0)
    return Summary(array.size, float(array.mean()), float(array.std(ddof=1)))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of at least two values. Raises ValueError for fewer."""
    one = summarise(values)
    if one.std is None:
        raise ValueError("an interval needs two values")
    half = float(special.stdtrit(one.n - 1, (1 + level) / 2)) * one.std / math.sqrt(one.n)
    return one.mean - half, one.mean + half


def combined(terms: Sequence[Term], test: str = WELCH, paired: bool = False) -> Estimate:
    """The contrast of independent terms, with Satterthwaite's degrees of freedom if there are several variances.

    Raises ValueError if all variances are 0.
    """
    value = sum(term.coefficient * term.mean for term in terms)
    parts: dict[int, tuple[Variance, float]] = {}
    for term in terms:
        variance = term.variance
        before = parts.get(id(variance), (variance, 0.0))[1]
        parts[id(variance)] = variance, before + variance.value * term.coefficient**2 / term.n
    total = sum(part for _, part in parts.values())
    if total <= 0:
        raise ValueError("the standard deviation is 0 throughout")
    df = total**2 / sum(part**2 / variance.df for variance, part in parts.values() if part)
    spread = [variance for variance, part in parts.values() if part]
    deviation = math.sqrt(sum(v.value * v.df for v in spread) / sum(v.df for v in spread))
    return Estimate(value, math.sqrt(total), df, deviation, test, paired)


def contrast(coefficients: Sequence[float], cells: Sequence[Summary], test: str = WELCH) -> Estimate:
    """Welch's estimate of a contrast of independent cells, each with its own variance.

    Raises ValueError if a cell has fewer than two values, or if all variances are 0.
    """
    terms = []
    for c, cell in zip(coefficients, cells, strict=True):
        if cell.variance is None:
            raise ValueError("a comparison needs two values in every cell")
        terms.append(Term(c, cell.mean, cell.n, cell.variance))
    return combined(terms, test, paired=test == PAIRED)
