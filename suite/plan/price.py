"""What runs cost, by their shape: from finished runs, or for lack of those from the first minute of others."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from suite.grid.model import GridRun
from suite.store import attempt
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store


@dataclass(frozen=True)
class Price:
    """Seconds of one slot for the epochs that are missing; `unknown` runs have a shape that nobody has measured yet."""

    seconds: float
    known: int
    unknown: int

    def text(self, slots: int) -> str:
        """The price for a reader, spread over `slots` runs at a time."""
        if not self.known and not self.unknown:
            return "nothing to pay"
        if not self.known:
            return "not known: no run of this shape has computed for a while yet"
        rest = f", and {self.unknown} runs of a shape that has no price yet" if self.unknown else ""
        return f"about {clock(self.seconds / slots)} at {slots} at a time, from past runs of the same shape{rest}"


def of_shapes(todo: Sequence[GridRun], runs: Sequence[GridRun], states: Mapping[str, RunState],
              store: Store) -> dict[str, float]:
    """Shape -> seconds an epoch: from all results of the store; else from the speed that any of `runs` has told."""
    prices = store.prices() if todo else {}
    missing = {run.config.shape for run in todo} - prices.keys()
    told: dict[str, list[float]] = {}
    for run in runs if missing else ():
        if states[run.run_id].attempts and run.config.shape in missing:
            with suppress(OSError):
                tenure = attempt.latest(store.folder(run.run_id))
                speed = tenure.beat.seconds_per_epoch if tenure and tenure.beat else None
                told.setdefault(run.config.shape, []).extend([speed] if speed else [])
    return {shape: statistics.median(values) for shape, values in told.items() if values} | prices


def left(run: GridRun, state: RunState, until: int | None, prices: Mapping[str, float]) -> float | None:
    """Seconds that a run needs until its end, or the end of epoch `until`; by its own speed while it is under way."""
    target = min(until or run.config.train.epochs, run.config.train.epochs)
    beat = state.progress or Beat()
    own = beat.seconds_per_epoch
    price = own or prices.get(run.config.shape)
    if price is None:
        return None
    done = (beat.step or 0) / (beat.steps_per_epoch or 1) if own else state.epochs
    return max(0.0, target - done) * price


def total(todo: Iterable[GridRun], states: Mapping[str, RunState], until: int | None,
          prices: Mapping[str, float]) -> Price:
    """The price of these runs together."""
    each = [left(run, states[run.run_id], until, prices) for run in todo]
    known = [seconds for seconds in each if seconds is not None]
    return Price(sum(known), len(known), len(each) - len(known))


def late(runs: Iterable[GridRun], states: Mapping[str, RunState], until: int | None, prices: Mapping[str, float],
         limit_s: float | None) -> str:
    """A warning about runs that cannot end within a time limit; "" where there are none, as far as prices tell."""
    needs = [left(run, states[run.run_id], until, prices) or 0.0 for run in runs] if limit_s is not None else []
    long = [seconds for seconds in needs if seconds > (limit_s or 0.0)]
    if not long:
        return ""
    return (f"{len(long)} runs need up to {clock(max(long))} each, more than --timeout allows: they stop on the way, "
            "and each start of the same command takes them further")


def clock(seconds: float) -> str:
    """`42 s`, `3:05 min`, `2:10 h` or `3.5 days`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
    if seconds < 100 * 3600:
        return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d} h"
    return f"{seconds / 86400:.1f} days"
