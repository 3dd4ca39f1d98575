"""Better than chance: whether most seeds of a row are, each by the binomial law of its evaluated examples."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy import special

from suite.report.claims import Claim
from suite.report.families import UNTESTED, Pair, together
from suite.report.numbers import Numbers
from suite.report.outcome import Comparison

FEW = "{} seeds have a number, and a claim about most of them needs two"


def solves(claim: Claim, numbers: Numbers) -> tuple[Comparison, ...]:
    """A comparison for each row: those of `left` are above chance in most seeds, those of `others` are not.

    Above chance is above `chance` and the margin; the paper marks what is not with an X.
    """
    return tuple(_row(claim, str(row), column, row not in claim.others, numbers)
                 for column in claim.columns for row in (*claim.left, *claim.others))


def above_chance(percent: float, bound: float, examples: int) -> Pair:
    """Two-sided p that an accuracy lies above `bound`, and that it does not, by exact binomial tests; in percent."""
    right = round(percent / 100 * examples)
    above = special.bdtrc(right - 1, examples, bound / 100) if right else 1.0
    below = special.bdtr(right, examples, bound / 100)
    return Pair(min(2 * float(above), 1.0), min(2 * float(below), 1.0))


def _row(claim: Claim, row: str, column: str, is_above: bool, numbers: Numbers) -> Comparison:
    datum = numbers.datum(claim, row, column)
    bound = (claim.chance or 0.0) + (claim.margin if isinstance(claim.margin, float) else 0.0)
    words = f"{row} {'above' if is_above else 'not above'} chance on {column}"
    mean = datum.summary.mean if datum.summary and not datum.failed else None
    bounds = (0.0, math.inf) if is_above else (-math.inf, 0.0)
    made = Comparison(words, datum.metric, n=(datum.n, datum.n), note=f"missing: {datum.why}" if datum.why else "",
                      difference=None if mean is None else mean - bound, name=f"distance from {bound:g} %",
                      bounds=bounds)
    if datum.failed:
        return replace(made, why=f"{row}: {datum.why}", note="")
    if mean is None or (datum.values and datum.n < 2):
        return replace(made, why=FEW.format(datum.n) + (f" ({datum.why})" if datum.why else ""), note="")
    if datum.examples is None:
        return replace(made, why="how many examples are evaluated is not known", note="")
    seeds = [above_chance(value, bound, datum.examples) for value in datum.values.values() or [mean]]
    pair = together([*seeds, *[UNTESTED] * (datum.planned - len(seeds))], "most")
    return replace(made, pair=pair if is_above else Pair(pair.fails, pair.holds))
