"""Rank correlation of two columns, with an interval and a p value, exact if possible."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from suite.report.statistics.multiple import Pair

Statistic = Literal["kendall", "spearman"]
EXACT = 8  # up to so many rows, all permutations are used; without ties, Kendall's p is exact for any number
DRAWS = 19_999


@dataclass(frozen=True)
class Correlation:
    """Kendall's tau-b or Spearman's rho over `n` rows; `pair` tests a positive and a negative correlation.

    The interval is Fisher's, with the standard errors of Fieller, Hartley and Pearson (1957) and of Bonett and Wright
    (2000). With too few rows, it is from -1 to 1.
    """

    value: float
    n: int
    pair: Pair
    statistic: Statistic
    test: str = "permutation of rows"

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Two-sided confidence interval."""
        room = self.n - (4 if self.statistic == "kendall" else 3)
        if room < 1:
            return -1.0, 1.0
        if abs(self.value) == 1:
            return self.value, self.value
        error = math.sqrt((0.437 if self.statistic == "kendall" else 1 + self.value**2 / 2) / room)
        half = float(special.ndtri((1 + level) / 2)) * error
        return math.tanh(math.atanh(self.value) - half), math.tanh(math.atanh(self.value) + half)


def correlate(left: Sequence[float], right: Sequence[float], statistic: Statistic,
              variants: Sequence[tuple[str, str]] = ()) -> Correlation:
    """The correlation of at least three pairs. Raises ValueError for fewer, and if one side is constant.

    `variants` has the method and the variant of each pair. If all methods have the same variants, whole methods are
    permuted, because the rows of one method are not independent. Otherwise rows are permuted.
    """
    x, y = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if x.size < 3 or not np.ptp(x) or not np.ptp(y):
        raise ValueError("a rank correlation needs three rows with different values on both sides")
    a, b = _scores(x, statistic), _scores(y, statistic)
    value = float((a * b).sum()) / math.sqrt((a**2).sum() * (b**2).sum())
    places = _methods(variants)
    if places is not None:
        above, below = _permuted(a, b, value, statistic, places)
        return Correlation(value, x.size, Pair(min(2 * above, 1.0), min(2 * below, 1.0)), statistic,
                           f"permutation of {len(places)} methods")
    untied = np.unique(x).size == np.unique(y).size == x.size
    above, below = _exact(x, y) if untied and statistic == "kendall" else \
        _permuted(a, b, value, statistic, np.arange(x.size)[:, None])
    return Correlation(value, x.size, Pair(min(2 * above, 1.0), min(2 * below, 1.0)), statistic)


def _methods(variants: Sequence[tuple[str, str]]) -> np.ndarray | None:
    """The positions of each method's variants, in one order; None if methods have one variant, or differ in them."""
    found: dict[str, dict[str, int]] = {}
    for place, (method, variant) in enumerate(variants):
        found.setdefault(method, {})[variant] = place
    names = {frozenset(one) for one in found.values()}
    if len(found) < 3 or len(names) != 1 or len(next(iter(names))) < 2:
        return None
    order = sorted(next(iter(names)))
    return np.array([[one[variant] for variant in order] for one in found.values()])


def _exact(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The probabilities of a Kendall's tau at least, and at most, as large, if all orders are equally likely."""
    from scipy import stats  # imported here because it takes half a second

    above, below = (float(stats.kendalltau(x, y, method="exact", alternative=side).pvalue)
                    for side in ("greater", "less"))
    return above, below


def _permuted(a: np.ndarray, b: np.ndarray, value: float, statistic: Statistic,
              places: np.ndarray) -> tuple[float, float]:
    """The same probabilities by permutation of methods, whose rows are in `places`; of rows if each is a method."""
    methods = _orders(len(places))
    orders = np.empty((len(methods), places.size), dtype=np.intp)
    orders[:, places.ravel()] = places[methods].reshape(len(methods), -1)
    norm = math.sqrt((a**2).sum() * (b**2).sum())
    permuted = b[orders[:, :, None], orders[:, None, :]] if statistic == "kendall" else b[orders]
    others = (permuted * a).sum(axis=tuple(range(1, permuted.ndim))) / norm
    exact = len(places) <= EXACT  # all orders include the observed one; otherwise it is counted with the draws
    above, below = ((int(side.sum()) + (not exact)) / (len(orders) + (not exact))
                    for side in (others >= value - 1e-12, others <= value + 1e-12))
    return above, below


def _scores(values: np.ndarray, statistic: Statistic) -> np.ndarray:
    """The signs of all differences, whose correlation is tau-b, or the centred ranks, whose correlation is rho."""
    if statistic == "kendall":
        return np.sign(values[:, None] - values[None, :])
    from scipy import stats

    ranks = stats.rankdata(values)
    return np.asarray(ranks - ranks.mean())


def _orders(n: int) -> np.ndarray:
    if n <= EXACT:
        return np.array(list(itertools.permutations(range(n))))
    generator = np.random.default_rng(0)  # the same values give the same p
    return np.argsort(generator.random((DRAWS, n)), axis=1)
