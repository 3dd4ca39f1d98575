"""The epochs of a launch: how many are done, and how long the others take.

A step costs the same for any number of runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from suite.grid.model import GridRun


class Work:
    """The epochs that each run is to reach (`target`) and has reached (`epochs`), and the runs that have ended."""

    def __init__(self) -> None:
        self.target: dict[str, int] = {}
        self.epochs: dict[str, float] = {}
        self.ended: set[str] = set()
        self.done = 0.0  # the sum of `epochs`
        self._shape: dict[str, str] = {}
        self._missing: dict[str, float] = {}  # by shape
        self._open: Counter[str] = Counter()  # runs that have not ended, by shape

    def add(self, run: GridRun, target: int, epochs: float) -> None:
        """A run that has reached so many epochs."""
        run_id, shape = run.run_id, run.config.shape
        self.target[run_id], self.epochs[run_id], self._shape[run_id] = target, epochs, shape
        self.done += epochs
        self._missing[shape] = self._missing.get(shape, 0.0) + target - epochs
        self._open[shape] += 1

    def reach(self, run_id: str, epochs: float) -> None:
        """A run has reached so many epochs, which may be fewer than before. Runs of others are not counted."""
        if run_id not in self.epochs:
            return
        more = epochs - self.epochs[run_id]
        self.epochs[run_id] = epochs
        self.done += more
        if run_id not in self.ended:
            self._missing[self._shape[run_id]] -= more

    def end(self, run_id: str, epochs: float) -> None:
        """A run has ended after so many epochs; nothing of it is missing any more."""
        self.reach(run_id, epochs)
        if run_id not in self.ended:
            self.ended.add(run_id)
            self._missing[self._shape[run_id]] -= self.target[run_id] - epochs
            self._open[self._shape[run_id]] -= 1

    def seconds(self, per_epoch: Mapping[str, float]) -> float:
        """The time of the missing epochs, by the seconds per epoch of each shape; for others, their mean."""
        mean = sum(per_epoch.values()) / len(per_epoch)
        return sum(max(0.0, epochs) * per_epoch.get(shape, mean)
                   for shape, epochs in self._missing.items() if self._open[shape])
