"""The verb gc lists runs that grids have started and no longer contain; `--yes` moves them to `<store>/trash/`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from suite.files import atomic
from suite.grid.model import Grid
from suite.store import attempt, requests
from suite.store.folder import check_folder
from suite.store.state import RunState, State
from suite.store.store import Store

FOLDER = "trash"


def unnamed(grids: Sequence[Grid], store: Store) -> dict[str, str]:
    """Runs, with their labels, that these grids have started with the same profile and settings and no longer contain.

    Runs that were named with any other grid, profile or setting are left out.
    """
    asking = {requests.of_grid(grid).question for grid in grids}
    named = {run.run_id for grid in grids for run in grid.runs}
    started: dict[str, str] = {}
    for launch in requests.all_of(store):
        if launch.question in asking:
            started |= {run_id: launch.runs[run_id] for run_id in sorted(launch.starts)}
        else:
            named |= launch.runs.keys()
    return {run_id: labels for run_id, labels in started.items() if run_id not in named}


def move(store: Store, run_id: str, state: RunState) -> Path | None:
    """Move a run to the trash. Returns its path there, or None if another process owns the run.

    It is claimed first, so that no other process can start it. Raises UserError.
    """
    folder = store.folder(run_id)
    check_folder(folder)
    try:
        own = attempt.claim(folder)
        if own is None:
            return None
        place = aside(store, run_id)
        folder.rename(place)
        # If moved back, the run has its old state. Until this record, the claim keeps others from starting the run.
        name = state.name if state.name in (State.FAILED, State.CANCELLED) else State.PARTIAL
        attempt.Attempt(place, own.number, own.token).end(name, state.reason, state.detail)
    except OSError as error:
        raise atomic.explain(error) or error from None
    return place


def aside(store: Store, run_id: str) -> Path:
    """A free path for a run in the trash. Raises OSError."""
    (store.root / FOLDER).mkdir(exist_ok=True)
    number = 1
    while os.path.lexists(place := store.root / FOLDER / f"{run_id}-{number}"):
        number += 1
    return place
