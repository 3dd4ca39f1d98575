"""Binomial tests of an accuracy against chance."""

from __future__ import annotations

from scipy import special

from suite.report.statistics.multiple import Pair


def above_chance(percent: float, bound: float, examples: int) -> Pair:
    """Two-sided p values that an accuracy is above `bound`, and that it is not, by exact binomial tests.

    `percent` and `bound` are in percent.
    """
    right = round(percent / 100 * examples)
    above = special.bdtrc(right - 1, examples, bound / 100) if right else 1.0
    below = special.bdtr(right, examples, bound / 100)
    return Pair(min(2 * float(above), 1.0), min(2 * float(below), 1.0))
