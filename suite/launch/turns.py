"""Chooses which waiting run starts next, and in which slot.

The cheapest run of each kind starts first, as a canary. The others of its kind start when it has written a checkpoint.
If too many runs of a kind fail, no more of them start. A run continues on the kind of device on which it began.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from suite.launch import canary
from suite.launch.canary import Kind, kind
from suite.launch.options import Gpu, Options
from suite.launch.stacks import Stacks
from suite.store.state import Reason, RunState, State

if TYPE_CHECKING:
    from suite.grid.model import GridRun

COUNTED = frozenset({Reason.ERROR, Reason.START})  # failures that are likely in other runs of the kind, too


@dataclass(frozen=True)
class Turn:
    """A run to start on a GPU (None: on the CPU), with `others` in its stack. `early`: other runs wait for its first
    checkpoint."""

    run: GridRun
    gpu: Gpu | None
    early: bool = False
    others: tuple[GridRun, ...] = ()

    @property
    def runs(self) -> tuple[GridRun, ...]:
        """The run and the other runs of its stack."""
        return (self.run, *self.others)


class Turns:
    """The queue and the slots. Invariant: a slot is either in `free` or taken by an active turn."""

    def __init__(self, options: Options) -> None:
        self.options = options
        gpus: Sequence[Gpu | None] = options.gpus or (None,)
        self.free: list[Gpu | None] = [gpu for _ in range(options.jobs) for gpu in gpus] + [None] * options.cpu_jobs
        self.slots = list(self.free)  # all slots
        self.stacks = Stacks(options.stack)
        self.queue: deque[GridRun] = deque()
        self.proven: set[Kind] = set()
        self.trying: dict[Kind, str] = {}  # kind -> its canary
        self.failures: Counter[Kind] = Counter()
        self.watched = False  # whether there are canaries

    def order(self, states: Mapping[str, RunState], prices: Mapping[str, float]) -> int:
        """Move canaries to the front of the queue, if there are enough runs. Returns the number of canaries."""
        chosen = canary.choose(self.queue, states, prices) if self.options.canary else []
        self.watched = bool(chosen)
        first = {run.run_id for run in chosen}
        self.queue = deque(sorted(self.queue, key=lambda run: run.run_id not in first))
        return len(chosen)

    def next(self) -> Turn | None:
        """Returns the next turn and takes its slot, or returns None if no run can start at the moment."""
        for run in self.queue if self.free else ():
            fitting = [gpu for gpu in self.free if self._fits(run, gpu)]
            one = kind(run.config)
            waits = self.watched and one not in self.proven
            if not fitting or (waits and one in self.trying):
                continue
            gpu = fitting[0]
            others = self.stacks.others(run, self.queue, partial(self._fits, gpu=gpu), gpu is not None,
                                        len(fitting))
            self._take_out([run, *others])
            self.free.remove(gpu)
            if waits:
                self.trying[one] = run.run_id
            return Turn(run, gpu, waits, tuple(others))
        return None

    def give_back(self, turn: Turn) -> None:
        """Free the slot of a turn that has ended, unless its GPU is lost."""
        if turn.gpu in self.slots:
            self.free.append(turn.gpu)
        if self.trying.get(kind(turn.run.config)) == turn.run.run_id:
            del self.trying[kind(turn.run.config)]

    def prove(self, run: GridRun) -> None:
        """Record that a run has written a checkpoint: others of its kind may start."""
        self.proven.add(kind(run.config))

    def count(self, run: GridRun, state: RunState) -> list[GridRun]:
        """Record how a run ended. If too many of its kind have failed, remove the others of this kind from the queue.

        Returns the removed runs.
        """
        one = kind(run.config)
        if state.name == State.DONE:
            self.proven.add(one)
        if state.name != State.FAILED or state.reason not in COUNTED:
            return []
        self.failures[one] += 1
        if self.options.max_failures is None or self.failures[one] < self.options.max_failures:
            return []
        return self._take_out(other for other in self.queue if kind(other.config) == one)

    def lose(self, gpu: Gpu) -> list[GridRun]:
        """Remove this GPU. Returns the runs that cannot start elsewhere, which are removed from the queue."""
        self.slots = [slot for slot in self.slots if slot != gpu]
        self.free = [slot for slot in self.free if slot != gpu]
        return self._take_out(run for run in self.queue if not any(self._fits(run, slot) for slot in self.slots))

    def _fits(self, run: GridRun, gpu: Gpu | None) -> bool:
        if run.run_id in self.options.on_cpu:
            return gpu is None
        if gpu is None:
            return not self.options.gpus
        return run.run_id not in self.options.only or gpu in self.options.only[run.run_id]

    def _take_out(self, runs: Iterable[GridRun]) -> list[GridRun]:
        out = list(runs)
        for run in out:
            self.queue.remove(run)
        return out
