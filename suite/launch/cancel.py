"""Cancels the runs that the grids have started, on any machine or in a queue. `retry` resumes them later.

An active run is asked to stop by a file in its folder, which is checked at each heartbeat. A waiting run is marked as
cancelled and never starts.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from suite.errors import UserError
from suite.files import atomic
from suite.files.counted import counted
from suite.grid.model import Grid, GridRun
from suite.launch import batch, orphans, queue, slurm_cli
from suite.launch.slurm_cli import SlurmError
from suite.store import attempt, requests
from suite.store.folder import check_folder, read_config
from suite.store.state import RunState, State
from suite.store.store import Store

PATIENCE_S, LOOK_S = 30.0, 0.3  # time for runs to write their checkpoints; time between two checks


@dataclass(frozen=True)
class Cancelled:
    """The runs to cancel, and their states afterwards. Both are empty if no run was active."""

    runs: Mapping[str, GridRun]
    states: Mapping[str, RunState]

    @property
    def going(self) -> list[str]:
        """The ids of the runs that did not stop within PATIENCE_S."""
        return [run_id for run_id, state in self.states.items() if not state.is_over]


def cancel(grids: Sequence[Grid], store: Store, report: Callable[[str], None], orphaned: bool = False) -> Cancelled:
    """Cancel the runs that only these grids have started; with `orphaned`, only runs that are no longer in the grids.

    `report` is called with messages, e.g. about runs that are not cancelled. Raises UserError.
    """
    mine = _orphans(grids, store) if orphaned else _own(grids, store, report)
    submitted = queue.Submitted(store)
    queued, alone = _jobs(mine, submitted, report)
    states = store.states(mine)
    unknown = bool(submitted.queue.fault) and any(run_id in submitted.newest for run_id in mine)
    if not queued and not unknown and not any(state.name == State.CLAIMED for state in states.values()):
        return Cancelled({}, {})
    _release(queued, alone, submitted, report)
    queue.cancel([job for job in alone if job.state != "RUNNING"], store.root)  # first, so that none starts now
    try:
        _ask(mine, store, {run_id for run_id, state in states.items() if state.is_over})
    except OSError as error:
        raise atomic.explain(error) or error from None
    return Cancelled(mine, store.states(mine))


def _own(grids: Sequence[Grid], store: Store, report: Callable[[str], None]) -> dict[str, GridRun]:
    """Returns the unfinished runs that only these grids have started."""
    mine, shared = started(grids, store)
    states = store.states([*mine, *shared])
    for path, count in Counter(path for run_id, paths in shared.items() if not states[run_id].is_over
                               for path in paths).items():
        them = "it" if count == 1 else "them"
        report(f"{counted(count, 'run')} left alone: {path} started {them} too; pass {path} as well to cancel {them}")
    submitted = queue.Submitted(store)
    return {run_id: run for run_id, run in mine.items() if not states[run_id].is_over
            or (run_id in submitted.newest and submitted.retries(submitted.newest[run_id][0], run_id, states[run_id]))}


def _orphans(grids: Sequence[Grid], store: Store) -> dict[str, GridRun]:
    """Returns active and waiting runs that these grids started but no longer contain."""
    found = {}
    for run_id in orphans.run_ids(grids, store):
        with suppress(OSError, UserError, atomic.Corrupt):  # without config.json it was never started
            found[run_id] = GridRun(read_config(store.folder(run_id)), run_id, {})
    return found


def started(grids: Sequence[Grid], store: Store) -> tuple[dict[str, GridRun], dict[str, list[str]]]:
    """Returns the runs of these grids that were started: by id, those that only these grids started; and the ids of
    the others, each with the files of the other grids that started it."""
    origins = {requests.of_grid(grid).origin for grid in grids}
    named = {run.run_id: run for grid in grids for run in grid.runs}
    mine: set[str] = set()
    others: dict[str, list[str]] = {}
    for launch in requests.all_of(store):
        if launch.origin in origins:
            mine |= launch.starts & named.keys()
        else:
            for run_id in launch.starts & named.keys():
                others.setdefault(run_id, []).append(launch.path)
    return ({run_id: run for run_id, run in named.items() if run_id in mine - others.keys()},
            {run_id: sorted(set(paths)) for run_id, paths in others.items() if run_id in mine})


def _jobs(mine: Mapping[str, GridRun], submitted: queue.Submitted,
          report: Callable[[str], None]) -> tuple[list[queue.Job], list[queue.Job]]:
    """Returns the cluster jobs of these runs, and those jobs that have no other unfinished runs."""
    store = submitted.store
    if not (store.root / batch.FOLDER).is_dir():
        return [], []
    found = submitted.jobs(store.states(mine))
    if found is None:
        report(f"the queue cannot be read ({submitted.queue.fault}); the runs are marked as cancelled, and their "
             "jobs end when they start")
    jobs = list({job.label: job for run_id in mine for job in (found or {}).get(run_id, ())}.values())
    others = {job.label: [run_id for run_id in submitted.batches[job.batch].tasks[job.task]
                          if run_id not in mine] for job in jobs}
    states = store.states(run_id for runs in others.values() for run_id in runs)
    return jobs, [job for job in jobs if all(states[run_id].is_over for run_id in others[job.label])]


def _release(queued: Sequence[queue.Job], alone: Sequence[queue.Job], submitted: queue.Submitted,
             report: Callable[[str], None]) -> None:
    """Remove the dependencies of remaining jobs on cancelled canaries. Raises UserError if SLURM refuses."""
    canaries = {label for job in alone if submitted.batches[job.batch].kind == batch.Kind.CANARY
                for label in (job.label, job.array)}
    ours = {job.label for job in alone}
    behind = {name: one for name, one in submitted.batches.items()
              if one.kind == batch.Kind.MAIN and canaries & _proofs(one, submitted)}
    if not canaries or not behind:
        return
    stay = submitted.queue.jobs({name: one.cluster for name, one in behind.items()}) or ()
    for name in sorted({job.batch for job in stay if job.label not in ours and job.state == "PENDING"}):
        one, number = behind[name], submitted.number(name)
        after = [text for text in one.after if text.removeprefix("afterok:") not in canaries]
        try:
            slurm_cli.wait_for(number, after, one.cluster)
        except SlurmError as error:
            raise UserError(f"job {number} depends on a canary that is to be cancelled, and this dependency cannot "
                            f"be removed: {error}", "scontrol update",
                            "nothing was cancelled; try again, or cancel all runs of that job, too") from None
        report(f"job {number} no longer waits for its canary, which is being cancelled")


def _proofs(one: batch.Batch, submitted: queue.Submitted) -> set[str]:
    """Returns the labels of the canaries that a batch waits for or, for an older record, the id of their array."""
    if one.when:
        return {text.removeprefix("afterok:") for text in one.after}
    return {submitted.number(other.name) for other in submitted.batches.values()
            if other.start == one.start and other.kind == batch.Kind.CANARY}


def _ask(runs: Mapping[str, GridRun], store: Store, again: set[str]) -> None:
    """Ask active runs to stop, mark waiting runs as cancelled, and wait up to PATIENCE_S. Raises OSError, UserError.

    `again`: runs that had ended and wait to be retried. They are marked, too.
    """
    until = time.monotonic() + PATIENCE_S
    asked: set[tuple[str, int]] = set()
    left = dict(runs)
    while left and time.monotonic() < until:
        for run_id, state in store.states(left).items():
            if state.is_over and run_id not in again:
                del left[run_id]
            elif state.name == State.CLAIMED:
                if (run_id, state.attempts) not in asked:
                    asked.add((run_id, state.attempts))
                    attempt.ask_to_stop(store.folder(run_id), state.attempts, f"{os.uname().nodename} {os.getpid()}")
            elif state.name != State.UNKNOWN:
                again.discard(run_id)
                _mark(left[run_id], store, state)
        if left:
            time.sleep(LOOK_S)


def _mark(run: GridRun, store: Store, state: RunState) -> None:
    """Mark a run that is not active as cancelled."""
    check_folder(store.folder(run.run_id))
    own = attempt.claim(store.add(run.config))
    if own is not None:  # otherwise it has just started, and is asked to stop in the next round
        own.end(State.CANCELLED, detail="cancelled before it started; `retry` starts it")
