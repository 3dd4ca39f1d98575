"""What `status` tells: how far the runs are, from their files and the queue of a cluster. Looking changes nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.cli import settings
from suite.cli.standing import Standings
from suite.grid.model import Grid
from suite.launch import orphans
from suite.launch import seen as queued
from suite.launch.batch import FOLDER
from suite.launch.queue import WITHOUT_OWNER, Queue, Submitted
from suite.plan.estimate import clock, left
from suite.plan.plan import Plan, make_plan
from suite.store.state import RunState, State
from suite.store.store import Store

NEAR_S, WHOLE_S = 5.0, 30.0  # seconds between two looks at runs under way, and at all
SHOWN = 32  # runs that are named
NEVER = "will not start:"  # in the note of a job
NOT_TOLD = (State.TODO, State.DONE)


@dataclass(frozen=True)
class Seen:
    """What is known now: `queue` has a note for each run that is in a job, `remarks` what the user should know."""

    plan: Plan
    queue: dict[str, str]
    remarks: list[str]
    standings: Standings

    @property
    def active(self) -> bool:
        """Whether anything may change without a new start."""
        waits = any(NEVER not in note for note in self.queue.values())
        return waits or any(state.name == State.CLAIMED for state in self.plan.states.values())


class Looks:
    """Looks at a store, one after the other: every few seconds at the runs under way, rarely at all of them.

    A file that has not changed is not read again, so that a network file system hardly notices.
    """

    def __init__(self, grids: Sequence[Grid], store: Store, until: int | None) -> None:
        self.grids, self.store, self.until = grids, store, until
        self.queue, self.standings = Queue(), Standings(store)
        self.near = self.whole = 0.0
        self.seen = self._whole()

    def again(self) -> Seen:
        """What is known now: all runs are looked at if it is time to, or if one of those under way has ended."""
        now = time.monotonic()
        if now - self.whole > WHOLE_S:
            self.seen = self._whole()
        elif now - self.near > NEAR_S:
            before = self.seen.plan.states
            moving = {run_id: self.store.state(run_id) for run_id, state in before.items()
                      if state.name == State.CLAIMED}
            ended = any(state.name != State.CLAIMED for state in moving.values())
            self.near = now
            self.seen = self._whole() if ended else replace(self.seen, plan=replace(self.seen.plan,
                                                                                    states={**before, **moving}))
        return self.seen

    def _whole(self) -> Seen:
        self.near = self.whole = time.monotonic()
        return look(self.grids, self.store, self.until, self.queue, self.standings)


def look(grids: Sequence[Grid], store: Store, until: int | None, queue: Queue, standings: Standings) -> Seen:
    """What the files and the queue say now."""
    made = make_plan(grids, store, until)
    if not os.path.lexists(store.root / FOLDER):
        return Seen(made, {}, settings.remarks(grids, store), standings)
    submitted = Submitted(store, queue)
    found = queued.seen(submitted, made.states)
    made = replace(made, states=found.states)
    told = [*settings.remarks(grids, store), *queued.remarks(submitted, found), *orphans.remarks(grids, submitted)]
    return Seen(made, found.notes, told + _too_long(made, submitted), standings)


def _too_long(made: Plan, submitted: Submitted) -> list[str]:
    """Runs under way that their job's time limit will interrupt."""
    told = []
    for run in made.runs:
        state, job = made.states[run.run_id], submitted.newest.get(run.run_id)
        seconds = left(run, state, made.until, {}) if state.name == State.CLAIMED and state.progress else None
        if job and seconds and seconds > 60 * job[0].minutes:
            told.append(f"{run.run_id} needs {clock(seconds)} more, and a job has {clock(60 * job[0].minutes)}: it is "
                        "requeued on the way, and continues")
    return told


def lines(grids: Sequence[Grid], seen: Seen) -> list[str]:
    """For a reader."""
    made = seen.plan
    names = [_name(made.states[run.run_id], seen.queue.get(run.run_id, "")) for run in made.runs]
    told = [f"{', '.join(grid.name for grid in grids)}: {len(made.runs)} runs: "
            + ", ".join(f"{n} {name}" for name, n in Counter(names).most_common())]
    shown = [(run, name) for run, name in zip(made.runs, names, strict=True) if name not in NOT_TOLD]
    for run, name in shown[:SHOWN]:
        state = made.states[run.run_id]
        done = f"{state.epochs}/{run.config.train.epochs} epochs"
        standing = seen.standings.of(run)
        metric = f", {standing.words}" if standing else ""
        why = "; ".join(filter(None, (state.detail, seen.queue.get(run.run_id, ""))))
        told.append(f"  {name:<18} {done:<14} {run.run_id}  {run.name}{metric}" + (f": {why}" if why else ""))
    if len(shown) > SHOWN:
        told.append(f"  {len(shown) - SHOWN} more (--json has them all)")
    return told + [f"  {remark}" for remark in seen.remarks] + _times(made)


def _name(state: RunState, note: str) -> str:
    if not note or state.name not in (*WITHOUT_OWNER, State.FAILED, State.CANCELLED):
        return state.label
    return "starting" if note.endswith("is starting") else "will not start" if NEVER in note else "queued"


def _times(made: Plan) -> list[str]:
    running = [run for run in made.runs if made.states[run.run_id].name == State.CLAIMED]
    each = [left(run, made.states[run.run_id], made.until, made.speeds) for run in running]
    known = [seconds for seconds in each if seconds]
    if not known:
        return []
    told = [f"  the running ones need about {clock(max(known))} more"]
    if made.estimate.known and not made.estimate.unknown:
        whole = max(max(known), (sum(known) + made.estimate.seconds) / len(running))
        told.append(f"  everything needs about {clock(whole)} more at {len(running)} at a time")
    return told


def as_json(seen: Seen) -> dict[str, object]:
    """For programs: as the plan, with what the queue says of each run, how it does, and the remarks."""
    content = seen.plan.as_json()
    runs = {run.run_id: run for run in seen.plan.runs}
    for run in content["runs"]:
        run["queue"] = seen.queue.get(run["id"], "")
        standing = seen.standings.of(runs[run["id"]]) if run["state"] != State.TODO else None
        run["standing"] = standing.as_json() if standing else None
    return content | {"remarks": seen.remarks}
