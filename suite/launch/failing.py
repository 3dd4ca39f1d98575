"""Stops starting runs of a kind when too many of them have failed in the jobs of an array.

Jobs do not communicate: each counts the failures in the store before it starts its runs.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from suite.launch.batch import Batch
from suite.launch.canary import kind
from suite.launch.turns import COUNTED
from suite.store import start_failure
from suite.store.folder import read_config
from suite.store.state import RunState, State
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

log = logging.getLogger(__name__)
STOPPED = "too many runs of its kind have failed"


def leave_out(store: Store, one: Batch, runs: Sequence[GridRun], label: str) -> list[GridRun]:
    """Returns the runs that may start. For the others, records why the job `label` did not start them."""
    if one.max_failures is None:
        return list(runs)
    mine = {run.run_id for run in runs}
    states = store.states([run_id for run_id in one.runs if run_id not in mine])
    failed = [run_id for run_id, state in states.items() if _counts(one, run_id, state, label)]
    counts = Counter(kind(read_config(store.folder(run_id))) for run_id in failed)
    out = [run for run in runs if counts[kind(run.config)] >= one.max_failures]
    for run in out:
        what = kind(run.config)
        reason = f"{STOPPED} in this array: {counts[what]} of {what.words}; --max-failures sets the limit"
        attempts = store.state(run.run_id).attempts
        log.info("%s does not start: %s", run.run_id, reason)
        start_failure.record(store.root, run.run_id, reason, attempts, start_failure.here(label))
    return [run for run in runs if run not in out]


def _counts(one: Batch, run_id: str, state: RunState, label: str) -> bool:
    """Returns whether the run failed or could not start in this array, for a reason that may affect others."""
    if state.name == State.FAILED:
        return state.reason in COUNTED and state.attempts > one.attempts.get(run_id, 0)
    start, array = state.start, label.partition("_")[0]
    return start is not None and start.holder.startswith(f"job {array}_") and not start.reason.startswith(STOPPED)
