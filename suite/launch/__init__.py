"""Starting runs: what is asked for, what is told, and which runs start. `local` and `debug` have the same `launch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from suite.job.order import Order
from suite.store.attempt import PATIENCE_S
from suite.store.store import RunState

if TYPE_CHECKING:
    from suite.grid.expand import GridRun

AGAIN_ONLY_ON_RETRY = ("error", "diverged", "oom")


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
    compile: str = ""
    recompute: bool = False
    probe: bool = False
    retry: bool = False
    wait: bool = True
    patience_s: float = PATIENCE_S

    def order(self, gpu: int | str | None, launch: Mapping[str, Any], still: tuple[int, int] | None = None) -> Order:
        """What a job in the slot of `gpu` (None: the processor) is asked to do."""
        return Order(threads=self.threads, device="cpu" if gpu is None else "cuda", until=self.until,
                     timeout_s=self.timeout_s, checkpoint_s=self.checkpoint_s, compile=self.compile,
                     recompute=self.recompute, probe=self.probe, still=still, launch=launch)


class Listener(Protocol):
    """Who hears how a launch goes. `ended` comes once for each run, whether or not it was started."""

    def started(self, run: GridRun) -> None:
        """A run has been given to a slot; again where it was killed and starts again."""

    def progress(self, run: GridRun, beat: Mapping[str, Any]) -> None:
        """A run tells epoch, step, steps_per_epoch, epochs (the target) and seconds_per_step."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """Nothing more happens to this run in this launch."""

    def told(self, message: str) -> None:
        """Something that the user should know, in a line."""


def wanted(state: RunState, epochs: int, options: Options) -> Literal["start", "wait", "leave"]:
    """What a launch does with a run of so many `epochs` in this state: start it, wait for its owner, or leave it."""
    if state.name in ("claimed", "unknown"):
        return "wait"
    if state.name == "done" or (state.name == "cancelled" and not options.retry):
        return "leave"
    if state.name == "failed" and state.reason in AGAIN_ONLY_ON_RETRY and not options.retry:
        return "leave"
    # All epochs without a result means that the result is still to be written.
    reached = options.until is not None and min(options.until, epochs) <= state.epochs < epochs
    return "leave" if reached and state.name == "partial" else "start"
