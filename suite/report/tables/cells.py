"""From samples over seeds to cells: numbers with n, differences, X for chance, and words for what is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.report.metric import Metric
from suite.report.statistics import contrast
from suite.report.tables.results import Missing, Sample
from suite.report.tables.table import Cell, Head

if TYPE_CHECKING:
    from suite.report.published import Number


def make_cell(row: str, head: Head, sample: Sample, excluded: str = "", spread: str = "sample", base: str = "") -> Cell:
    """The cell of a sample; `excluded` says why there are no runs. With `base`, the values are differences from it."""
    ids = tuple(run.run_id for run in sample.runs)
    if not sample.runs:
        state, reason = ("excluded", f"excluded: {excluded}") if excluded else ("absent", "not asked for")
        return Cell(row, head.label, state, "", reason, reason, base=base)
    shown = {seed: value * head.metric.factor for seed, value in sorted(sample.values.items())}
    if not shown:
        state = sample.missing[0].state if len({m.state for m in sample.missing}) == 1 else "mixed"
        reason = nothing_yet(sample.missing)
        return Cell(row, head.label, state, "", reason, reason, values={}, run_ids=ids, base=base)
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


def difference(sample: Sample, reference: Sample, base: str) -> Sample:
    """The sample less the reference, seed by seed; a seed that the reference lacks is missing."""
    both = sample.values.keys() & reference.values.keys()
    alone = [Missing(seed, "base", f"without {base}") for seed in sorted(sample.values.keys() - both)]
    return Sample({seed: sample.values[seed] - reference.values[seed] for seed in sorted(both)},
                  (*sample.missing, *alone), sample.runs)


def published_cell(row: str, head: Head, number: Number | None) -> Cell:
    """A number of the paper in a row that shows what it prints."""
    from suite.report.against.verdict import number_text

    if number is None:
        return Cell(row, head.label, "absent", "", "not in the paper", "not in the paper")
    unit = head.metric.factor / (100 if number.metric == "accuracy" else 1)
    value, std = (None if x is None else x * unit for x in (number.mean, number.std))
    reason = f"printed in table {number.table}" + (f", from {number.citation}" if number.citation else "")
    return Cell(row, head.label, "published", number_text(number, head.metric, value, std), "", reason, value, std)


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
    """Marks the best and the second of the complete cells, by what is printed: equal numbers share a place."""
    complete = [cell for cell in cells if cell.state in ("complete", "average")]
    means = {cell.number: cell.mean for cell in complete if cell.mean is not None}
    order = sorted(means, key=lambda number: means[number], reverse=shown.direction == "max")
    if len(complete) < 2 or any(cell.base for cell in cells):  # differences are no candidates for the best number
        return cells
    rank = {number: place for place, number in enumerate(order[:2], 1)}
    return [replace(cell, rank=rank.get(cell.number, 0) if cell in complete else 0) for cell in cells]
