"""The looks at a claim, replayed from the data: how many there are, what each shows, and what blocks the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.report.claims.claim import Stated
from suite.report.claims.kinds.registry import KINDS
from suite.report.claims.numbers import Numbers
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import Cache, View
from suite.report.statistics.multiple import Pair


@dataclass(frozen=True)
class Tested:
    """The comparisons of a claim at a look with `seeds` seeds (None: all), and their combined p values, `pair`."""

    parts: tuple[Comparison, ...]
    pair: Pair
    seeds: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """The looks that a claim has reached, in order.

    `stopped` is the reason why there is no next look; `held` is True if there never will be one. `before` has the
    comparisons over all seeds so far, if there is no look yet.
    """

    looks: tuple[Tested, ...]
    stopped: str = ""
    held: bool = False
    before: Tested | None = None


def history(stated: Stated, numbers: Numbers, cache: Cache) -> History:
    """The history of a claim. If its family declares no looks, or the numbers cannot grow, there is one look."""
    plan = stated.rules.plan
    if plan is None or not numbers.seeds:
        return History((_look(View(stated, numbers, None, cache), None),))
    seeds = list(numbers.seeds)[:plan.most]
    available, stopped, held = _leading(stated, numbers, seeds)
    first = View(stated, numbers, seeds[:plan.start], cache)
    columns = dict.fromkeys(column for _, column in stated.claim.cells)
    waiting = [row for column in columns for row in first.incomplete_rows(column)]
    if available >= plan.start and waiting:
        available, held = 0, False
        stopped = f"waits for the first {plan.start} seeds of {', '.join(dict.fromkeys(waiting))}"
    notes = tuple(f"without {', '.join(rows)} in the variance of {column}, as their first {plan.start} seeds did not "
                  "all end with a number" for column in columns if (rows := first.left_out(column)))
    looks = tuple(replace(_look(View(stated, numbers, seeds[:k], cache), k),
                          notes=notes + _exploratory(stated, seeds[:k])) for k in plan.seeds if k <= available)
    before = None if looks else _look(View(stated, numbers, None, cache), None)
    return History(looks, stopped, held, before)


def _exploratory(stated: Stated, seeds: Sequence[int]) -> tuple[str, ...]:
    """A note if the results of some of these seeds were known when the rules were chosen.

    It is independent of the declaration, which records when the rules were fixed in a store: a family can be declared
    before its runs there, by an author who knew the results of the same seeds from elsewhere.
    """
    seen = sorted(stated.rules.seen)
    return (f"the rule itself was chosen after {_seeds(seen)} were known (exploratory)",) if set(seeds) & set(seen) \
        else ()


def _seeds(seeds: Sequence[int]) -> str:
    """`seed 0`, `seeds 0 to 2`, `seeds 0, 5 and 7`."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


def _look(view: View, seeds: int | None) -> Tested:
    kind, claim = KINDS[view.stated.claim.kind], view.stated.claim
    parts = kind.compare(view)
    return Tested(parts, kind.together(claim, [part.pair for part in parts]), seeds)


def _leading(stated: Stated, numbers: Numbers, seeds: Sequence[int]) -> tuple[int, str, bool]:
    """How many leading seeds all cells of the claim have, why there are no more, and whether this is final."""
    found = len(seeds), "", False
    for row, column in stated.claim.cells:
        datum = numbers.datum(stated.claim, row, column)
        if datum.constant:
            continue
        gap = next((i for i, seed in enumerate(seeds) if seed not in datum.values), len(seeds))
        if gap >= len(seeds) or gap > found[0]:
            continue
        ended = seeds[gap] in datum.ended
        if gap < found[0] or (ended and not found[2]):
            words = datum.ended.get(seeds[gap], "")
            found = gap, f"seed {seeds[gap]} of {row} {words}" if ended else "", ended
    return found
