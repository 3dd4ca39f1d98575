"""X, as the paper prints it: a cell whose seeds are no better than chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from suite.data import cards
from suite.report.table import Cell, Head

if TYPE_CHECKING:
    from suite.grid import GridRun

LEVEL = 0.95


def mark(cell: Cell, head: Head, chance: float, run: GridRun) -> Cell:
    """The cell as an X where most of its seeds lie within the 95 % binomial interval of `chance` (a fraction).

    The interval is that of the examples of the split; `run` tells which they are. Without their count in the data
    set's card the cell stays a number, and its reason says so.
    """
    if not cell.values:
        return cell
    split = head.metric.name.partition("/")[0].partition("@")[0]
    examples = count_examples(run, split)
    if not examples:
        told = f"not tested for chance: the card does not count the examples of the split {split}"
        return replace(cell, reason="; ".join(filter(None, (cell.reason, told))))
    from scipy import stats  # here, since it takes half a second to import

    low, high = (bound / examples for bound in stats.binom.interval(LEVEL, examples, chance))
    at_chance = sum(low <= value / head.metric.factor <= high for value in cell.values.values())
    if 2 * at_chance <= len(cell.values):
        return cell
    reason = (f"{at_chance} of {len(cell.values)} seeds lie within {head.metric.format(low * head.metric.factor)} to "
              f"{head.metric.format(high * head.metric.factor)}, the 95 % interval of chance for {examples} examples")
    return replace(cell, state="chance", number="X", rest=f" (n={cell.n})", reason=reason)


def count_examples(run: GridRun, split: str) -> int:
    """How many examples the split has: the card's count, or the share of it that an option asks for; 0 if unknown."""
    data = run.config.data
    variant = cards.load(data.name).variant(data.variant)
    share = 1.0
    for name in ("count", "test_count"):
        if name in variant.options:
            share *= float(data.options[name]) / float(variant.options[name].default)
    return round(variant.counts.get(split, 0) * share)
