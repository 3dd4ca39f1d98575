"""The numbers that claims are tested with: what stands in a cell of a table; here, from runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from suite.report.against.verdict import incomparable
from suite.report.claims.claim import Claim
from suite.report.metric import QUANTITIES, Metric
from suite.report.published.number import CHANCE
from suite.report.published.papers import Published
from suite.report.statistics.contrast import Summary, summarise
from suite.report.statistics.variance import Variance
from suite.report.tables.cells import at_chance, count_examples, count_words
from suite.report.tables.evaluated import ByExample, ExampleOutcomes
from suite.report.tables.results import FAILURES, Missing, Results, Sample
from suite.report.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid, GridRun
    from suite.report.tables.layout import Epoch

UNASKED = "the grid, as it was asked for, has no such runs"


DETERMINISTIC = ("mean", "ridge")  # models that give every seed the same number
COUNTS = ("parameters", "mb")  # metrics that do, but for what the machine adds to its memory
FOR_GOOD = frozenset({*FAILURES, "cancelled", "done"}) - {"timeout", "killed"}  # states of seeds that get no number


@dataclass(frozen=True)
class Datum:
    """What stands in a cell, in the metric's shown unit: its summary, and the values by seed if they are known.

    `why` there are not as many as were `planned`; `ended` has the seeds that ended without a number for good, with
    words. `base`: what the mean is a difference from, if no more is known. A `constant` has no error; `failed` is a
    printed X. `examples`: how many the metric was evaluated on. `model`: whose seeds may share a variance with these;
    `deterministic`: all seeds are the same by construction; `chance`: the seeds that end no better than chance.
    `by_example`: where the outcomes by example are. `runs`: their ids, by which a row that a table has twice is known.
    """

    metric: Metric
    summary: Summary | None
    values: Mapping[int, float] = field(default_factory=dict)
    why: str = ""
    planned: int = 1
    base: str = ""
    constant: bool = False
    failed: bool = False
    examples: int | None = None
    ended: Mapping[int, str] = field(default_factory=dict)
    model: str = ""
    deterministic: bool = False
    chance: frozenset[int] = frozenset()
    by_example: ByExample | None = None
    runs: frozenset[str] = frozenset()

    @property
    def n(self) -> int:
        """How many seeds have a number."""
        return self.summary.n if self.summary else 0

    def at(self, seeds: Sequence[int]) -> Datum:
        """The same of these seeds only."""
        values = {seed: self.values[seed] for seed in seeds if seed in self.values}
        return replace(self, values=values, summary=summarise(list(values.values())) if values else None,
                       why="", planned=len(seeds))


def first_of(data: Mapping[str, Datum]) -> dict[str, str]:
    """By row the first one that is made of the same runs: itself, unless a table has a row in two of its blocks."""
    owner: dict[str, str] = {}  # by run
    found: dict[str, str] = {}
    for row, datum in data.items():
        found[row] = next((owner[run] for run in datum.runs if run in owner), row)
        owner |= dict.fromkeys(datum.runs, found[row])
    return found


class Numbers(Protocol):
    """Where claims get their numbers from."""

    @property
    def profile(self) -> str:
        """`paper`, or one whose numbers are not compared with published ones."""

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds in the order in which they count; none for numbers that do not grow."""

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """What stands in a cell of the claim's table."""

    def published(self, claim: Claim, row: str, column: str) -> float | str | None:
        """The published number of that cell, or why it is not comparable with these; None if there is none."""

    def rows(self, claim: Claim) -> Sequence[str]:
        """The rows of the claim's table."""

    def borrowed(self, claim: Claim, column: str) -> tuple[Variance, str] | None:
        """A variance for numbers of this column without one, and where it is from; None if there is none."""

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """For each row of the claim's table the method and the variant of it."""

def _digits(shown: Metric) -> Metric:
    """The metric with at least the digits of its kind: differences are smaller than what they are taken from."""
    quantity = QUANTITIES.get(shown.name.rpartition("/")[2])
    if quantity is None or quantity.unit != shown.unit:
        return shown
    return replace(shown, digits=max(shown.digits, quantity.digits))


def is_count(shown: Metric) -> bool:
    """Whether the metric is counted, so that every seed has the same number."""
    return shown.name.rpartition("/")[2] in COUNTS


def _examples(run: GridRun, shown: Metric) -> int | None:
    """How many examples the metric is a mean over; None for a measurement, which has no data."""
    split = shown.name.partition("/")[0].partition("@")[0]
    return None if run.config.kind == "bench" else count_examples(run, split) or None


def total(coefficients: Sequence[float], data: Sequence[Datum]) -> float | None:
    """The sum of coefficient times mean, None where a mean is not known, or only as a difference."""
    bases: dict[str, float] = {}
    value = 0.0
    for c, datum in zip(coefficients, data, strict=True):
        if datum.summary is None:
            return None
        value += c * datum.summary.mean
        bases[datum.base] = bases.get(datum.base, 0.0) + c
    return value if all(abs(c) < 1e-12 for base, c in bases.items() if base) else None


@dataclass(frozen=True)
class RunNumbers:
    """The numbers of a grid's runs, in the tables that show them."""

    grid: Grid
    tables: Sequence[Table]
    results: Results
    file: Published

    @property
    def profile(self) -> str:
        """The grid's profile."""
        return self.grid.profile

    @property
    def seeds(self) -> Sequence[int]:
        """The grid's list of seeds, then those that were added."""
        return self.grid.seeds

    @cached_property
    def _cells(self) -> dict[tuple[str, str, str], tuple[Head, Cell]]:
        return {(table.name, row, head.label): (head, cell) for table in self.tables
                for row, cells in zip(table.rows, table.cells, strict=True)
                for head, cell in zip(table.heads, cells, strict=True)}

    @cached_property
    def _runs(self) -> dict[str, GridRun]:
        return {run.run_id: run for run in self.grid.runs}

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """The metric of the column, at its epoch or the claim's, over the seeds of the cell."""
        if (claim.table, row, column) not in self._cells:
            return Datum(Metric("", "", "max", 1.0, "", 2), None, why=UNASKED)
        head, cell = self._cells[claim.table, row, column]
        shown = _digits(head.metric)
        if cell.state == "published":
            return self._constant(cell, shown)
        if head.averages:
            return Datum(shown, None, why=f"{column} is an average, without seeds: name its columns, with `over: mean`")
        runs = [self._runs[run_id] for run_id in cell.run_ids if run_id in self._runs]
        if not runs:
            left_out = cell.state == "excluded"  # no look waits for what the grid never runs
            return Datum(shown, None, why=cell.reason if left_out else UNASKED, planned=0 if left_out else 1)
        sample = self._mean_epoch(runs, head.metric.name) if claim.epoch == "mean" else \
            self.results.sample(runs, head.metric.name, claim.epoch or head.epoch)
        values = {seed: value * head.metric.factor for seed, value in sorted(sample.values.items())}
        final = self.results.sample(runs, head.metric.name, "last") if head.chance else None
        return Datum(shown, summarise(list(values.values())) if values else None, values,
                     ", ".join(count_words(sample.missing)), len(runs),
                     examples=_examples(runs[0], head.metric),
                     ended={one.seed: one.words for one in sample.missing if one.state in FOR_GOOD},
                      model=runs[0].config.model.name,
                      deterministic=runs[0].config.model.name in DETERMINISTIC or is_count(head.metric),
                      chance=at_chance(head, final) if final else frozenset(),
                      by_example=self._by_example(runs, head, claim.epoch or head.epoch),
                      runs=frozenset(run.run_id for run in runs))

    @cached_property
    def _outcomes(self) -> ExampleOutcomes:
        return ExampleOutcomes(self.results)

    def _by_example(self, runs: Sequence[GridRun], head: Head, epoch: Epoch | Literal["mean"]) -> ByExample | None:
        by_seed = {run.config.seed: run for run in runs if run.config.kind == "train"}
        return ByExample(self._outcomes, by_seed, head.metric.name, epoch, head.metric.factor) if by_seed else None

    def _constant(self, cell: Cell, shown: Metric) -> Datum:
        """A printed number among ours, which stands without error; an X is counted as the paper counts it."""
        if self.profile != "paper":
            return Datum(shown, None, why=f"printed, and not comparable with the profile {self.profile}")
        mean = CHANCE * shown.factor / 100 if cell.number == "X" else cell.mean
        return Datum(shown, None, why="not printed") if mean is None else \
            Datum(shown, Summary(1, mean, None), constant=True)

    def _mean_epoch(self, runs: Sequence[GridRun], metric: str) -> Sample:
        """The mean over the epochs of each whole run: the height of its learning curve."""
        if metric == "parameters":  # the same in every epoch, and in the rows of none
            return self.results.sample(runs, metric, "last")
        values: dict[int, float] = {}
        missing: list[Missing] = []
        for run in runs:
            last = self.results.value(run, metric, "last")
            mean = last if isinstance(last, tuple) else float(np.mean(self.results.series(run.run_id, metric)))
            if isinstance(mean, float) and not math.isfinite(mean):
                mean = "diverged", FAILURES["diverged"]
            if isinstance(mean, tuple):
                missing.append(Missing(run.config.seed, *mean))
            else:
                values[run.config.seed] = mean
        return Sample(values, tuple(missing), tuple(runs))

    def published(self, claim: Claim, row: str, column: str) -> float | str | None:
        """The number that the cell is held against, absolute as `datum` is, or why the two may not be compared."""
        cell = self._cells[claim.table, row, column][1] if (claim.table, row, column) in self._cells else None
        if cell is None or not cell.judged:
            return None
        one = cell.judged[0]  # it may lack a number, for want of its base, where `datum` has one
        why = incomparable((self._runs[run_id] for run_id in cell.run_ids), self.grid, one.table) or \
            (one.reason if one.verdict == "not comparable" else "")
        number = self.file.find(one.table, one.row, one.column)
        return why or (self.file.absolute(number) if number else None)

    def rows(self, claim: Claim) -> Sequence[str]:
        """The rows of the claim's table."""
        return next(table.rows for table in self.tables if table.name == claim.table)

    def borrowed(self, claim: Claim, column: str) -> tuple[Variance, str] | None:
        """None: runs have deviations of their own."""
        return None

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """For each row of the claim's table its label, and the block that it is a variant in."""
        table = next(table for table in self.tables if table.name == claim.table)
        return {row: (line.label, line.group) for row, line in zip(table.rows, table.lines, strict=True)}
