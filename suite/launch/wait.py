"""Waits for runs of cluster jobs. Never changes a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.files.counted import counted
from suite.job.stop import Stop
from suite.launch import endings, failed_starts, observation
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.launch.queue import Job, Submitted
from suite.launch.resubmission import Resubmission
from suite.plan.decision import Decision, wanted
from suite.store.records import Beat
from suite.store.state import Reason, RunState, State

if TYPE_CHECKING:
    from suite.grid.model import GridRun

LOOK_S, SHARE = 1.0, 0.1  # shortest time between two looks; largest share of time for reading the runs' files


class Watching:
    """The runs to wait for.

    left: runs that have not ended yet. again: runs to submit again, since their jobs were killed. never: the states of
    runs that will not start; no file records these.
    """

    def __init__(self, submitted: Submitted, options: Options, listener: Listener, left: dict[str, GridRun]) -> None:
        self.submitted, self.options, self.listener, self.left = submitted, options, listener, left
        self.resubmission = Resubmission(submitted.store)
        self.again: list[GridRun] = []
        self.running: set[str] = set()
        self.reported: set[str] = set()
        self.never: dict[str, RunState] = {}
        self.read_s = 0.0  # time spent reading the states at the last look, in seconds

    def begin(self, runs: Sequence[GridRun]) -> None:
        """Add runs to wait for, which have just been submitted."""
        self.submitted = Submitted(self.submitted.store, self.submitted.queue)
        self.left |= {run.run_id: run for run in runs}
        self.resubmission.begin(run.run_id for run in runs)

    def wait(self, stop: Stop) -> list[GridRun]:
        """Wait for the runs, and report to the listener. Returns the runs to submit again.

        The wait ends when each run has ended, has left the queue or will not start, when runs must be submitted again,
        or when a stop is requested.
        """
        while self.left and not self.again and not stop.asked:
            self.look()
            if self.left and not self.again:
                stop.sleep(max(LOOK_S, self.read_s / SHARE))
        if stop.asked:
            self.listener.message("the jobs keep running; `status` shows their progress, and `cancel` ends them")
        again, self.again = self.again, []
        return again

    def look(self) -> None:
        """Read the queue and the files once."""
        store = self.submitted.store
        jobs = self.submitted.jobs(dict.fromkeys(self.left))  # first: a job that has left the queue writes no more
        began = time.monotonic()
        states = store.states(self.left)
        self.read_s = time.monotonic() - began
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
            self._report_once(f"the queue cannot be read ({self.submitted.queue.fault}); still watching the "
                              "files of the runs")
        self._leave(gone, states, jobs)
        self._give_up(jobs)

    def _leave(self, gone: Mapping[str, bool], states: Mapping[str, RunState],
               jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """Handle runs that have ended (True) or are no longer in a job (False)."""
        out = {run_id: states[run_id] for run_id, over in gone.items() if not over}
        again: dict[str, str] = {}
        if out:
            store = self.submitted.store
            endings.record_endings(self.submitted, out, jobs or {})
            failed_starts.note(self.submitted, store.states(out), jobs, self.listener.message)
            found = observation.observe(self.submitted, store.states(out))
            again = self.resubmission.again(self.submitted, [run_id for run_id, state in out.items()
                                                        if state.name in (State.CLAIMED, State.LOST)], found.states)
            now = found.states | store.states(run_id for run_id in out if run_id in self.resubmission.given_up)
            ended = {run_id: state for run_id, state in now.items() if run_id not in again}
            for remark in observation.remarks(self.submitted, replace(found, states=ended)):
                self._report_once(remark)
            states = {**states, **ended}
        self._report_jobs(again)
        for run_id in gone:
            run = self.left.pop(run_id)
            if run_id in again:
                self.again.append(run)
            else:
                self.listener.ended(run, states[run_id])

    def _report_jobs(self, again: Mapping[str, str]) -> None:
        """Report jobs that were killed or cancelled before their runs ended."""
        for label, count in Counter(again.values()).items():
            self.listener.message(f"job {label} was killed; submitting {counted(count, 'run')} again")
        for label in self.resubmission.cancelled:
            self._report_once(f"job {label} was cancelled; the same command submits its unfinished runs")

    def _give_up(self, jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """Report runs that will not start. Stop waiting if no other runs are left."""
        never = {run_id: mine[-1] for run_id, mine in (jobs or {}).items() if run_id in self.left
                 and all(job.stuck is not None for job in mine)}
        for text, count in Counter(_kind(job) for job in never.values()).items():
            self._report_once(f"{counted(count, 'run')}: {text}")
        if self.left and never.keys() == self.left.keys() and all(job.stuck and job.stuck.for_good
                                                                  for job in never.values()):
            self._report_once(f"{counted(len(never), 'run')} will not start, so --wait ends; the jobs stay queued")
            for run_id, job in never.items():
                self.never[run_id] = RunState(State.FAILED, reason=Reason.START, detail=job.words)
                self.listener.ended(self.left.pop(run_id), self.never[run_id])

    def _report_once(self, text: str) -> None:
        if text not in self.reported:
            self.reported.add(text)
            self.listener.message(text)


def _kind(job: Job) -> str:
    return f"their jobs {job.stuck.words} ({job.reason})" if job.stuck else ""
