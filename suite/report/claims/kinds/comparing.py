"""Comparisons of two sides: left minus right in each column, tested against the bounds of the kind of claim."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from suite.errors import UserError
from suite.report.claims.claim import Claim, Other, Side, Stated
from suite.report.claims.crossing import noun_of, with_examples
from suite.report.claims.estimating import WeightedCell, at_common_seeds, estimate, is_exact, merge_duplicates
from suite.report.claims.numbers import Datum, total
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.metric import Metric
from suite.report.statistics.contrast import Estimate, Summary
from suite.report.statistics.multiple import Pair

Bounds = tuple[float, float]
PRINTED = re.compile(r"paper\b|\d{4}\.\d{4,5}\b")  # sources that are papers: the S4D paper, and arXiv numbers
EXACT = "a count, the same for every seed"
SHAPES = frozenset({"epoch", "by", "over", "rows"})  # keys of all kinds that compare two sides


def compare(view: View, bounds_of: Callable[[Stated, Metric], Bounds],
            name: str = "difference") -> tuple[Comparison, ...]:
    """One comparison for each column and pair, or for their means."""
    claim = view.stated.claim
    places = [claim.places] if claim.over == "mean" else [(place,) for place in claim.places]
    return tuple(_compare(view, sides, place, bounds_of, name) for place in places for sides in claim.groups)


def _compare(view: View, pairs: Sequence[tuple[Side, Other]], places: tuple[str, ...],
             bounds_of: Callable[[Stated, Metric], Bounds], name: str) -> Comparison:
    stated, claim = view.stated, view.stated.claim
    words = _words(claim, pairs, places)
    terms = _terms(claim, pairs, places)
    cells = merge_duplicates(
        [_cell(view, c, *((place, side) if claim.rows else (side, place))) for (side, place), c in terms.items()])
    if not cells:
        raise UserError(f"{pairs[0][0]} against {pairs[0][1]}: every row cancels out", stated.where,
                        "compare rows that differ")
    cells = at_common_seeds(cells) if claim.by == "seed" else cells
    shown = _metric(cells, stated, words)
    level = pairs[0][1]
    if isinstance(level, float):
        cells.append(WeightedCell(-1.0, "", _level(level, shown, view)))
    n = tuple(min((cell.datum.n for cell in cells if (cell.coefficient > 0) == left and not cell.datum.constant),
                  default=0) for left in (True, False))
    missing = ", ".join(dict.fromkeys(cell.datum.why for cell in cells if cell.datum.why))
    bounds = bounds_of(stated, shown)
    part = Comparison(words, shown, n=(n[0], n[1]), name=name, bounds=bounds, examples=_examples(cells),
                      difference=total([cell.coefficient for cell in cells], [cell.datum for cell in cells]),
                      note=f"missing: {missing}" if missing else "", noun=noun_of(cells))
    if is_exact(cells) and part.difference is not None:
        return replace(part, pair=part.exact, test=EXACT)
    made = estimate(cells, part.n, view)
    if isinstance(made, str):
        return replace(part, why=f"{made} ({missing})" if missing else made, note="")
    return with_examples(_filled(part, *made, bounds, claim.alpha), cells)


def _filled(part: Comparison, found: Estimate, note: str, bounds: Bounds, alpha: float) -> Comparison:
    low, high = found.interval(1 - alpha)
    return replace(part, pair=between(found, *bounds), difference=found.value, low=low, high=high, estimate=found,
                   note="; ".join(filter(None, (note, part.note))))


def _cell(view: View, coefficient: float, row: str, column: str) -> WeightedCell:
    return WeightedCell(coefficient, column, view.datum(row, column))


def _words(claim: Claim, pairs: Sequence[tuple[Side, Other]], places: Sequence[str]) -> str:
    where = "mean" if len(places) > 1 else places[0]
    if len(pairs) > 1:
        return f"{where}, mean of {len(pairs)} pairs"
    one, other = pairs[0]
    return f"{where}, {one} against {other}" if len(claim.groups) > 1 else where


def _terms(claim: Claim, pairs: Sequence[tuple[Side, Other]], places: Sequence[str]) -> dict[tuple[str, str], float]:
    """The coefficient of each cell, by name and place, in left minus right. Cells that cancel are left out.

    A cell that is on both sides is one term. As two terms it would count as independent, and the error would be
    wrong.
    """
    found: dict[tuple[str, str], float] = {}
    for one, other in pairs:
        sides = [(one, 1.0)] if isinstance(other, float) else [(one, 1.0), (other, -(claim.share or 1.0))]
        names = [pair for side, c in sides
                 for pair in ([(side, c)] if isinstance(side, str) else [(side.of, c), (side.less, -c)])]
        for place in places:
            for name, c in names:
                found[name, place] = found.get((name, place), 0.0) + c / len(places) / len(pairs)
    return {cell: c for cell, c in found.items() if abs(c) > 1e-12}


def _level(value: float, shown: Metric, view: View) -> Datum:
    """A number without error. A level from a paper applies to its profile only; a level such as chance, to all."""
    profile = view.numbers.profile
    if profile != "paper" and PRINTED.match(view.stated.claim.source):
        why = f"the level is from a paper, not comparable with the profile {profile}"
        return Datum(shown, None, why=why)
    return Datum(shown, Summary(1, value, None), constant=True)


def _metric(cells: Sequence[WeightedCell], stated: Stated, words: str) -> Metric:
    metrics = [cell.datum.metric for cell in cells]
    shown = {(m.unit, m.direction): m for m in metrics if m.name}  # cells without a name are not selected
    if len(shown) > 1:
        raise UserError(f"{words}: {' and '.join(m.words for m in shown.values())} cannot be compared", stated.where)
    return next(iter(shown.values()), metrics[0])


def _examples(cells: Sequence[WeightedCell]) -> int | None:
    """The number of examples that the cells were evaluated on; None if it differs."""
    found = {cell.datum.examples for cell in cells if not cell.datum.constant}
    return found.pop() if len(found) == 1 else None


def between(made: Estimate, low: float, high: float) -> Pair:
    """Two-sided p values: that the true value lies between the bounds, and that it does not."""
    finite = [(bound, inside, outside) for bound, inside, outside in (
        (low, made.above, made.below), (high, made.below, made.above)) if not math.isinf(bound)]
    holds = max(inside(bound) for bound, inside, _ in finite)
    fails = min(outside(bound) for bound, _, outside in finite)
    return Pair(min(2 * holds, 1.0), min(2 * fails, 1.0))
