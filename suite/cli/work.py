"""The epochs of a launch: how many are done, and the time of the remaining ones.

The cost of an update does not depend on the number of runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from suite.grid.model import GridRun


class Work:
    """The target epochs (`target`) and completed epochs (`epochs`) of each run, and the runs that have ended."""

    def __init__(self) -> None:
        self.target: dict[str, int] = {}
        self.epochs: dict[str, float] = {}
        self.ended: set[str] = set()
        self.done = 0.0  # the sum of `epochs`
        self._shape: dict[str, str] = {}
        self._remaining: dict[str, float] = {}  # by shape
        self._open: Counter[str] = Counter()  # runs that have not ended, by shape

    def add(self, run: GridRun, target: int, epochs: float) -> None:
        """Add a run that has completed this number of epochs."""
        run_id, shape = run.run_id, run.config.shape
        self.target[run_id], self.epochs[run_id], self._shape[run_id] = target, epochs, shape
        self.done += epochs
        self._remaining[shape] = self._remaining.get(shape, 0.0) + target - epochs
        self._open[shape] += 1

    def reach(self, run_id: str, epochs: float) -> None:
        """A run has completed this number of epochs, possibly fewer than before. Unknown runs are ignored."""
        if run_id not in self.epochs:
            return
        more = epochs - self.epochs[run_id]
        self.epochs[run_id] = epochs
        self.done += more
        if run_id not in self.ended:
            self._remaining[self._shape[run_id]] -= more

    def end(self, run_id: str, epochs: float) -> None:
        """A run has ended after this number of epochs. It has no remaining epochs."""
        self.reach(run_id, epochs)
        if run_id not in self.ended:
            self.ended.add(run_id)
            self._remaining[self._shape[run_id]] -= self.target[run_id] - epochs
            self._open[self._shape[run_id]] -= 1

    def seconds(self, per_epoch: Mapping[str, float]) -> float:
        """Seconds for the remaining epochs, from the seconds per epoch of each shape, or their mean for others."""
        mean = sum(per_epoch.values()) / len(per_epoch)
        return sum(max(0.0, epochs) * per_epoch.get(shape, mean)
                   for shape, epochs in self._remaining.items() if self._open[shape])
