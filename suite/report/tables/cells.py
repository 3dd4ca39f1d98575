"""Makes cells from samples over seeds: numbers with n, differences, X for chance, and words for what is missing."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from scipy import special

from suite.data import cards
from suite.report.metric import Metric
from suite.report.published.number import CHANCE, number_text
from suite.report.statistics import contrast
from suite.report.tables.results import Missing, Sample
from suite.report.tables.so_far import UNFINISHED, SoFar
from suite.report.tables.table import Cell, Head

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.report.published.number import Number

CHANCE_LEVEL = 0.95


def make_cell(row: str, head: Head, sample: Sample, excluded: str = "", spread: str = "sample", base: str = "",
              so_far: SoFar | None = None) -> Cell:
    """The cell of a sample. `excluded` is the reason if there are no runs.

    With `base`, the values are differences from that row. `so_far`, in stored units, is shown if no seed has a number.
    """
    ids = tuple(run.run_id for run in sample.runs)
    if not sample.runs:
        state, reason = ("excluded", f"excluded: {excluded}") if excluded else ("absent", "not selected")
        return Cell(row, head.label, state, "", reason, reason, base=base)
    shown = {seed: value * head.metric.factor for seed, value in sorted(sample.values.items())}
    if not shown:
        state = sample.missing[0].state if len({m.state for m in sample.missing}) == 1 else "mixed"
        reason = nothing_yet(sample.missing)
        now = so_far.scaled(head.metric.factor) if so_far else None
        text = f"{so_far_number(now, head, base)} {so_far_rest(now, sample.missing)}" if now else reason
        return Cell(row, head.label, state, "", text, reason, values={}, run_ids=ids, base=base, so_far=now)
    summary = contrast.summarise(list(shown.values()))
    interval = contrast.mean_interval(list(shown.values())) if summary.n > 1 else None
    missing = count_words(sample.missing)
    std = summary.std
    if std is not None and spread == "population":
        std *= math.sqrt((summary.n - 1) / summary.n)
    shown_std = f" ± {head.metric.format(std)}" if std is not None and spread != "none" else ""
    rest = f"{shown_std} ({', '.join([f'n={summary.n}', *missing])})"
    return Cell(row, head.label, "incomplete" if missing else "complete",
                head.metric.format(summary.mean, signed=bool(base)), rest, ", ".join(missing), summary.mean, std,
                interval, summary.n, shown, ids, base=base)


def so_far_number(now: SoFar, head: Head, base: str) -> str:
    """The mean over unfinished runs, as text."""
    return head.metric.format(now.mean, signed=bool(base))


def so_far_rest(now: SoFar, missing: Iterable[Missing]) -> str:
    """`at epoch 1 of 6, n=1, 2 not run`."""
    others = count_words(one for one in missing if one.state not in UNFINISHED)
    return ", ".join([now.words, *others])


def difference(sample: Sample, reference: Sample, base: str) -> Sample:
    """The sample minus the reference, seed by seed. A seed that the reference does not have is missing."""
    both = sample.values.keys() & reference.values.keys()
    alone = [Missing(seed, "base", f"without {base}") for seed in sorted(sample.values.keys() - both)]
    return Sample({seed: sample.values[seed] - reference.values[seed] for seed in sorted(both)},
                  (*sample.missing, *alone), sample.runs)


def published_cell(row: str, head: Head, number: Number | None) -> Cell:
    """The cell of a row that shows the numbers printed in the paper."""
    if number is None:
        return Cell(row, head.label, "absent", "", "not in the paper", "not in the paper")
    unit = head.metric.factor / (100 if number.metric == "accuracy" else 1)
    value, std = (None if x is None else x * unit for x in (number.mean, number.std))
    reason = f"printed in table {number.table}" + (f", from {number.citation}" if number.citation else "")
    text = number_text(number, head.metric, value, std, signed=number.delta_of is not None)
    return Cell(row, head.label, "published", text, "", reason, value, std)


def nothing_yet(missing: Sequence[Missing]) -> str:
    """Why no seed of a cell has a number: `not run`, `1/100 epochs`, `0/3 diverged`, `0/3: 1 running, 2 not run`."""
    words = dict.fromkeys(m.words for m in missing)
    if len(words) > 1:
        return f"0/{len(missing)}: {', '.join(count_words(missing))}"
    only = next(iter(words))
    return only if missing[0].state in ("todo", "partial") else f"0/{len(missing)} {only}"


def count_words(missing: Iterable[Missing]) -> list[str]:
    """`1 running`, `2 not run`, `1 at 3/100 epochs`."""
    counts = Counter(f"at {m.words}" if m.state == "partial" else m.words for m in missing)
    return [f"{count} {words}" for words, count in counts.items()]


def ranked(cells: list[Cell], shown: Metric) -> list[Cell]:
    """The cells with ranks 1 and 2 for the best complete ones. Numbers that are equal as printed share a rank."""
    complete = [cell for cell in cells if cell.state in ("complete", "average")]
    means = {cell.number: cell.mean for cell in complete if cell.mean is not None}
    order = sorted(means, key=lambda number: means[number], reverse=shown.direction == "max")
    if len(complete) < 2 or any(cell.base for cell in cells):  # differences are not ranked
        return cells
    rank = {number: place for place, number in enumerate(order[:2], 1)}
    return [replace(cell, rank=rank.get(cell.number, 0) if cell in complete else 0) for cell in cells]


def average(row: str, head: Head, cells: Sequence[Cell]) -> Cell:
    """The mean of complete cells, with its 95 % interval from their standard deviations (Welch and Satterthwaite).

    If a cell has no number, or not all of its seeds, there is no average. The average of differences is a difference.
    """
    complete = [cell for cell in cells if cell.mean is not None and cell.state in ("complete", "chance")]
    if len(complete) < len(cells):
        reason = f"{len(complete)}/{len(cells)} columns"
        return Cell(row, head.label, "mixed", "", reason, reason)
    worst, base = CHANCE * head.metric.factor / 100, cells[0].base
    if base and any(cell.chance for cell in cells):
        return Cell(row, head.label, "mixed", "", "X has no difference", "X has no difference", base=base)
    mean = sum(worst if cell.chance else cell.mean or 0.0 for cell in cells) / len(cells)
    return Cell(row, head.label, "average", head.metric.format(mean, signed=bool(base)), "", mean=mean,
                interval=_average_interval(mean, cells), base=base)


def _average_interval(mean: float, cells: Sequence[Cell]) -> tuple[float, float] | None:
    samples = [list((cell.values or {}).values()) for cell in cells]
    if any(len(sample) < 2 for sample in samples):
        return None
    parts = [(statistics.variance(sample) / len(sample), len(sample) - 1)
             for cell, sample in zip(cells, samples, strict=True) if not cell.chance]
    variance = sum(part for part, _ in parts)
    if not variance:
        return mean, mean
    df = variance**2 / sum(part**2 / free for part, free in parts)
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(variance) / len(cells)
    return mean - half, mean + half


def mark_chance(cell: Cell, head: Head, chance: float, final: Sample) -> Cell:
    """The cell as an X if most of its seeds end within the 95 % binomial interval of `chance` (a fraction).

    `final` is the metric after the last epoch, because the best of many epochs is above chance by luck. "Most" refers
    to all seeds of the cell, finished or not. The interval is computed for the number of examples of the split. If the
    data card does not give it, the cell keeps its number, and its reason says so.
    """
    if not cell.values or not final.values:
        return cell
    split = head.metric.name.partition("/")[0].partition("@")[0]
    examples = count_examples(final.runs[0], split)
    if not examples:
        note = f"not tested for chance: the card does not count the examples of the split {split}"
        return replace(cell, reason="; ".join(filter(None, (cell.reason, note))))
    low, high = _chance_interval(examples, chance)
    inside = sum(low <= value <= high for value in final.values.values())
    if 2 * inside <= len(final.runs):
        return cell
    reason = (f"{inside} of {len(final.runs)} seeds end within {head.metric.format(low * head.metric.factor)} to "
              f"{head.metric.format(high * head.metric.factor)}, the 95 % interval of chance for {examples} examples")
    rest = f" ({', '.join(filter(None, (f'n={cell.n}', cell.reason)))})"
    return replace(cell, state="chance", number="X", rest=rest, reason=reason)


def at_chance(head: Head, final: Sample) -> frozenset[int]:
    """The seeds whose last epoch is within the 95 % binomial interval of the column's chance; empty if unknown."""
    split = head.metric.name.partition("/")[0].partition("@")[0]
    examples = count_examples(final.runs[0], split) if final.runs else 0
    if not examples or head.chance is None:
        return frozenset()
    low, high = _chance_interval(examples, head.chance)
    return frozenset(seed for seed, value in final.values.items() if low <= value <= high)


def _chance_interval(examples: int, chance: float) -> tuple[float, float]:
    """The 95 % interval of the fraction of examples that are right by chance."""
    from scipy import stats  # imported here because it takes half a second

    low, high = stats.binom.interval(CHANCE_LEVEL, examples, chance)
    return float(low) / examples, float(high) / examples


def count_examples(run: GridRun, split: str) -> int:
    """The number of examples of the split: the card's count, or the share that an option selects; 0 if unknown."""
    data = run.config.data
    variant = cards.load(data.name).variant(data.variant)
    share = 1.0
    for name in ("count", "test_count"):
        if name in variant.options:
            share *= float(data.options[name]) / float(variant.options[name].default)
    return round(variant.counts.get(split, 0) * share)
