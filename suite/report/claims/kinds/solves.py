"""`solves`: most seeds of a row are better than chance, each by a binomial test over its evaluated examples."""

from __future__ import annotations

import math
from dataclasses import replace

from suite.errors import UserError
from suite.files.counted import counted
from suite.report.claims.kinds.kind import Kind, all_of
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.statistics.binomial import above_chance
from suite.report.statistics.multiple import UNTESTED, Pair, together

FEW = "{} a number, but a claim about most seeds needs two"


def solves(view: View) -> tuple[Comparison, ...]:
    """One comparison for each row: rows of `left` are above chance in most seeds, rows of `others` are not.

    Above chance means above `chance` plus the margin; the paper marks other cells with an X. Raises UserError for a
    column that does not show accuracy.
    """
    claim = view.stated.claim
    return tuple(_row(view, str(row), column, row not in claim.others)
                 for column in claim.columns for row in (*claim.left, *claim.others))


def _row(view: View, row: str, column: str, is_above: bool) -> Comparison:
    stated, claim = view.stated, view.stated.claim
    datum = view.datum(row, column)
    shown = datum.metric
    if shown.name.rpartition("/")[2] not in ("accuracy", ""):  # no name: --only left the column out
        raise UserError(f"claim {claim.id}: the column {column!r} shows {shown.words}, which has no chance level",
                        stated.where, "name columns of accuracy")
    percent = shown.factor / 100
    bound = (claim.chance or 0.0) * percent + stated.margin(shown)
    words = f"{row} {'above' if is_above else 'not above'} chance on {column}"
    mean = datum.summary.mean if datum.summary and not datum.failed else None
    bounds = (0.0, math.inf) if is_above else (-math.inf, 0.0)
    made = Comparison(words, shown, n=(datum.n, datum.n), note=f"missing: {datum.why}" if datum.why else "",
                      difference=None if mean is None else mean - bound, name=f"distance from {bound:g} {shown.unit}",
                      bounds=bounds, test="binomial test of each seed", examples=datum.examples)
    if datum.failed:
        return replace(made, why=f"{row}: {datum.why}", note="")
    if mean is None or (datum.values and datum.n < 2):
        few = FEW.format(counted(datum.n, "seed has", "seeds have"))
        return replace(made, why=f"{few} ({datum.why})" if datum.why else few, note="")
    if datum.examples is None:
        return replace(made, why="the number of evaluated examples is unknown", note="")
    seeds = [above_chance(value / percent, bound / percent, datum.examples)
             for value in datum.values.values() or [mean]]
    pair = together([*seeds, *[UNTESTED] * (datum.planned - len(seeds))], "most")
    return replace(made, pair=pair if is_above else Pair(pair.fails, pair.holds))


SOLVES = Kind(frozenset({"left", "chance", "examples"}), frozenset({"others", "margin"}), solves, all_of, grows=False,
              sides=False)
