"""The options of a launch: how its runs are computed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from suite.job.compute import Compute
from suite.job.order import Order
from suite.plan.decision import Selection
from suite.store.attempt import PATIENCE_S, Pulse
from suite.store.records import Origin
from suite.store.state import RunState

Gpu = int | str  # as in CUDA_VISIBLE_DEVICES: a number, or a UUID

MOST_FAILURES = 3  # of one kind: the default of --max-failures


@dataclass(frozen=True)
class Options:
    """Options of a launch.

    jobs: runs at a time, on each of `gpus` if there are any. cpu_jobs: further runs at a time on the CPU, of the runs
    `on_cpu`. only: the GPUs that a run may use, if not all. canary: the cheapest run of each kind starts first; the
    others wait for its first checkpoint. max_failures: after this many failures, no more runs of a kind start. probe:
    stop each run after its first checkpoint. retry: also start failed and cancelled runs. wait: wait for runs of other
    processes; a run is taken over if its heartbeat stops for `patience_s`. stack: the most runs of one shape that are
    computed as one, None to choose (`suite.launch.stacks`); a stack takes one slot. over_at: the time, as of
    `time.monotonic()`, at which the launch ends: runs stop with a checkpoint, as on Ctrl-C, and no more runs start.
    """

    store: Path
    compute: Compute = Compute()
    jobs: int = 1
    gpus: tuple[Gpu, ...] = ()
    cpu_jobs: int = 0
    on_cpu: frozenset[str] = frozenset()
    only: Mapping[str, tuple[Gpu, ...]] = field(default_factory=dict)
    canary: bool = False
    max_failures: int | None = None
    probe: bool = False
    retry: bool = False
    wait: bool = True
    patience_s: float = PATIENCE_S
    stack: int | None = 1
    over_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether the time limit of the launch has passed."""
        return self.over_at is not None and time.monotonic() >= self.over_at

    @property
    def selection(self) -> Selection:
        """Which runs are to be started."""
        return Selection(self.compute.until, self.retry)

    def order(self, gpu: Gpu | None, launch: Origin, still: Pulse | None = None, early: bool = False,
              stack: tuple[str, ...] = ()) -> Order:
        """Returns the order for a job in the slot of `gpu` (None: the CPU). `early`: write a first checkpoint soon.
        `stack`: the ids of the runs that are computed as one, or () for a single run."""
        order = Order(compute=self.compute, device="cpu" if gpu is None else "cuda", probe=self.probe, still=still,
                      launch=launch)
        order = order.model_copy(update={"stack": stack}) if stack else order
        return order.model_copy(update={"early": True}) if early else order


@dataclass(frozen=True)
class Launched:
    """The states of the runs by id. `idle`: nothing was submitted, because the account's limit of jobs is 0.

    waiting: unfinished runs, for example those that began on a device that is not available.
    """

    states: Mapping[str, RunState]
    idle: bool = False
    waiting: frozenset[str] = frozenset()
