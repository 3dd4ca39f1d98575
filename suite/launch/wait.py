"""Waiting for runs that cluster jobs compute. Nothing here changes a job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.job.stop import Stop
from suite.launch import endings, failed_starts, seen
from suite.launch.counted import counted
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.launch.queue import Job, Submitted
from suite.launch.revival import Revival
from suite.plan.decision import Decision, wanted
from suite.store.records import Beat
from suite.store.state import Reason, RunState, State

if TYPE_CHECKING:
    from suite.grid.model import GridRun

LOOK_S, SHARE = 1.0, 0.1  # seconds between two looks, and the most of the time in which the files of runs are read


class Watching:
    """The runs to wait for.

    left: runs that have not ended yet. again: runs to submit again, as their jobs were killed. never: the states of
    runs that will not start, which no file records.
    """

    def __init__(self, submitted: Submitted, options: Options, listener: Listener, left: dict[str, GridRun]) -> None:
        self.submitted, self.options, self.listener, self.left = submitted, options, listener, left
        self.revival = Revival(submitted.store)
        self.again: list[GridRun] = []
        self.running: set[str] = set()
        self.said: set[str] = set()
        self.never: dict[str, RunState] = {}
        self.read_s = 0.0  # how long it took to read the states at the last look

    def begin(self, runs: Sequence[GridRun]) -> None:
        """Wait for these runs, too. They have just been submitted."""
        self.submitted = Submitted(self.submitted.store, self.submitted.queue)
        self.left |= {run.run_id: run for run in runs}
        self.revival.begin(run.run_id for run in runs)

    def wait(self, stop: Stop) -> list[GridRun]:
        """Wait until each run has ended, has left the queue, or will not start; until some runs are to be submitted
        again; or until a stop is asked for. Returns the runs to submit again. Reports to the listener."""
        while self.left and not self.again and not stop.asked:
            self.look()
            if self.left and not self.again:
                stop.sleep(max(LOOK_S, self.read_s / SHARE))
        if stop.asked:
            self.listener.message("the jobs continue; `status` shows how far they are, and `cancel` ends them")
        again, self.again = self.again, []
        return again

    def look(self) -> None:
        """Look once at the queue and the files."""
        store = self.submitted.store
        jobs = self.submitted.jobs(dict.fromkeys(self.left))  # before the states: a job that has left writes no more
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
            self._tell(f"the queue cannot be read ({self.submitted.queue.fault}); waiting for the files of the runs")
        self._leave(gone, states, jobs)
        self._give_up(jobs)

    def _leave(self, gone: Mapping[str, bool], states: Mapping[str, RunState],
               jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """Handle runs that have ended (True), or are in no job any more (False)."""
        out = {run_id: states[run_id] for run_id, over in gone.items() if not over}
        again: dict[str, str] = {}
        if out:
            store = self.submitted.store
            endings.record_endings(self.submitted, out, jobs or {})
            failed_starts.note(self.submitted, store.states(out), jobs, self.listener.message)
            found = seen.observe(self.submitted, store.states(out))
            again = self.revival.again(self.submitted, [run_id for run_id, state in out.items()
                                                        if state.name in (State.CLAIMED, State.LOST)], found.states)
            now = found.states | store.states(run_id for run_id in out if run_id in self.revival.given_up)
            ended = {run_id: state for run_id, state in now.items() if run_id not in again}
            for remark in seen.remarks(self.submitted, replace(found, states=ended)):
                self._tell(remark)
            states = {**states, **ended}
        self._tell_of_jobs(again)
        for run_id in gone:
            run = self.left.pop(run_id)
            if run_id in again:
                self.again.append(run)
            else:
                self.listener.ended(run, states[run_id])

    def _tell_of_jobs(self, again: Mapping[str, str]) -> None:
        """Report jobs that were killed or cancelled before their runs ended."""
        for label, count in Counter(again.values()).items():
            self.listener.message(f"job {label} was killed; {counted(count, 'run starts', 'runs start')} again")
        for label in self.revival.cancelled:
            self._tell(f"job {label} was cancelled; the same command submits what it has not finished")

    def _give_up(self, jobs: Mapping[str, Sequence[Job]] | None) -> None:
        """Report runs that will not start. If no others are left, do not wait for them."""
        never = {run_id: mine[-1] for run_id, mine in (jobs or {}).items() if run_id in self.left
                 and all(job.stuck is not None for job in mine)}
        for text, count in Counter(_kind(job) for job in never.values()).items():
            self._tell(f"{counted(count, 'run')}: {text}")
        if self.left and never.keys() == self.left.keys() and all(job.stuck and job.stuck.for_good
                                                                  for job in never.values()):
            self._tell(f"{counted(len(never), 'run')} will not start, so --wait ends; their jobs stay in the queue")
            for run_id, job in never.items():
                self.never[run_id] = RunState(State.FAILED, reason=Reason.START, detail=job.words)
                self.listener.ended(self.left.pop(run_id), self.never[run_id])

    def _tell(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.listener.message(text)


def _kind(job: Job) -> str:
    return f"their jobs {job.stuck.words} ({job.reason})" if job.stuck else ""
