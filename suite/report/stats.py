"""Means, sample standard deviations, t-intervals and Welch's comparison, for a handful of seeds. Values in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Summary:
    """`n` values with their mean and sample standard deviation (ddof 1); `std` is None below two values."""

    n: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Welch:
    """Difference of means, left minus right, with the interval of Welch and Satterthwaite and a two-sided p.

    `g` is Hedges' effect size: the difference over the pooled standard deviation, less its bias at small n.
    """

    difference: float
    low: float
    high: float
    df: float
    p: float
    g: float


def summarise(values: Sequence[float]) -> Summary:
    """Mean and sample standard deviation of at least one value."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1 or np.ptp(array) == 0:  # equal values: no rounding of their mean may pass for a spread
        return Summary(array.size, float(array[0]), None if array.size == 1 else 0.0)
    return Summary(array.size, float(array.mean()), float(array.std(ddof=1)))


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of at least two values."""
    summary = summarise(values)
    if summary.std is None:
        raise ValueError("an interval needs two values")
    half = float(stats.t.ppf((1 + level) / 2, summary.n - 1)) * summary.std / math.sqrt(summary.n)
    return summary.mean - half, summary.mean + half


def welch(left: Sequence[float], right: Sequence[float], level: float = 0.95) -> Welch:
    """Compare two samples of at least two values that do not both stand still.

    Raises ValueError where either is shorter, or where both have a standard deviation of 0.
    """
    a, b = summarise(left), summarise(right)
    if a.std is None or b.std is None or a.std == b.std == 0:
        raise ValueError("Welch's test needs two values on either side, and some spread")
    va, vb = a.std**2 / a.n, b.std**2 / b.n
    error = math.sqrt(va + vb)
    df = (va + vb) ** 2 / (va**2 / (a.n - 1) + vb**2 / (b.n - 1))
    difference = a.mean - b.mean
    half = float(stats.t.ppf((1 + level) / 2, df)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, df))
    return Welch(difference, difference - half, difference + half, df, p, hedges(a, b))


def hedges(a: Summary, b: Summary) -> float:
    """Hedges' g of two summaries that have a standard deviation, not both 0."""
    if a.std is None or b.std is None:
        raise ValueError("an effect size needs two values on either side")
    df = a.n + b.n - 2
    pooled = math.sqrt(((a.n - 1) * a.std**2 + (b.n - 1) * b.std**2) / df)
    return (a.mean - b.mean) / pooled * (1 - 3 / (4 * df - 1))


def seeds_to_decide(difference: float, left: float, right: float, alpha: float = 0.05,
                    power: float = 0.8) -> int | None:
    """Seeds on either side at which Welch's test finds `difference` with that power, were it and both stds the truth.

    `left` and `right` are the standard deviations, not both 0. None where more than MOST_SEEDS would be needed.
    """
    if difference == 0 or _power(MOST_SEEDS, difference, left, right, alpha) < power:
        return None
    low, high = 1, 2
    while _power(high, difference, left, right, alpha) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _power(middle, difference, left, right, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def _power(n: int, difference: float, left: float, right: float, alpha: float) -> float:
    shift = abs(difference) / math.sqrt((left**2 + right**2) / n)
    df = (left**2 + right**2) ** 2 * (n - 1) / (left**4 + right**4)
    critical = float(stats.t.ppf(1 - alpha / 2, df))
    if df > 200 or shift > 30:  # the non-central t is slow and unstable out there, and the normal law is close
        return float(stats.norm.sf(critical - shift))
    return float(stats.nct.sf(critical, df, shift))
