"""Waiting for runs that jobs of a cluster compute. Nothing here touches a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.job.stop import Stop
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.launch.queue import Queue, Submitted
from suite.plan.decision import Decision, wanted
from suite.store.records import Beat
from suite.store.state import State
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

LOOK_S = 1.0


def watch(runs: Sequence[GridRun], queue: Queue, options: Options, listener: Listener, stop: Stop) -> None:
    """Return when each run has ended, or is in no job any more, or when asked to stop. The listener hears of all."""
    store = Store(options.store)
    submitted = Submitted(store, queue)
    left = {run.run_id: run for run in runs}
    running: set[str] = set()
    told_fault = ""
    while left and not stop.asked:
        jobs = submitted.jobs(store.states(left))  # before the states: what has left the queue will not change any more
        states = store.states(left)
        for run_id, state in states.items():
            run = left[run_id]
            if state.name == State.CLAIMED:
                if run_id not in running:
                    running.add(run_id)
                    listener.started(run)
                listener.progress(run, state.progress or Beat())
            over = wanted(state, run.config.train.epochs, options.selection) == Decision.LEAVE
            if over or (jobs is not None and run_id not in jobs):
                del left[run_id]
                listener.ended(run, state if over else submitted.seen({run_id: state})[0][run_id])
        if jobs is None and queue.fault != told_fault:
            told_fault = queue.fault
            listener.told(f"the queue cannot be read ({queue.fault}); waiting for the files of the runs")
        if left:
            stop.sleep(LOOK_S)
    if stop.asked:
        listener.told("the jobs go on; `status` shows how far they are, and `cancel` ends them")
