"""Jobs of runs that were removed from a grid after they were submitted."""

from __future__ import annotations

from collections.abc import Sequence

from suite.errors import UserError
from suite.grid.model import Grid
from suite.launch.queue import Job, Submitted
from suite.store.state import State
from suite.store.store import Store
from suite.store.trash import unnamed


def jobs_of(grids: Sequence[Grid], submitted: Submitted) -> dict[str, list[Job]]:
    """Returns the runs that these grids have started and no grid still contains, with their jobs in the queue."""
    try:
        ids = [run_id for run_id in unnamed(grids, submitted.store) if run_id in submitted.newest]
    except UserError:  # the record of a start cannot be read: `gc` reports it
        return {}
    states = submitted.store.states(ids)
    open_ids = {run_id for run_id, state in states.items() if state.name not in (State.DONE, State.CANCELLED)}
    jobs = submitted.jobs({run_id: states[run_id] for run_id in open_ids}) or {}
    return {run_id: mine for run_id, mine in jobs.items() if run_id in open_ids}  # a job may have other runs, too


def remarks(grids: Sequence[Grid], submitted: Submitted) -> list[str]:
    """Returns a line about such jobs and how to cancel them, if there are any."""
    labels = {job.label for jobs in jobs_of(grids, submitted).values() for job in jobs}
    if not labels:
        return []
    what = f"{len(labels)} jobs of an earlier version of these grids are" if len(labels) > 1 else \
        "a job of an earlier version of these grids is"
    return [f"{what} in the queue; `cancel --orphans` cancels the runs that were removed from them"]


def run_ids(grids: Sequence[Grid], store: Store) -> list[str]:
    """Returns the runs of such jobs, and active runs, for `cancel --orphans`. Raises UserError as `unnamed` does."""
    ids = list(unnamed(grids, store))
    states = store.states(ids)
    queued = jobs_of(grids, Submitted(store))
    return [run_id for run_id in ids if run_id in queued or states[run_id].name == State.CLAIMED]
