"""The logs of cluster jobs, for runs that have no log of their own because their job ended before it began them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.launch import batch, seen
from suite.launch.queue import Submitted
from suite.store.state import RunState
from suite.store.store import Store


def states(run_ids: Sequence[str], store: Store) -> dict[str, RunState]:
    """The states of these runs, with what the queue and the job logs add."""
    known = store.states(run_ids)
    if not (store.root / batch.FOLDER).is_dir():
        return known
    return seen.observe(Submitted(store), known).states


def of_runs(run_ids: Sequence[str], store: Store) -> dict[str, Path]:
    """The log of the newest job of each run that has printed anything."""
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
