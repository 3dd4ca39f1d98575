"""How to compute: what a launch is asked for, beside the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from suite.job.compute import Compute
from suite.job.order import Order
from suite.plan.decision import Selection
from suite.store.attempt import PATIENCE_S, Pulse
from suite.store.records import Origin
from suite.store.state import RunState


@dataclass(frozen=True)
class Options:
    """What holds for a launch.

    jobs: runs at a time, on each of `gpus` if there are any. probe: stop each run after its first checkpoint. retry:
    start failed and cancelled runs, too. wait: for runs that somebody else owns; one is taken over when its heartbeat
    stands still for `patience_s`.
    """

    store: Path
    compute: Compute = Compute()
    jobs: int = 1
    gpus: tuple[int | str, ...] = ()
    probe: bool = False
    retry: bool = False
    wait: bool = True
    patience_s: float = PATIENCE_S

    @property
    def selection(self) -> Selection:
        """Which runs a start takes up."""
        return Selection(self.compute.until, self.retry)

    def order(self, gpu: int | str | None, launch: Origin, still: Pulse | None = None) -> Order:
        """What a job in the slot of `gpu` (None: the CPU) is asked to do."""
        return Order(compute=self.compute, device="cpu" if gpu is None else "cuda", probe=self.probe, still=still,
                     launch=launch)


@dataclass(frozen=True)
class Launched:
    """The states of the runs by id, as the launcher knows them. `idle`: the account may submit nothing at all."""

    states: Mapping[str, RunState]
    idle: bool = False
