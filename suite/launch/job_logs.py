"""The logs of cluster jobs, for runs without a log because their job ended before it started them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.launch import batch, observation
from suite.launch.queue import Submitted
from suite.store.state import RunState
from suite.store.store import Store


def states(run_ids: Sequence[str], store: Store) -> dict[str, RunState]:
    """Returns the states of these runs, updated from the queue and the job logs."""
    known = store.states(run_ids)
    if not (store.root / batch.FOLDER).is_dir():
        return known
    return observation.observe(Submitted(store), known).states


def of_runs(run_ids: Sequence[str], store: Store) -> dict[str, Path]:
    """Returns the log of each run's newest job that has printed anything. Runs without such a log are left out."""
    if not (store.root / batch.FOLDER).is_dir():
        return {}
    submitted = Submitted(store)
    found = {}
    for run_id in run_ids:
        for name in submitted.of_run.get(run_id, ()):  # the oldest first
            label = submitted.label(submitted.batches[name], run_id)
            path = submitted.log_of(label)
            if label and path.is_file() and path.stat().st_size:
                found[run_id] = path
    return found
