"""The numbers that claims are tested with: the contents of a cell of a table; here, from runs."""

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

NOT_SELECTED = "the selected part of the grid has no such runs"
DETERMINISTIC = ("mean", "ridge")  # models that give the same number for every seed
COUNTS = ("parameters", "mb")  # metrics that are the same for every seed, except for noise in measured memory
FINAL = frozenset({*FAILURES, "cancelled", "done"}) - {"timeout", "killed"}  # of a seed that will never have a number


@dataclass(frozen=True)
class Datum:
    """The contents of a cell, in the metric's shown unit: its summary, and its values by seed if they are known.

    `why` explains why there are fewer values than `planned`. `ended` has the seeds that will never have a number, each
    with its state in words. `base` is the reference of the mean, if only the difference is known. A `constant` has no
    error; `failed` is a printed X. `examples` is the number of evaluated examples. Cells of the same `model` may share
    a variance. `deterministic`: all seeds have the same number by construction. `chance` has the seeds that end no
    better than chance. `by_example` gives the outcomes by example. `runs` has the run ids, which identify a row that a
    table has twice.
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
        """The number of seeds that have a value."""
        return self.summary.n if self.summary else 0

    def at(self, seeds: Sequence[int]) -> Datum:
        """The same cell, restricted to these seeds."""
        values = {seed: self.values[seed] for seed in seeds if seed in self.values}
        return replace(self, values=values, summary=summarise(list(values.values())) if values else None,
                       why="", planned=len(seeds))


def first_of(data: Mapping[str, Datum]) -> dict[str, str]:
    """For each row, the first row that has the same runs: itself, unless the table has a row in two blocks."""
    owner: dict[str, str] = {}  # by run
    found: dict[str, str] = {}
    for row, datum in data.items():
        found[row] = next((owner[run] for run in datum.runs if run in owner), row)
        owner |= dict.fromkeys(datum.runs, found[row])
    return found


class Numbers(Protocol):
    """The source of the numbers of claims."""

    @property
    def profile(self) -> str:
        """The profile. Only numbers of `paper` are compared with published ones."""

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds in the order in which they count; empty for numbers that cannot grow."""

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """The contents of a cell of the claim's table."""

    def published(self, claim: Claim, row: str, column: str) -> float | str | None:
        """The published number of that cell, or the reason why it is not comparable. None if there is no number."""

    def rows(self, claim: Claim) -> Sequence[str]:
        """The rows of the claim's table."""

    def borrowed(self, claim: Claim, column: str) -> tuple[Variance, str] | None:
        """A variance from elsewhere for a column whose numbers have none, and a note on its source. None if unknown."""

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """The method and its variant, for each row of the claim's table."""


def _digits(shown: Metric) -> Metric:
    """The metric with at least the default digits of its quantity, because differences are small numbers."""
    quantity = QUANTITIES.get(shown.name.rpartition("/")[2])
    if quantity is None or quantity.unit != shown.unit:
        return shown
    return replace(shown, digits=max(shown.digits, quantity.digits))


def is_count(shown: Metric) -> bool:
    """Whether the metric is a count, which is the same for every seed."""
    return shown.name.rpartition("/")[2] in COUNTS


def _examples(run: GridRun, shown: Metric) -> int | None:
    """The number of examples that the metric is a mean over; None for a measurement, which has no data."""
    split = shown.name.partition("/")[0].partition("@")[0]
    return None if run.config.kind == "bench" else count_examples(run, split) or None


def total(coefficients: Sequence[float], data: Sequence[Datum]) -> float | None:
    """The sum of coefficient × mean. None if a mean is unknown, or known only as a difference."""
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
        """The grid's list of seeds, then the added ones."""
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
            return Datum(Metric("", "", "max", 1.0, "", 2), None, why=NOT_SELECTED)
        head, cell = self._cells[claim.table, row, column]
        shown = _digits(head.metric)
        if cell.state == "published":
            return self._constant(cell, shown)
        if head.averages:
            return Datum(shown, None, why=f"{column} is an average without seeds: name its columns, with `over: mean`")
        runs = [self._runs[run_id] for run_id in cell.run_ids if run_id in self._runs]
        if not runs:
            excluded = cell.state == "excluded"  # no look waits for runs that the grid excludes
            return Datum(shown, None, why=cell.reason if excluded else NOT_SELECTED, planned=0 if excluded else 1)
        sample = self._mean_epoch(runs, head.metric.name) if claim.epoch == "mean" else \
            self.results.sample(runs, head.metric.name, claim.epoch or head.epoch)
        values = {seed: value * head.metric.factor for seed, value in sorted(sample.values.items())}
        final = self.results.sample(runs, head.metric.name, "last") if head.chance else None
        return Datum(shown, summarise(list(values.values())) if values else None, values,
                     ", ".join(count_words(sample.missing)), len(runs),
                     examples=_examples(runs[0], head.metric),
                     ended={one.seed: one.words for one in sample.missing if one.state in FINAL},
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
        """A printed number in a row of the table, taken without error. An X counts as in the paper."""
        if self.profile != "paper":
            return Datum(shown, None, why=f"printed, not comparable with the profile {self.profile}")
        mean = CHANCE * shown.factor / 100 if cell.number == "X" else cell.mean
        return Datum(shown, None, why="not printed") if mean is None else \
            Datum(shown, Summary(1, mean, None), constant=True)

    def _mean_epoch(self, runs: Sequence[GridRun], metric: str) -> Sample:
        """The mean over all epochs of each finished run."""
        if metric == "parameters":  # not measured by epoch
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
        """The published number of the cell, absolute as `datum` is, or the reason why they are not comparable."""
        cell = self._cells[claim.table, row, column][1] if (claim.table, row, column) in self._cells else None
        if cell is None or not cell.judged:
            return None
        one = cell.judged[0]  # has no number if its base row has none, even if `datum` has one
        why = incomparable((self._runs[run_id] for run_id in cell.run_ids), self.grid, one.table) or \
            (one.reason if one.verdict == "not comparable" else "")
        number = self.file.find(one.table, one.row, one.column)
        return why or (self.file.absolute(number) if number else None)

    def rows(self, claim: Claim) -> Sequence[str]:
        """The rows of the claim's table."""
        return next(table.rows for table in self.tables if table.name == claim.table)

    def borrowed(self, claim: Claim, column: str) -> tuple[Variance, str] | None:
        """None, because runs have their own standard deviations."""
        return None

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """For each row of the claim's table, its label and the block that makes it a variant."""
        table = next(table for table in self.tables if table.name == claim.table)
        return {row: (line.label, line.group) for row, line in zip(table.rows, table.lines, strict=True)}
