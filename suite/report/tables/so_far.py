"""The mean over the unfinished runs of a cell, for display only: no mark, claim or comparison uses it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from suite.grid.model import GridRun
    from suite.report.tables.results import Results
    from suite.store.state import RunState

UNFINISHED = frozenset({"partial", "claimed", "lost", "timeout", "killed"})  # states of runs that can still be finished


@dataclass(frozen=True)
class SoFar:
    """The mean over `n` seeds after `epoch` of `epochs`, the latest epoch that all of them have reached."""

    mean: float
    epoch: int
    epochs: int
    n: int

    @property
    def words(self) -> str:
        """`at epoch 1 of 6, n=1`."""
        return f"at epoch {self.epoch} of {self.epochs}, n={self.n}"

    def scaled(self, factor: float) -> SoFar:
        """The same with the mean multiplied by `factor`."""
        return SoFar(self.mean * factor, self.epoch, self.epochs, self.n)


def so_far(results: Results, runs: Iterable[GridRun], metric: str,
           base: Iterable[GridRun] | None = None) -> SoFar | None:
    """The mean over the unfinished runs, one per seed. Returns None if no run has finished an epoch.

    With `base`, the runs of another row, it is the mean difference from them, seed by seed.
    """
    runs = tuple(runs)
    found = _series(results, runs, metric, finished=base is not None)
    others = _series(results, base or (), metric, finished=True)
    seeds = [seed for seed in found if base is None or seed in others]
    if not seeds:
        return None
    at = min(len(series[seed]) for series in (found, others) for seed in seeds if seed in series) - 1
    values = [found[seed][at] - (others[seed][at] if base is not None else 0.0) for seed in seeds]
    finite = [float(value) for value in values if math.isfinite(value)]
    longest = max(run.config.train.epochs for run in runs)
    return SoFar(statistics.fmean(finite), at + 1, longest, len(finite)) if finite else None


def _series(results: Results, runs: Iterable[GridRun], metric: str, finished: bool) -> Mapping[int, np.ndarray]:
    """By seed: the metric over the epochs of each run that can still be finished; with `finished`, also of others."""
    wanted = UNFINISHED | ({"done"} if finished else set())
    return {run.config.seed: results.series(run.run_id, metric) for run in runs
            if metric in results.measured[run.run_id] and _status(results.states[run.run_id]) in wanted}


def _status(state: RunState) -> str:
    return str(state.reason if state.name == "failed" else state.name)
