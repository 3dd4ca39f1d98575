"""How to compute: what a launch is asked for, beside the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.job.order import Order
from suite.plan.decision import Selection
from suite.store.attempt import PATIENCE_S
from suite.train.mode import Mode


@dataclass(frozen=True)
class Options:
    """How to compute, none of it in a run's id.

    jobs: runs at a time, on each of `gpus` where there are any. threads: of each run. until: epoch to stop after.
    timeout_s, checkpoint_s, compile, recompute, probe: as in `suite.job.order.Order`. retry: start failed runs, too.
    wait: for runs that somebody else owns; one is taken over when its heartbeat stands still for `patience_s`.
    """

    store: Path
    jobs: int = 1
    threads: int = 1
    gpus: tuple[int | str, ...] = ()
    until: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 300.0
    compile: Mode = Mode.EAGER
    recompute: bool = False
    probe: bool = False
    retry: bool = False
    wait: bool = True
    patience_s: float = PATIENCE_S

    @property
    def selection(self) -> Selection:
        """Which runs a start takes up."""
        return Selection(self.until, self.retry)

    def order(self, gpu: int | str | None, launch: Mapping[str, Any], still: tuple[int, int] | None = None) -> Order:
        """What a job in the slot of `gpu` (None: the processor) is asked to do."""
        return Order(threads=self.threads, device="cpu" if gpu is None else "cuda", until=self.until,
                     timeout_s=self.timeout_s, checkpoint_s=self.checkpoint_s, compile=self.compile,
                     recompute=self.recompute, probe=self.probe, still=still, launch=launch)
