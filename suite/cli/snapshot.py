"""The content of `status`: the progress of the runs, from their files and the queue of a cluster. Writes nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.cli import settings
from suite.cli.standing import Standings
from suite.grid.model import Grid
from suite.launch import observation, orphans
from suite.launch.batch import FOLDER
from suite.launch.queue import WITHOUT_OWNER, Queue, Submitted
from suite.plan.estimate import clock, left
from suite.plan.plan import Plan, make_plan
from suite.store.state import RunState, State
from suite.store.store import Store

ACTIVE_S, ALL_S = 5.0, 30.0  # seconds between two reads of active runs, and of all runs
SHOWN = 32  # maximum number of runs in the list
NEVER = "will not start:"  # in the note of a job
NOT_LISTED = (State.TODO, State.DONE)


@dataclass(frozen=True)
class Snapshot:
    """The runs at one moment. `queue`: a note for each run that is in a job. `remarks`: lines for the user."""

    plan: Plan
    queue: dict[str, str]
    remarks: list[str]
    standings: Standings

    @property
    def active(self) -> bool:
        """Whether anything may change without another command."""
        waits = any(NEVER not in note for note in self.queue.values())
        return waits or any(state.name == State.CLAIMED for state in self.plan.states.values())


class Snapshots:
    """Reads a store repeatedly: active runs every few seconds, all runs less often.

    A file that has not changed is not read again, to spare network file systems.
    """

    def __init__(self, grids: Sequence[Grid], store: Store, until: int | None) -> None:
        self.grids, self.store, self.until = grids, store, until
        self.queue, self.standings = Queue(), Standings(store)
        self.active_read = self.all_read = 0.0
        self.latest = self._read_all()

    def refresh(self) -> Snapshot:
        """The current snapshot. All runs are read every ALL_S seconds, and when an active run has ended."""
        now = time.monotonic()
        if now - self.all_read > ALL_S:
            self.latest = self._read_all()
        elif now - self.active_read > ACTIVE_S:
            before = self.latest.plan.states
            active = {run_id: self.store.state(run_id) for run_id, state in before.items()
                      if state.name == State.CLAIMED}
            ended = any(state.name != State.CLAIMED for state in active.values())
            self.active_read = now
            self.latest = self._read_all() if ended else replace(self.latest, plan=replace(self.latest.plan,
                                                                                    states={**before, **active}))
        return self.latest

    def _read_all(self) -> Snapshot:
        self.active_read = self.all_read = time.monotonic()
        return take(self.grids, self.store, self.until, self.queue, self.standings)


def take(grids: Sequence[Grid], store: Store, until: int | None, queue: Queue, standings: Standings) -> Snapshot:
    """Read the files of the runs, and the queue."""
    made = make_plan(grids, store, until)
    if not os.path.lexists(store.root / FOLDER):
        return Snapshot(made, {}, settings.remarks(grids, store), standings)
    submitted = Submitted(store, queue)
    found = observation.observe(submitted, made.states)
    made = replace(made, states=found.states)
    remarks = [*settings.remarks(grids, store), *observation.remarks(submitted, found),
               *orphans.remarks(grids, submitted)]
    return Snapshot(made, found.notes, remarks + _too_long(made, submitted), standings)


def _too_long(made: Plan, submitted: Submitted) -> list[str]:
    """A line for each active run that the time limit of its job will interrupt."""
    found = []
    for run in made.runs:
        state, job = made.states[run.run_id], submitted.newest.get(run.run_id)
        seconds = left(run, state, made.until, {}) if state.name == State.CLAIMED and state.progress else None
        if job and seconds and seconds > 60 * job[0].minutes:
            found.append(f"{run.run_id} needs {clock(seconds)} more, but the time limit of its job is "
                         f"{clock(60 * job[0].minutes)}: it will be requeued and continue")
    return found


def lines(grids: Sequence[Grid], snapshot: Snapshot) -> list[str]:
    """The lines of `status`."""
    made = snapshot.plan
    names = [_name(made.states[run.run_id], snapshot.queue.get(run.run_id, "")) for run in made.runs]
    found = [f"{', '.join(grid.name for grid in grids)}: {len(made.runs)} runs: "
             + ", ".join(f"{n} {name}" for name, n in Counter(names).most_common())]
    shown = [(run, name) for run, name in zip(made.runs, names, strict=True) if name not in NOT_LISTED]
    for run, name in shown[:SHOWN]:
        state = made.states[run.run_id]
        done = f"{state.epochs}/{run.config.train.epochs} epochs"
        standing = snapshot.standings.of(run)
        metric = f", {standing.words}" if standing else ""
        why = "; ".join(filter(None, (state.detail, snapshot.queue.get(run.run_id, ""))))
        found.append(f"  {name:<18} {done:<14} {run.run_id}  {run.name}{metric}" + (f": {why}" if why else ""))
    if len(shown) > SHOWN:
        found.append(f"  {len(shown) - SHOWN} more (--json shows all)")
    return found + [f"  {remark}" for remark in snapshot.remarks] + _times(made)


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
    found = [f"  active runs need about {clock(max(known))} more"]
    if made.estimate.known and not made.estimate.unknown:
        every = max(max(known), (sum(known) + made.estimate.seconds) / len(running))
        found.append(f"  all runs need about {clock(every)} more, {len(running)} at a time")
    return found


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """The content of `status --json`: the plan, with the queue's note on each run and its metric, and the remarks."""
    content = snapshot.plan.as_json()
    runs = {run.run_id: run for run in snapshot.plan.runs}
    for run in content["runs"]:
        run["queue"] = snapshot.queue.get(run["id"], "")
        standing = snapshot.standings.of(runs[run["id"]]) if run["state"] != State.TODO else None
        run["standing"] = standing.as_json() if standing else None
    return content | {"remarks": snapshot.remarks}
