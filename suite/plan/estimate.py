"""How long runs take, by shape: from finished runs, else from the speed that unfinished runs report.

`suite.plan.forecast` also has a number for shapes that have never run.
"""

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
class Estimate:
    """Seconds of one slot for the missing epochs of `known` runs; `unknown` runs have a shape without a known speed."""

    seconds: float
    known: int
    unknown: int


def of_shapes(todo: Sequence[GridRun], runs: Sequence[GridRun], states: Mapping[str, RunState],
              store: Store) -> dict[str, float]:
    """Seconds per epoch, by shape: from all results of the store, else from the heartbeats of `runs`."""
    known = store.prices() if todo else {}
    missing = {run.config.shape for run in todo} - known.keys()
    reported: dict[str, list[float]] = {}
    for run in runs if missing else ():
        if states[run.run_id].attempts and run.config.shape in missing:
            with suppress(OSError):
                tenure = attempt.latest(store.folder(run.run_id))
                speed = tenure.beat.seconds_per_epoch if tenure and tenure.beat else None
                reported.setdefault(run.config.shape, []).extend([speed] if speed else [])
    return {shape: statistics.median(values) for shape, values in reported.items() if values} | known


def left(run: GridRun, state: RunState, until: int | None, speeds: Mapping[str, float]) -> float | None:
    """Seconds until the end of a run, or of epoch `until`, by its own speed while it runs. None if unknown."""
    target = min(until or run.config.train.epochs, run.config.train.epochs)
    beat = state.progress or Beat()
    own = beat.seconds_per_epoch
    speed = own or speeds.get(run.config.shape)
    if speed is None:
        return None
    done = (beat.step or 0) / (beat.steps_per_epoch or 1) if own else state.epochs
    return max(0.0, target - done) * speed


def total(todo: Iterable[GridRun], states: Mapping[str, RunState], until: int | None,
          speeds: Mapping[str, float]) -> Estimate:
    """The total time of these runs."""
    each = [left(run, states[run.run_id], until, speeds) for run in todo]
    known = [seconds for seconds in each if seconds is not None]
    return Estimate(sum(known), len(known), len(each) - len(known))


def late(runs: Iterable[GridRun], states: Mapping[str, RunState], until: int | None, speeds: Mapping[str, float],
         limit_s: float | None) -> str:
    """A warning about runs that need more than a time limit, as far as speeds are known. "" if all fit."""
    needs = [left(run, states[run.run_id], until, speeds) or 0.0 for run in runs] if limit_s is not None else []
    long = [seconds for seconds in needs if seconds > (limit_s or 0.0)]
    if not long:
        return ""
    return (f"{len(long)} runs need up to {clock(max(long))} each, more than --timeout allows: they stop at that time, "
            "and each further start of the same command continues them")


def rough(seconds: float) -> str:
    """`42 s`, `35 min`, `3.5 h` or `2,300 h`: for a time that is known only up to a factor."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 10 else f"{round(hours, 2 - len(str(int(hours)))):,.0f} h"


def clock(seconds: float) -> str:
    """`42 s`, `3:05 min`, `2:10 h` or `3.5 days`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
    if seconds < 100 * 3600:
        return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d} h"
    return f"{seconds / 86400:.1f} days"
