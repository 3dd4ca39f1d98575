"""Chooses runs to compute together, as a stack in one process (`--stack`, `suite.job.stacked`).

The runs of a stack have the same shape: the same data, network and training, but different seeds, or settings of the
state space layers or the optimizer. A run with a checkpoint continues as it began, alone or in its stack, since its
last bits depend on that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from suite.config.run_config import RunConfig
from suite.files.counted import counted
from suite.store.folder import checkpoints
from suite.store.store import Store
from suite.train.stackable import shape, why_alone

if TYPE_CHECKING:
    from suite.grid.model import GridRun

MOST = 8  # largest stack if no size is given
WIDE = 32  # from this number of features, stacks are no faster on a CPU; on a GPU, 16 are faster, and 128 slower
Stack = tuple[str, ...]  # the ids of its runs, in order


class Stacks:
    """Puts runs into stacks. `size`: the most runs of a stack. None: up to `MOST` if that is faster. 1: no stacks."""

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.known: dict[str, Stack] = {}  # run with a checkpoint -> the stack in which it began, or ()

    def note(self, store: Store, run: GridRun) -> None:
        """Look up in which stack a run began. Call this when the run enters the queue."""
        if self.size == 1:
            return
        self.known.pop(run.run_id, None)
        if store.folder(run.run_id).exists() and checkpoints(store.folder(run.run_id)):
            record = store.provenance(run.run_id)
            stack = tuple(str(record.environment.get("stack") or "").split()) if record else ()
            complete = all((store.folder(other) / "config.json").exists() for other in stack)
            self.known[run.run_id] = stack if complete else ()

    def others(self, lead: GridRun, queue: Iterable[GridRun], fits: Callable[[GridRun], bool], on_gpu: bool,
               free: int) -> list[GridRun]:
        """Returns the runs of the queue to start together with `lead`. `free`: the number of free slots."""
        if self.size == 1:
            return []
        able = [run for run in queue if run is not lead and fits(run)]
        if (stack := self.known.get(lead.run_id)) is not None:
            return [run for run in able if self.known.get(run.run_id) == stack != ()]
        if why_alone(lead.config, on_gpu):
            return []
        wanted = shape(lead.config)
        alike = [run for run in able if run.run_id not in self.known and shape(run.config) == wanted
                 and not why_alone(run.config, on_gpu)]
        return alike[:self._size(lead.config, 1 + len(alike), free) - 1]

    def places(self, runs: Iterable[GridRun]) -> Stack:
        """Returns the ids of the stack of runs that start together, or () for a single run."""
        ids = [run.run_id for run in runs]
        if (stack := self.known.get(ids[0])) is not None:
            return stack
        return tuple(ids) if len(ids) > 1 else ()

    def remarks(self, runs: Iterable[GridRun], on_gpu: bool) -> list[str]:
        """Returns a message for each reason why runs are computed alone."""
        if self.size == 1:
            return []
        reasons = Counter(reason for run in runs if (reason := self._why(run, on_gpu)))
        return [f"{counted(count, 'run is', 'runs are')} computed alone: {reason}"
                for reason, count in reasons.items()]

    def _why(self, run: GridRun, on_gpu: bool) -> str:
        if self.known.get(run.run_id) == ():
            return "runs with a checkpoint continue as they began" if why_alone(run.config, on_gpu) == "" else ""
        return why_alone(run.config, on_gpu)

    def _size(self, config: RunConfig, runs: int, free: int) -> int:
        """Returns the size of the next stack for `runs` runs of one shape.

        Stacks have about equal sizes, so that no run remains alone. If no size is given, there are enough stacks for
        all `free` slots.
        """
        if self.size is None and config.model.features >= WIDE:
            return 1
        most = self.size or MOST
        stacks = max(-(-runs // most), free if self.size is None else 1)
        return min(most, -(-runs // max(1, min(stacks, runs // 2))))
