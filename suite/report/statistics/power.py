"""How many seeds would decide a claim, were the present effects and deviations the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scipy import special

from suite.report.statistics.contrast import Estimate, Spread
from suite.report.statistics.multiple import Needed, count_needed

MOST_SEEDS = 10_000
POWER = 0.8


@dataclass(frozen=True)
class Chance:
    """Probabilities that a part is found to hold and found to fail."""

    holds: float
    fails: float


Design = Callable[[int, float], Chance]  # of seeds a cell and the two-sided level


def of_part(estimate: Estimate, low: float, high: float) -> Design:
    """A part that holds where the true value lies between `low` and `high` (infinite where there is no bound)."""
    def design(n: int, level: float) -> Chance:
        value, spread = estimate.value, estimate.spread
        holds = _power(value - low, spread, n, level) + _power(high - value, spread, n, level) - 1
        fails = _power(low - value, spread, n, level) + _power(value - high, spread, n, level)
        return Chance(max(holds, 0.0), min(fails, 1.0))
    return design


def of_parts(parts: Sequence[Design], needed: Needed) -> Design:
    """At least `needed` of independent parts, tested as `families.together` does."""
    k = len(parts)
    u = count_needed(needed, k)

    def design(n: int, level: float) -> Chance:
        holds = [part(n, level / (k - u + 1)).holds for part in parts]
        fails = [part(n, level / u).fails for part in parts]
        return Chance(_at_least(u, holds), _at_least(k - u + 1, fails))
    return design


def seeds_to_decide(design: Design, level: float = 0.05, power: float = POWER) -> int | None:
    """Seeds a cell at which the claim is decided, either way, with that power; None above MOST_SEEDS."""
    def decides(n: int) -> bool:
        chance = design(n, level)
        return max(chance.holds, chance.fails) >= power

    low, high = 1, 2
    while not decides(high):
        if high >= MOST_SEEDS:
            return None
        low, high = high, min(high * 2, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def _power(distance: float, spread: Spread, n: int, level: float) -> float:
    """The probability that a one-sided test at level/2 finds a value that lies `distance` beyond its bound."""
    if math.isinf(distance):
        return 1.0 if distance > 0 else 0.0
    shift, df = distance / spread.error(n), spread.df(n)
    critical = float(special.stdtrit(df, 1 - level / 2))
    if df > 200 or abs(shift) > 30:  # the non-central t is slow and unstable out there, and the normal law is close
        return float(special.ndtr(shift - critical))
    return 1 - float(special.nctdtr(df, shift, critical))


def _at_least(count: int, chances: Sequence[float]) -> float:
    """Probability that at least `count` of independent events happen."""
    exactly = [1.0]
    for p in chances:
        exactly = [a * (1 - p) + b * p for a, b in zip([*exactly, 0.0], [0.0, *exactly], strict=True)]
    return sum(exactly[count:])
