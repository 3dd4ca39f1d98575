"""Multiple tests: combined p values of the parts of a claim, and Holm's correction within a family of claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Needed = Literal["all", "any", "most"] | int


@dataclass(frozen=True)
class Pair:
    """Two-sided p values: `holds` is small if the statement is true, `fails` if it is false; both are 1 if untested."""

    holds: float
    fails: float

    @property
    def p(self) -> float:
        """The smaller of the two, which is the p of the verdict."""
        return min(self.holds, self.fails)


@dataclass(frozen=True)
class Adjusted:
    """A p value after Holm's correction; `tests` is the factor by which the p was multiplied at its step."""

    p: float
    tests: int


UNTESTED = Pair(1.0, 1.0)


def count_needed(needed: Needed, of: int) -> int:
    """How many of `of` parts must hold."""
    return {"all": of, "any": 1, "most": of // 2 + 1}[needed] if isinstance(needed, str) else needed


def together(parts: Sequence[Pair], needed: Needed = "all") -> Pair:
    """The statement that at least `needed` of the parts hold (Benjamini and Heller 2008, Bonferroni's form).

    All parts: the largest p (intersection-union test). Any part, such as the best of several rows: the smallest p times
    the number of parts, which corrects for choosing the best. The statement fails if enough of the parts fail.
    """
    k = len(parts)
    u = count_needed(needed, k)
    holds = sorted(part.holds for part in parts)[u - 1] * (k - u + 1)
    fails = sorted(part.fails for part in parts)[k - u] * u
    return Pair(min(holds, 1.0), min(fails, 1.0))


def holm(ps: Sequence[float], size: int | None = None) -> list[Adjusted]:
    """Adjusted p values (Holm 1979) in a family of `size` tests. Tests that are not in `ps` count with p = 1."""
    size = size or len(ps)
    adjusted = [Adjusted(1.0, size)] * len(ps)
    largest = 0.0
    for place, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(ps[i] * (size - place), 1.0))
        adjusted[i] = Adjusted(largest, size - place)
    return adjusted
