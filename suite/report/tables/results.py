"""The results of a grid's runs, as a tidy table (one row per run and epoch) and as samples over seeds."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from suite.errors import UserError, nearest

if TYPE_CHECKING:
    from suite.grid.model import Grid, GridRun
    from suite.report.tables.layout import Epoch
    from suite.store.state import RunState
    from suite.store.store import Store

FIXED = ("run_id", "seed", "state", "epoch")
NUMBERS = frozenset((int, float))
FAILURES = {"oom": "out of memory", "diverged": "diverged", "timeout": "timed out", "killed": "killed",
            "error": "failed"}
STATES = {"todo": "not run", "claimed": "running", "cancelled": "cancelled", "lost": "lost", "unknown": "unreadable",
          "done": "without that epoch"}


@dataclass(frozen=True)
class Missing:
    """A seed without a number: `state` as in the store, or the reason of a failure; `words` as in reports."""

    seed: int
    state: str
    words: str


@dataclass(frozen=True)
class Sample:
    """The results of one configuration: `values` by seed, in stored units, and the `missing` seeds without a number."""

    values: dict[int, float]
    missing: tuple[Missing, ...]
    runs: tuple[GridRun, ...]


@dataclass(frozen=True)
class Results:
    """Rows and states of a grid's runs, read once.

    `frame` has one row per run and epoch: run_id, the label of each axis (`axis:name` if the name is taken), seed,
    state, epoch, and every metric, with NaN if a run did not measure it. The rows of run i are
    `frame[spans[i][0]:spans[i][1]]`, sorted by epoch. `measured` has the names of the metrics of each run.
    """

    frame: pd.DataFrame
    spans: dict[str, tuple[int, int]]
    measured: dict[str, frozenset[str]]
    states: Mapping[str, RunState]
    store: Store

    def sample(self, runs: Iterable[GridRun], metric: str, epoch: Epoch) -> Sample:
        """The metric of each run at that epoch; the runs are of one configuration, with different seeds.

        The value of the first epoch needs only a partial run. The best and the last epoch need a finished run, and so
        does the number of `parameters`, which has no epoch.
        """
        runs = tuple(runs)
        if metric == "parameters":
            return self._parameters(runs)
        found = {run.config.seed: self.value(run, metric, epoch) for run in runs}
        missing = tuple(Missing(seed, *value) for seed, value in found.items() if isinstance(value, tuple))
        return Sample({s: v for s, v in found.items() if not isinstance(v, tuple)}, missing, runs)

    def value(self, run: GridRun, metric: str, epoch: Epoch) -> float | tuple[str, str]:
        """The number, or state and words if there is none."""
        state, select = self.states[run.run_id], str(run.config.train.select)
        if epoch in ("best", "last") and state.name != "done":
            return status(state, run.config.train.epochs)
        if epoch in ("best", "last") and len(self.series(run.run_id, "epoch")) < state.epochs:
            return "unknown", STATES["unknown"]  # the result was damaged after the states were read
        needed = {metric, select.partition(" ")[2]} if epoch == "best" else {metric}
        for name in sorted(needed - self.measured[run.run_id]) if self.measured[run.run_id] else ():
            return "done", f"without {name}"
        place = self._place(run.run_id, select, epoch)
        if place is None:
            return status(state, run.config.train.epochs)
        value = self.series(run.run_id, metric)[place] if place >= 0 else math.nan
        return float(value) if math.isfinite(value) else ("diverged", FAILURES["diverged"])

    def epoch_number(self, run: GridRun, epoch: Epoch) -> int | None:
        """The number of that epoch, e.g. of the best one. None if the run has not reached it, or has diverged."""
        place = self._place(run.run_id, str(run.config.train.select), epoch)
        return None if place is None or place < 0 else int(self.series(run.run_id, "epoch")[place])

    def _parameters(self, runs: tuple[GridRun, ...]) -> Sample:
        """The number of trained parameters of each finished run."""
        done = [run for run in runs if self.states[run.run_id].name == "done"]
        results = {run.config.seed: self.store.result(run.run_id) for run in done}
        found = {seed: float(result.parameters) for seed, result in results.items() if result}
        missing = (Missing(run.config.seed, *status(self.states[run.run_id], run.config.train.epochs))
                   for run in runs if run.config.seed not in found)
        return Sample(found, tuple(missing), runs)

    def series(self, run_id: str, name: str) -> np.ndarray:
        """A metric of one run over its finished epochs, (epochs,) in float64."""
        start, stop = self.spans[run_id]
        return self._columns[name][start:stop]

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {str(name): column.to_numpy(dtype=np.float64) for name, column in self.frame.items()
                if pd.api.types.is_numeric_dtype(column.dtype)}

    def _place(self, run_id: str, select: str, epoch: Epoch) -> int | None:
        """Index of the epoch's row within the run, None if it does not exist yet, -1 if the run diverged.

        A run whose selection metric is NaN in some epoch counts as diverged. The best of its other epochs would hide
        this.
        """
        epochs = self.series(run_id, "epoch") if self.measured[run_id] else np.empty(0)
        if not len(epochs):
            return None
        if epoch == "best":
            direction, _, name = select.partition(" ")
            values = self.series(run_id, name)
            if not np.isfinite(values).all():
                return -1
            return int(values.argmax() if direction == "max" else values.argmin())
        if epoch == "last":
            return len(epochs) - 1
        found = np.flatnonzero(epochs == (1 if epoch == "first" else epoch))
        return int(found[0]) if len(found) else None

    def require(self, runs: Sequence[GridRun], metric: str, where: str) -> None:
        """Raises UserError, at `where`, if some of these runs have rows but none of them has the metric."""
        names = {name for run in runs for name in self.measured[run.run_id]}
        if names and metric not in names:
            known = sorted(name for name in names if "/" in name)
            raise UserError(f"no run has the metric {metric!r}", where, nearest(metric, known)
                            + " (train.evaluate names the splits that are evaluated)")


def read_results(grid: Grid, store: Store, states: Mapping[str, RunState]) -> Results:
    """Read the rows of all runs of the grid. `states` were read before, so other processes may write to the store."""
    columns: dict[str, array[float]] = {"epoch": array("d")}
    spans: dict[str, tuple[int, int]] = {}
    measured: dict[str, frozenset[str]] = {}
    sets: dict[frozenset[str], frozenset[str]] = {}
    order: list[GridRun] = []
    for run in grid.runs:
        if run.run_id in spans:
            continue
        rows = [] if states[run.run_id].name in ("todo", "unknown") else store.rows(run.run_id)
        start = len(columns["epoch"])
        _append(columns, rows, start)
        names = frozenset(rows[0]) if rows else frozenset()
        measured[run.run_id] = sets.setdefault(names, names)
        spans[run.run_id] = (start, start + len(rows))
        order.append(run)
    return Results(_frame(grid, order, columns, spans, states), spans, measured, states, store)


def _append(columns: dict[str, array[float]], rows: Sequence[Mapping[str, Any]], start: int) -> None:
    for name in {name for row in rows for name in row} | set(columns):
        column = columns.setdefault(name, array("d", [math.nan]) * start)
        values: list[Any] = [row.get(name) for row in rows]
        column.extend(values if NUMBERS.issuperset(map(type, values)) else map(number, values))


def _frame(grid: Grid, order: Sequence[GridRun], columns: Mapping[str, array[float]],
           spans: Mapping[str, tuple[int, int]], states: Mapping[str, RunState]) -> pd.DataFrame:
    lengths = [stop - start for start, stop in spans.values()]

    def fixed(values: Iterable[Any]) -> pd.Categorical:
        codes, categories = pd.factorize(np.array(list(values), dtype=object))
        return pd.Categorical.from_codes(np.repeat(codes, lengths), categories=pd.Index(categories))

    data: dict[str, pd.Categorical | np.ndarray] = {"run_id": fixed(run.run_id for run in order)}
    for axis in grid.axes:
        data[axis_column(axis)] = fixed(run.labels.get(axis) for run in order)
    data["seed"] = np.repeat(np.array([run.config.seed for run in order], dtype=np.int64), lengths)
    data["state"] = fixed(states[run.run_id].name for run in order)
    data["epoch"] = np.frombuffer(columns["epoch"]).astype(np.int64)
    names = sorted(name for name in columns if name != "epoch")
    return pd.DataFrame(data | {name: np.frombuffer(columns[name]) for name in names})


def axis_column(axis: str) -> str:
    """The name of an axis's column in the tidy table."""
    return f"axis:{axis}" if axis in (*FIXED, "step") or "/" in axis else axis


def status(state: RunState, epochs: int) -> tuple[str, str]:
    """State and words for a run without a number; `epochs` is its full length."""
    if state.name == "partial":
        return "partial", f"{state.epochs}/{epochs} epochs"
    if state.name == "failed":
        return (state.reason or "error"), FAILURES.get(state.reason, state.reason or "failed")
    return state.name, STATES[state.name]


def number(value: Any) -> float:
    """A stored value as a float. Anything that is not a number in JSON (null, "NaN") becomes NaN."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
