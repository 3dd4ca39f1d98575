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

    jobs: runs at a time, on each of `gpus` if there are any. cpu_jobs: runs at a time on the CPU beside these, of the
    runs `on_cpu`. only: the GPUs that a run may use, if not all. canary: the cheapest run of each kind goes first, to
    its first checkpoint. max_failures: of one kind; then no more of it start. probe: stop each run
    after its first checkpoint. retry: start failed and cancelled runs, too. wait: for runs that somebody else owns; a
    run is taken over if its heartbeat stops for `patience_s`. stack: the most runs of one shape that are computed as
    one, None for as many as it pays (`suite.launch.stacks`); a stack takes one slot. over_at: the time, by
    `time.monotonic()`, at which the launch ends: runs stop with a checkpoint, as on Ctrl-C, and no other starts.
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
        """Whether the time of the launch is over."""
        return self.over_at is not None and time.monotonic() >= self.over_at

    @property
    def selection(self) -> Selection:
        """Which runs a start takes up."""
        return Selection(self.compute.until, self.retry)

    def order(self, gpu: Gpu | None, launch: Origin, still: Pulse | None = None, early: bool = False,
              stack: tuple[str, ...] = ()) -> Order:
        """The order for a job in the slot of `gpu` (None: the CPU). `early`: it writes a first checkpoint soon.
        `stack`: the ids of the runs that are computed as one, () for a single run."""
        order = Order(compute=self.compute, device="cpu" if gpu is None else "cuda", probe=self.probe, still=still,
                      launch=launch)
        order = order.model_copy(update={"stack": stack}) if stack else order
        return order.model_copy(update={"early": True}) if early else order


@dataclass(frozen=True)
class Launched:
    """The states of the runs by id. `idle`: nothing was submitted, as the account's limit of jobs is 0.

    waiting: runs that are left to do, such as those that began on a device which is not here.
    """

    states: Mapping[str, RunState]
    idle: bool = False
    waiting: frozenset[str] = frozenset()
