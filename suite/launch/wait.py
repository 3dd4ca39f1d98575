"""Waiting for runs that jobs of a cluster compute. Nothing here touches a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.job.stop import Stop
from suite.launch import failed_starts, seen
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.launch.queue import Job, Queue, Submitted
from suite.plan.decision import Decision, wanted
from suite.store.records import Beat
from suite.store.state import Reason, RunState, State
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

LOOK_S = 1.0


def watch(runs: Sequence[GridRun], queue: Queue, options: Options, listener: Listener,
          stop: Stop) -> dict[str, RunState]:
    """Return when each run has ended, or is in no job any more, or will not start, or when asked to stop. The listener
    hears of all. Returns the states of those that will not start, which no file says."""
    store = Store(options.store)
    watching = Watching(Submitted(store, queue), options, listener, {run.run_id: run for run in runs})
    while watching.left and not stop.asked:
        watching.look()
        if watching.left:
            stop.sleep(LOOK_S)
    if stop.asked:
        listener.told("the jobs continue; `status` shows how far they are, and `cancel` ends them")
    return watching.never


class Watching:
    """The runs that are waited for. `left` have not ended yet."""

    def __init__(self, submitted: Submitted, options: Options, listener: Listener, left: dict[str, GridRun]) -> None:
        self.submitted, self.options, self.listener, self.left = submitted, options, listener, left
        self.running: set[str] = set()
        self.told: set[str] = set()
        self.never: dict[str, RunState] = {}

    def look(self) -> None:
        """Look once at the queue and the files."""
        store = self.submitted.store
        jobs = self.submitted.jobs(store.states(self.left))  # before the states: what has left the queue is settled
        states = store.states(self.left)
        gone = {}
        for run_id, state in states.items():
            run = self.left[run_id]
            if state.name == State.CLAIMED:
                if run_id not in self.running:
                    self.running.add(run_id)
                    self.listener.started(run)
                self.listener.progress(run, state.progress or Beat())
            over = wanted(state, run.config.train.epochs, self.options.selection) == Decision.LEAVE
            if over or (jobs is not None and run_id not in jobs):
                gone[run_id] = over
        if jobs is None:
            self._tell(f"the queue cannot be read ({self.submitted.queue.fault}); waiting for the files of the runs")
        self._leave(gone, states, jobs)
        self._give_up(jobs)

    def _leave(self, gone: Mapping[str, bool], states: Mapping[str, RunState],
               jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """Some runs have ended (True), or are in no job any more."""
        out = {run_id: states[run_id] for run_id, over in gone.items() if not over}
        if out:
            failed_starts.note(self.submitted, out, jobs, self.listener.told)
            found = seen.seen(self.submitted, self.submitted.store.states(out))
            for remark in seen.remarks(self.submitted, found):
                self._tell(remark)
            states = {**states, **found.states}
        for run_id in gone:
            self.listener.ended(self.left.pop(run_id), states[run_id])

    def _give_up(self, jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """What will never start is said, and not waited for if nothing else is left."""
        never = {run_id: mine[-1] for run_id, mine in (jobs or {}).items() if run_id in self.left
                 and all(job.stuck is not None for job in mine)}
        for told, count in Counter(_kind(job) for job in never.values()).items():
            self._tell(f"{count} runs: {told}")
        if self.left and never.keys() == self.left.keys() and all(job.stuck and job.stuck.for_good
                                                                  for job in never.values()):
            self._tell(f"{len(never)} runs will not start, and are not waited for; their jobs stay in the queue")
            for run_id, job in never.items():
                self.never[run_id] = RunState(State.FAILED, reason=Reason.START, detail=job.told)
                self.listener.ended(self.left.pop(run_id), self.never[run_id])

    def _tell(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.listener.told(text)


def _kind(job: Job) -> str:
    return f"their jobs {job.stuck.told} ({job.reason})" if job.stuck else ""
