"""Verdicts on claims: comparisons tested, those of a claim taken together, the claims of a family corrected.

Every verdict, for or against, errs with a probability of at most alpha/2: a comparison holds where the interval of
level 1 - alpha lies wholly between its bounds (for an equivalence that is TOST), and fails where it lies outside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from suite.errors import UserError
from suite.report.claims.correlation import correlations
from suite.report.claims.language import Claim, Other, Side, Stated
from suite.report.claims.numbers import Datum, Numbers, total
from suite.report.claims.outcome import Comparison, Verdict, Word, reasons
from suite.report.claims.solved import solves
from suite.report.metric import Metric
from suite.report.statistics import contrast
from suite.report.statistics.contrast import Summary
from suite.report.statistics.multiple import Needed, Pair, holm, together
from suite.report.statistics.power import MOST_SEEDS, Design, of_part, of_parts, seeds_to_decide

T = TypeVar("T")
SEEDS = "{} and {} seeds have a number, and a comparison needs two on either side"


@dataclass(frozen=True)
class Tested:
    """The comparisons of a claim, what they say together, and how likely more seeds are to say more."""

    parts: tuple[Comparison, ...]
    pair: Pair
    design: Design | None = None


def judge(stated: Sequence[Stated], numbers: Numbers) -> tuple[Verdict, ...]:
    """A verdict on each claim. Raises UserError for a margin that lacks a metric, and where metrics differ."""
    tested = [_test(one, numbers) for one in stated]
    verdicts: dict[int, Verdict] = {}
    for members in _families(stated):
        adjusted = holm([tested[i].pair.p for i in members], stated[members[0]].family)
        for i, after in zip(members, adjusted, strict=True):
            verdicts[i] = _verdict(stated[i], tested[i], after.p, after.tests, numbers)
    return tuple(verdicts[i] for i in range(len(stated)))


def _families(stated: Sequence[Stated]) -> list[list[int]]:
    """The claims by family, by their places; one without a family stands alone."""
    found: dict[str, list[int]] = {}
    for i, one in enumerate(stated):
        found.setdefault(one.claim.family or f"\n{i}", []).append(i)
    return list(found.values())


def _verdict(stated: Stated, tested: Tested, adjusted: float, tests: int, numbers: Numbers) -> Verdict:
    claim, parts, pair = stated.claim, tested.parts, tested.pair
    exact = whole(claim, [part.exact for part in parts])
    made = Verdict(claim, "untested", "", parts, pair.p, adjusted, stated.family,
                   at_face=exact.holds == 0 if exact.p == 0 else None)
    untested = [part for part in parts if not part.tested]
    if adjusted <= claim.alpha:
        word: Word = "supported" if pair.holds < pair.fails else "contradicted"
        return replace(made, verdict=word, reason=f"not tested: {reasons(untested)}" if untested else "")
    if untested:
        some = f"{len(untested)} of {len(parts)} comparisons are not tested: " if len(untested) < len(parts) else ""
        return replace(made, reason=some + reasons(untested))
    if tested.design is None:
        return replace(made, verdict="undecided")
    needed = seeds_to_decide(tested.design, claim.alpha / tests)
    if needed is None:
        return replace(made, verdict="undecided",
                       reason=f"more than {MOST_SEEDS:,} seeds a side would be needed at this effect".replace(",", " "))
    more = max(needed - min(n for part in parts for n in part.n if n), 1)
    return replace(made, verdict="undecided", more=more,
                   reason=f"about {more} more seed{'s' * (more > 1)} a side would decide it at this effect")


def _test(stated: Stated, numbers: Numbers) -> Tested:
    claim = stated.claim
    if claim.kind in ("solves", "correlation"):
        parts = solves(stated, numbers) if claim.kind == "solves" else correlations(claim, numbers)
        return Tested(parts, whole(claim, [part.pair for part in parts]))
    places = [claim.places] if claim.over == "mean" else [(place,) for place in claim.places]
    found = [_compare(stated, sides, place, numbers) for place in places for sides in claim.compared]
    parts = tuple(part for part, _ in found)
    designs = [design for _, design in found if design is not None]
    each = [of_parts(group, claim.of_pairs) for group in _by_place(claim, designs)]
    design = of_parts(each, _of_columns(claim)) if len(designs) == len(parts) else None
    return Tested(parts, whole(claim, [part.pair for part in parts]), design)


def whole(claim: Claim, parts: Sequence[Pair]) -> Pair:
    """What the comparisons of a claim, in order, say together: of the pairs in each column, then of the columns."""
    if claim.kind == "solves":
        return together(parts)
    return together([together(group, claim.of_pairs) for group in _by_place(claim, parts)], _of_columns(claim))


def _by_place(claim: Claim, parts: Sequence[T]) -> list[Sequence[T]]:
    size = len(claim.compared) or 1
    return [parts[i:i + size] for i in range(0, len(parts), size)]


def _of_columns(claim: Claim) -> Needed:
    return claim.of_columns if claim.over == "each" else "all"


def _compare(stated: Stated, sides: tuple[Side, Other], places: tuple[str, ...],
             numbers: Numbers) -> tuple[Comparison, Design | None]:
    claim = stated.claim
    where = "mean" if len(places) > 1 else places[0]
    one, other = sides
    words = f"{where}, {one} against {other}" if len(claim.compared) > 1 else where
    terms = _terms(claim, one, other, places)
    if not terms:
        raise UserError(f"{one} against {other}: every row cancels out", stated.where, "compare rows that differ")
    data = [numbers.datum(claim, place, name) if claim.rows else numbers.datum(claim, name, place)
            for name, place in terms]
    data = _paired(data) if claim.by == "seed" else data
    shown = _metric(data, stated, words)
    coefficients = list(terms.values())
    if isinstance(other, float):
        data.append(_level(other, shown, numbers))
        coefficients.append(-1.0)
    n = tuple(min((datum.n for c, datum in zip(coefficients, data, strict=True)
                   if (c > 0) == left and not datum.constant), default=0) for left in (True, False))
    bounds = _bounds(stated, shown)
    part = Comparison(words, shown, n=(n[0], n[1]), name=_name(claim), bounds=bounds)
    words = ", ".join(dict.fromkeys(d.why for d in data if d.why))
    part = replace(part, difference=total(coefficients, data), note=f"missing: {words}" if words else "")
    made = _estimate(claim, coefficients, data, part)
    if isinstance(made, str):
        return replace(part, why=f"{made} ({words})" if words else made, note=""), None
    low, high = made.interval(1 - claim.alpha)
    part = replace(part, pair=between(made, *bounds), difference=made.value, low=low, high=high, df=made.df, g=made.g)
    return part, of_part(made, *bounds)


def _common(data: Sequence[Datum]) -> list[int]:
    """The seeds that all have a number of."""
    return sorted(set.intersection(*(set(datum.values) for datum in data)))


def _paired(data: list[Datum]) -> list[Datum]:
    """The data over the seeds that they have in common, where values by seed are known: what pairs of seeds compare."""
    moving = [datum for datum in data if not datum.constant]
    if not moving or not all(datum.values for datum in moving):
        return data
    seeds = _common(moving)
    return [datum if datum.constant else
            replace(datum, summary=contrast.summarise([datum.values[seed] for seed in seeds]) if seeds else None)
            for datum in data]


def _terms(claim: Claim, one: Side, other: Other, places: Sequence[str]) -> dict[tuple[str, str], float]:
    """How often each cell, by name and place, is counted in left less right, but those that cancel.

    A cell that both sides name is one term: as two they would pass for independent, and the error would be wrong.
    """
    sides = [(one, 1.0)] if isinstance(other, float) else [(one, 1.0), (other, -(claim.share or 1.0))]
    names = [pair for side, c in sides
             for pair in ([(side, c)] if isinstance(side, str) else [(side.of, c), (side.less, -c)])]
    found: dict[tuple[str, str], float] = {}
    for place in places:
        for name, c in names:
            found[name, place] = found.get((name, place), 0.0) + c / len(places)
    return {cell: c for cell, c in found.items() if abs(c) > 1e-12}


def _level(value: float, shown: Metric, numbers: Numbers) -> Datum:
    """A number of the paper's text, which stands without error."""
    if numbers.profile != "paper":
        why = f"the level is the paper's, and not comparable with the profile {numbers.profile}"
        return Datum(shown, None, why=why)
    return Datum(shown, Summary(1, value, None), constant=True)


def _metric(data: Sequence[Datum], stated: Stated, words: str) -> Metric:
    shown = {(d.metric.unit, d.metric.direction): d.metric for d in data if d.metric.name}  # the rest is not asked for
    if len(shown) > 1:
        raise UserError(f"{words}: {' and '.join(m.words for m in shown.values())} cannot be compared", stated.where)
    return next(iter(shown.values()), data[0].metric)


def _name(claim: Claim) -> str:
    return f"excess over {100 * claim.share:g} %" if claim.share is not None else "difference"


def _bounds(stated: Stated, shown: Metric) -> tuple[float, float]:
    """Between which values of left minus right the comparison holds, in the shown unit."""
    claim, margin = stated.claim, stated.margin(shown)
    if claim.kind in ("keeps", "collapses") and shown.direction == "min":
        raise UserError(f"claim {claim.id}: a share of {shown.words} means nothing, as less of it is better",
                        stated.where)
    if claim.kind == "equivalent":
        return -margin, margin
    if claim.kind == "noninferior":
        margin = -margin
    upwards = (claim.kind in ("worse", "collapses")) != (shown.direction == "max")
    return (margin, math.inf) if upwards else (-math.inf, 0.0 - margin)


def _estimate(claim: Claim, coefficients: Sequence[float], data: Sequence[Datum],
              part: Comparison) -> contrast.Estimate | str:
    """The estimate, or why there is none. Constants move it, and have no error."""
    if all(datum.constant for datum in data):
        return "only printed numbers stand on either side"
    if any(datum.constant for datum in data):
        offset = sum(c * d.summary.mean for c, d in zip(coefficients, data, strict=True) if d.constant and d.summary)
        moving = [(c, d) for c, d in zip(coefficients, data, strict=True) if not d.constant]
        made = _estimate(claim, [c for c, _ in moving], [d for _, d in moving], part)
        return made if isinstance(made, str) else made.shifted(offset)
    if claim.by == "seed" and all(datum.values for datum in data):
        seeds = _common(data)
        if len(seeds) < 2:
            return f"{'one' if seeds else 'no'} seed has both numbers, and a comparison by seed needs two"
        combined = [sum(c * datum.values[s] for c, datum in zip(coefficients, data, strict=True)) for s in seeds]
        samples, coefficients = [combined], [1.0]
    else:
        samples = [list(datum.values.values()) for datum in data]
    summaries = [contrast.summarise(sample) for sample in samples] if all(samples) else [d.summary for d in data]
    known = [s for s in summaries if s is not None]
    if len(known) < len(summaries) or any(s.n < 2 for s in known):
        return SEEDS.format(*part.n)
    if any(s.std is None for s in known):
        return "a standard deviation is not printed"
    if not any(s.std for s in known):
        return f"the standard deviation is 0 {'of the differences' if claim.by else 'on both sides'}"
    return contrast.estimate(coefficients, samples) if all(samples) else contrast.contrast(coefficients, known)


def between(made: contrast.Estimate, low: float, high: float) -> Pair:
    """Two-sided p values that the true value lies between the bounds, and that it does not."""
    finite = [(bound, inside, outside) for bound, inside, outside in (
        (low, made.above, made.below), (high, made.below, made.above)) if not math.isinf(bound)]
    holds = max(inside(bound) for bound, inside, _ in finite)
    fails = min(outside(bound) for bound, _, outside in finite)
    return Pair(min(2 * holds, 1.0), min(2 * fails, 1.0))
