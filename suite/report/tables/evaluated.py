"""The examples that a run was evaluated on: their number, their name, and the outcome of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special

from suite.report.statistics.crossed import Layer, paired, rooted
from suite.report.tables.cells import count_examples

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.report.tables.layout import Epoch
    from suite.report.tables.results import Results
    from suite.report.tables.table import Cell, Head, Table

NOUNS = {"cifar10": "images", "pathfinder": "images", "speech_commands": "clips", "bidmc": "windows",
         "listops": "expressions", "imdb": "reviews", "aan": "pairs"}  # by data set
NOUN = "examples"
NOT_RECORDED = "not recorded"
QUANTITIES = ("accuracy", "rmse")
Place: TypeAlias = tuple[str, str, str]  # table, row, column
Interval: TypeAlias = tuple[float, float]
ROUNDING = 1e-3  # relative: the absolute errors are kept with eleven bits


def noun(run: GridRun) -> str:
    """The name of the examples of a run's data, in the plural."""
    return NOUNS.get(run.config.data.name, NOUN)


def counted(examples: int, name: str) -> str:
    """`224 clips`, `10,000 images`."""
    return f"{examples:,} {name}"


def split_of(metric: str) -> str:
    """The split of a metric: `test` of `test@8000/accuracy`."""
    return metric.partition("/")[0].partition("@")[0]


def evaluated_words(heads: Iterable[Head]) -> str:
    """`Evaluated on 224 clips.`, by column if they differ. Returns "" if no card counts the examples."""
    kinds: dict[str, list[str]] = {}
    for head in heads:
        found = dict.fromkeys((count_examples(run, split_of(head.metric.name)), noun(run)) for run in head.runs
                              if run.config.kind == "train")
        words = " or ".join(counted(*one) for one in found if one[0])
        if words:
            kinds.setdefault(words, []).append(head.label)
    if len(kinds) <= 1:
        return "".join(f"Evaluated on {words}." for words in kinds)
    each = [f"{words} ({', '.join(labels)})" for words, labels in kinds.items()]
    return f"Evaluated on {'; '.join(each)}."


@dataclass(frozen=True, eq=False)
class ByExample:
    """The values by example behind one number: its runs by seed, its metric and epoch, multiplied by `factor`.

    `examples` identifies the set: it is equal for two numbers evaluated on the same examples in the same order.
    """

    outcomes: ExampleOutcomes
    runs: Mapping[int, GridRun]
    metric: str
    epoch: Epoch | Literal["mean"]
    factor: float

    @property
    def applies(self) -> bool:
        """Whether the number is computed from outcomes by example, at one epoch."""
        return self.metric.partition("/")[2] in QUANTITIES and self.epoch != "mean"

    @property
    def noun(self) -> str:
        """The name of the examples."""
        return noun(next(iter(self.runs.values())))

    @property
    def examples(self) -> tuple[str, str, str]:
        """Task, data and split."""
        config = next(iter(self.runs.values())).config
        return config.task, repr(config.data), split_of(self.metric)

    def values(self, seeds: Sequence[int]) -> np.ndarray | None:
        """Values (seeds, examples) whose mean over examples is the number of each seed.

        None if they are not recorded for a seed.
        """
        found = [self.outcomes.of(self.runs[seed], self.metric, self.epoch) for seed in seeds]
        known = [one for one in found if one is not None]
        if len(known) < len(found) or len({len(one) for one in known}) != 1:
            return None
        return self.factor * np.stack(known)


def cell_intervals(tables: Iterable[Table], results: Results) -> dict[Place, Interval | None]:
    """The 95 % interval of each mean over seeds and examples, in the shown unit, by table, row and column.

    The interval is None if the outcomes by example are not recorded. Cells with one seed, without a number, or with a
    difference have no entry.
    """
    outcomes, found = ExampleOutcomes(results), {}
    for table in tables:
        runs = {run.run_id: run for head in table.heads for run in head.runs}
        for cells in table.cells:
            for cell, head in zip(cells, table.heads, strict=True):
                by_seed = {runs[one].config.seed: runs[one] for one in cell.run_ids if one in runs}
                source = ByExample(outcomes, by_seed, head.metric.name, head.epoch, head.metric.factor)
                if by_seed and cell.n > 1 and not cell.base and source.applies:
                    found[table.name, cell.row, cell.column] = _interval(cell, source)
    return found


def _interval(cell: Cell, source: ByExample) -> Interval | None:
    values = source.values(list(cell.values or {}))
    if values is None or cell.mean is None:
        return None
    error = paired([Layer(1.0, source.examples, values)])
    half = float(special.stdtrit(error.df, 0.975)) * math.sqrt(error.value)
    return cell.mean - half, cell.mean + half


@dataclass(frozen=True, eq=False)
class ExampleOutcomes:
    """The outcomes by example of a grid's runs. Each file is read only once."""

    results: Results
    cache: dict[tuple[str, str, Epoch | Literal["mean"]], np.ndarray | None] = field(default_factory=dict)

    def of(self, run: GridRun, metric: str, epoch: Epoch | Literal["mean"]) -> np.ndarray | None:
        """Values (examples,) whose mean is the metric of a run at an epoch.

        None if they are not recorded, or if their mean is not that number.
        """
        key = run.run_id, metric, epoch
        if key not in self.cache:
            self.cache[key] = self._of(run, metric, epoch)
        return self.cache[key]

    def _of(self, run: GridRun, metric: str, epoch: Epoch | Literal["mean"]) -> np.ndarray | None:
        entry, _, quantity = metric.partition("/")
        if quantity not in QUANTITIES or epoch == "mean":
            return None
        number, place = self.results.value(run, metric, epoch), self.results.epoch_number(run, epoch)
        if isinstance(number, tuple) or place is None:
            return None
        found = self.results.store.outcomes(run.run_id).get(place, {}).get(entry)
        if found is None or len(found) < 2 or (found.dtype == bool) != (quantity == "accuracy"):
            return None
        values = found.astype(np.float64) if quantity == "accuracy" else rooted(found[None])[0]
        return values if np.isfinite(values).all() and np.isclose(values.mean(), number, rtol=ROUNDING) else None
