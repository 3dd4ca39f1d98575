"""Verdicts on claims: replay the looks of each claim, correct those of a family together, and reach a final verdict.

Each verdict, for or against, is wrong with a probability of at most alpha/2: a comparison holds if its interval lies
entirely between its bounds (TOST, for an equivalence) and fails if it lies entirely outside. A verdict is a function of
the data and the declaration only. It does not depend on who looked at the data, or when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from suite.report.claims.claim import Claim, Stated
from suite.report.claims.history import History, Tested, history
from suite.report.claims.kinds.registry import KINDS
from suite.report.claims.numbers import Numbers
from suite.report.claims.other_examples import over_examples
from suite.report.claims.outcome import Comparison, Verdict, VerdictName, reasons
from suite.report.claims.view import Cache
from suite.report.metric import MARGINS, Metric
from suite.report.statistics.looks import HOPELESS, Looks, Rejected, conditional_power, holm_over_looks
from suite.report.statistics.multiple import Pair, holm

NEARER = 0.99  # factor for a slightly smaller p


def judge(stated: Sequence[Stated], numbers: Numbers) -> tuple[Verdict, ...]:
    """A verdict on each claim, in order.

    Raises UserError if a margin has no value for a metric, and if a claim compares different metrics.
    """
    cache = Cache()
    verdicts: dict[int, Verdict] = {}
    for members in _families(stated):
        histories = [history(stated[i], numbers, cache) for i in members]
        for i, made in zip(members, _family([stated[i] for i in members], histories, numbers), strict=True):
            verdicts[i] = made
    return tuple(verdicts[i] for i in range(len(stated)))


def _families(stated: Sequence[Stated]) -> list[list[int]]:
    """The positions of the claims of each family. A claim without a family is alone."""
    found: dict[str, list[int]] = {}
    for i, one in enumerate(stated):
        found.setdefault(one.claim.family or f"\n{i}", []).append(i)
    return list(found.values())


def _family(stated: Sequence[Stated], histories: Sequence[History], numbers: Numbers) -> list[Verdict]:
    one = stated[0]
    plan = one.rules.plan if numbers.seeds else None

    def levels(m: int) -> Sequence[float]:
        return plan.levels(one.claim.alpha / m) if plan else (one.claim.alpha / m,)

    ps = [[look.pair.p for look in each.looks] for each in histories]
    rejected, left = holm_over_looks(ps, levels, one.family)
    adjusted = [None] * len(ps) if plan else [found.p for found in holm([each[0] for each in ps], one.family)]
    return [replace(_verdict(claim, each, reject, levels(reject.among if reject else max(left, 1))), adjusted=after)
            for claim, each, reject, after in zip(stated, histories, rejected, adjusted, strict=True)]


def _verdict(stated: Stated, found: History, rejected: Rejected | None, levels: Sequence[float]) -> Verdict:
    if rejected is not None:
        look = found.looks[rejected.look]
        verdict: VerdictName = "supported" if look.pair.holds < look.pair.fails else "contradicted"
        small = _small(stated, look, levels[rejected.look]) if verdict == "supported" else ""
        untested = [part for part in look.parts if not part.tested]
        reason = f"not tested: {reasons(untested)}" if untested else ""
        return _made(stated, found, look, verdict, reason, levels[rejected.look], small)
    before = found.before
    if before is not None:
        return _made(stated, found, before, "untested", _before(stated, found, before), None)
    last = found.looks[-1]
    untested = [part for part in last.parts if not part.tested]
    if untested:
        is_ = "is" if len(untested) == 1 else "are"
        some = f"{len(untested)} of {len(last.parts)} comparisons {is_} not tested: " \
            if len(untested) < len(last.parts) else ""
        return _made(stated, found, last, "untested", some + reasons(untested), None)
    for j, look in enumerate(found.looks):
        if _small(stated, look, levels[j]):
            return _made(stated, found, look, "no difference", "", levels[j])
    if found.looks[0].seeds is not None and any(_hopeless(stated, look, levels) for look in found.looks):
        return _made(stated, found, last, "not by seeds", _spent(stated, last), levels[len(found.looks) - 1])
    stopped = f"held at {last.seeds} seeds: {found.stopped}" if found.held else ""
    return _made(stated, found, last, "undecided", stopped, levels[len(found.looks) - 1])


def _made(stated: Stated, found: History, look: Tested, verdict: VerdictName, reason: str, level: float | None,
          small: str = "") -> Verdict:
    claim = stated.claim
    exact = KINDS[claim.kind].together(claim, [part.exact for part in look.parts])
    return Verdict(claim, verdict, reason, look.parts, look.pair.p, None, level, stated.family,
                   look.seeds, small, found.held, exact.holds == 0 if exact.p == 0 else None,
                   0 if found.before else len(found.looks), notes=look.notes,
                   for_such_examples=_for_such_examples(stated, look, verdict, level))


def _for_such_examples(stated: Stated, look: Tested, verdict: VerdictName, level: float | None) -> bool | None:
    """Whether the verdict also holds over seeds and examples. None if there is no verdict, or if this is unknown."""
    found = over_examples(stated.claim, look) if level is not None else None
    if found is None or level is None:
        return None
    if verdict == "no difference":
        return bool(_small(stated, found, level))
    p = {"supported": found.pair.holds, "contradicted": found.pair.fails}.get(verdict)
    return None if p is None else p <= level


def plan_of(stated: Stated) -> Looks:
    """The looks that the family of a claim declares; a single look if it declares none."""
    return stated.rules.plan or Looks(1, 1)


def _before(stated: Stated, found: History, before: Tested) -> str:
    """Why there is no look yet."""
    plan = plan_of(stated)
    if found.stopped:
        return f"held before the first look, at {plan.start} seeds: {found.stopped}" if found.held else found.stopped
    missing = reasons([part for part in before.parts if not part.tested])
    return f"the first look is at {plan.start} seeds" + (f": {missing}" if missing else "")


def _spent(stated: Stated, look: Tested) -> str:
    plan = plan_of(stated)
    return f"not decided at the last look, at {plan.most} seeds" if look.seeds == plan.most else \
        f"even {plan.most} seeds would decide it with a probability below {100 * HOPELESS:g} % at this effect"


def _small(stated: Stated, look: Tested, level: float) -> str:
    """`less than a point` if the interval of each part at this level lies within the margin. Otherwise returns ""."""
    if not KINDS[stated.claim.kind].no_difference:
        return ""
    words = ""
    for part in look.parts:
        margin = _margin(stated, part.metric) if part.metric else None
        if part.estimate is None or not margin:
            return ""
        low, high = part.estimate.interval(1 - level)
        if low < -margin or high > margin:
            return ""
        unit = part.metric.difference_unit if part.metric else ""
        words = "less than a point" if (margin, unit) == (1.0, "points") else f"less than {margin:g} {unit}".rstrip()
    return words


def _margin(stated: Stated, shown: Metric) -> float | None:
    """The claim's margin, or the default one of its metric. Returns None if there is neither."""
    return stated.margin(shown) or MARGINS.get(shown.name.rpartition("/")[2], 0.0) * shown.printed_unit or None


def _hopeless(stated: Stated, look: Tested, levels: Sequence[float]) -> bool:
    """Whether this is the last look or, from the third look on, a decision at the last one is improbable."""
    plan, seeds = plan_of(stated), look.seeds or 0
    if seeds == plan.most:
        return True
    if seeds < plan.start + 2:
        return False
    part = _deciding(stated.claim, look)
    if part is None:  # no single part can make p smaller than 1
        return True
    if part.estimate is None or part.bounds is None or not part.pair.p:
        return False
    factor = max(look.pair.p / part.pair.p, 1.0)  # by which its p was multiplied, to correct for the choice of a part
    return conditional_power(part.estimate, *part.bounds, seeds / plan.most, levels[-1] / factor) < HOPELESS


def _deciding(claim: Claim, look: Tested) -> Comparison | None:
    """The part that determines the claim's p: if its p were smaller, so would be the claim's."""
    together = KINDS[claim.kind].together
    pairs = [part.pair for part in look.parts]
    for i, part in enumerate(look.parts):
        nearer = Pair(part.pair.holds * NEARER, part.pair.fails * NEARER)
        if together(claim, [*pairs[:i], nearer, *pairs[i + 1:]]).p < look.pair.p:
            return part
    return look.parts[0] if len(look.parts) == 1 else None
