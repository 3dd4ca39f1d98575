"""Repeated looks at growing data: the level of each look, Holm's correction over looks, and conditional power.

The levels follow from the normal recursion (Armitage, McPherson and Rowe 1969) with information k/most and alpha·k/most
spent by look k, so that the error over all declared looks is alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from suite.report.statistics.contrast import Estimate

NODES = 64  # of the quadrature; more do not change the first eight digits
HOPELESS = 0.05  # conditional power below which no more seeds are run


@dataclass(frozen=True)
class Looks:
    """A declared plan of looks: at `start` seeds, and then after each further seed, up to `most`."""

    start: int
    most: int

    @property
    def seeds(self) -> range:
        """The number of seeds at each look."""
        return range(self.start, self.most + 1)

    def levels(self, alpha: float) -> tuple[float, ...]:
        """The two-sided level of each look."""
        return _levels(alpha, self.start, self.most)

    def level(self, alpha: float, seeds: int) -> float:
        """The level of the look with this number of seeds."""
        return self.levels(alpha)[seeds - self.start]


@lru_cache(maxsize=1024)
def _levels(alpha: float, start: int, most: int) -> tuple[float, ...]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    step = math.sqrt(1 / most)  # standard deviation of the increment between two looks
    bound = float(-special.ndtri(alpha * start / most / 2)) * math.sqrt(start / most)
    at = nodes * bound
    density = weights * bound * np.exp(-at**2 / (2 * start / most)) / math.sqrt(2 * math.pi * start / most)
    found = [alpha * start / most]
    for k in range(start + 1, most + 1):
        def spent(b: float, at: np.ndarray = at, density: np.ndarray = density) -> float:
            out = special.ndtr((at - b) / step) + special.ndtr((-b - at) / step)
            return float((density * out).sum()) - alpha / most

        bound = float(optimize.brentq(spent, 1e-6, 12.0, xtol=1e-13))
        found.append(2 * float(special.ndtr(-bound / math.sqrt(k / most))))
        new = nodes * bound
        transition = np.exp(-((new[:, None] - at) ** 2) / (2 * step**2)) / (step * math.sqrt(2 * math.pi))
        at, density = new, weights * bound * (transition @ density)
    return tuple(found)


@dataclass(frozen=True)
class Rejected:
    """The rejection of a claim: the index of the look, and the number of claims that shared alpha at that point."""

    look: int
    among: int


def holm_over_looks(ps: Sequence[Sequence[float]], levels: Callable[[int], Sequence[float]],
                    size: int) -> tuple[list[Rejected | None], int]:
    """Holm's correction over looks. Returns the rejections, and how many claims share alpha at the end.

    `ps` has the p value of each claim at each look that it has reached. `levels(m)` are the levels of the looks if m
    claims share alpha, and `size` is the number of claims in the family. The procedure repeats until it rejects no
    further claim. The result does not depend on the order of the looks, and more data can only add rejections.
    """
    found: list[Rejected | None] = [None] * len(ps)
    m = size
    while m:
        limits = levels(m)
        fresh = {i: look for i, each in enumerate(ps) if found[i] is None
                 if (look := next((j for j, p in enumerate(each) if p <= limits[j]), None)) is not None}
        if not fresh:
            break
        for i, look in fresh.items():
            found[i] = Rejected(look, m)
        m -= len(fresh)
    return found, m


def conditional_power(estimate: Estimate, low: float, high: float, information: float, level: float) -> float:
    """The probability that a comparison is decided, either way, at full information, if the present estimate is true.

    `information` is the present fraction of the full information. Normal distribution, with the present estimate and
    variance. `low` and `high` are the bounds of the comparison.
    """
    critical = float(-special.ndtri(level / 2))

    def crosses(distance: float) -> float:
        drift = distance / estimate.error / math.sqrt(information)  # mean of B(1), whose variance is 1 − information
        return float(special.ndtr((drift - critical) / math.sqrt(1 - information)))

    inward = [estimate.value - low] * math.isfinite(low) + [high - estimate.value] * math.isfinite(high)
    holds = sum(map(crosses, inward)) - (len(inward) - 1)
    return min(max(holds, 0.0) + sum(crosses(-distance) for distance in inward), 1.0)
