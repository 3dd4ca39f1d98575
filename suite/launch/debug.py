"""Computes runs one after the other in this process, for debugging: errors and Ctrl-C reach the caller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.launch import snapshot
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.plan.decision import Decision, wanted
from suite.store.state import RunState
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.train.trajectory import Training


def launch(runs: Sequence[GridRun], options: Options, listener: Listener,
           training: Training | None = None) -> dict[str, RunState]:
    """Compute the runs in order, except those that are finished or active elsewhere. Returns the states by id.

    No run starts after the time limit of the launch. Raises whatever a run raises; the run's state records it, too.
    """
    gpu = options.gpus[0] if options.gpus else None
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if gpu is None else str(gpu)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in `local`: NumPy reads it when it is first imported, with the job
    from suite.job import job
    from suite.job.log import to_stdout

    to_stdout()

    store = Store(options.store)
    states: dict[str, RunState] = {}
    code = snapshot.origin(store.root, [run.config for run in runs])
    for run in {run.run_id: run for run in runs}.values():
        state = store.state(run.run_id)
        if not options.over and wanted(state, run.config.train.epochs, options.selection) == Decision.START:
            listener.started(run)
            place = None if run.run_id in options.on_cpu else gpu
            state = job.run(store.add(run.config), options.order(place, code), training, debug=True)
        states[run.run_id] = state
        listener.ended(run, state)
    return states
