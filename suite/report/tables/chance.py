"""X, as the paper prints it: a cell whose seeds end no better than chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from suite.data import cards
from suite.report.tables.table import Cell, Head

if TYPE_CHECKING:
    from suite.grid.expand import GridRun
    from suite.report.tables.results import Sample

LEVEL = 0.95


def mark(cell: Cell, head: Head, chance: float, final: Sample) -> Cell:
    """The cell as an X where most of its seeds end within the 95 % binomial interval of `chance` (a fraction).

    `final` is the metric after the last epoch: the best of many epochs lies above chance by luck. Most are those of
    all seeds that are asked for. The interval is that of the examples of the split; without their count in the data
    set's card the cell stays a number, and its reason says so.
    """
    if not cell.values or not final.values:
        return cell
    split = head.metric.name.partition("/")[0].partition("@")[0]
    examples = count_examples(final.runs[0], split)
    if not examples:
        told = f"not tested for chance: the card does not count the examples of the split {split}"
        return replace(cell, reason="; ".join(filter(None, (cell.reason, told))))
    from scipy import stats  # here, since it takes half a second to import

    low, high = (bound / examples for bound in stats.binom.interval(LEVEL, examples, chance))
    at_chance = sum(low <= value <= high for value in final.values.values())
    if 2 * at_chance <= len(final.runs):
        return cell
    reason = (f"{at_chance} of {len(final.runs)} seeds end within {head.metric.format(low * head.metric.factor)} to "
              f"{head.metric.format(high * head.metric.factor)}, the 95 % interval of chance for {examples} examples")
    rest = f" ({', '.join(filter(None, (f'n={cell.n}', cell.reason)))})"
    return replace(cell, state="chance", number="X", rest=rest, reason=reason)


def count_examples(run: GridRun, split: str) -> int:
    """How many examples the split has: the card's count, or the share of it that an option asks for; 0 if unknown."""
    data = run.config.data
    variant = cards.load(data.name).variant(data.variant)
    share = 1.0
    for name in ("count", "test_count"):
        if name in variant.options:
            share *= float(data.options[name]) / float(variant.options[name].default)
    return round(variant.counts.get(split, 0) * share)
