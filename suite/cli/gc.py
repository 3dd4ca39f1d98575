"""The command gc: lists runs that an edited grid no longer contains, and moves them to the trash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.cli.other_requests import TrashRequest
from suite.grid.model import Grid
from suite.launch import orphans
from suite.launch.queue import Submitted
from suite.report.added import with_added
from suite.store.state import State
from suite.store.store import Store
from suite.store.trash import FOLDER, move, unnamed


def gc(grids: Sequence[Grid], request: TrashRequest) -> int:
    """List the runs and, with `--yes`, move them to the trash. Returns 1 if a run could not be moved."""
    store = Store(request.store)
    grids = with_added(grids, store)
    found = unnamed(grids, store)
    queued = orphans.jobs_of(grids, Submitted(store))
    states = {run_id: state for run_id, state in store.states(found).items()
              if state.name != State.TODO or run_id in queued}
    busy = [run_id for run_id, state in states.items() if state.is_held or run_id in queued]
    for run_id, state in states.items():
        size = _size(store.folder(run_id)) / 1e6
        print(f"  {run_id}  {state.label:<18} {state.epochs} epochs, {size:.1f} MB  {found[run_id]}"
              + (f": kept, {queued[run_id][-1].words}; `cancel --orphans` cancels it" if run_id in queued else
                 ": kept, it is active" if run_id in busy else ""))
    going = [run_id for run_id in states if run_id not in busy]
    if not request.yes or not going:
        print(f"{len(going)} runs were started by these grids but are no longer in them"
              + ("; --yes moves them to the trash" if going else ""))
        return 0
    left = [run_id for run_id in going if move(store, run_id, states[run_id]) is None]
    print(f"{len(going) - len(left)} runs were moved to {store.root / FOLDER}. To restore a run, move its folder to "
          f"{store.root} and rename it to the run's id. To free the space, remove the trash")
    for run_id in left:
        print(f"  {run_id} was kept: it has just been started")
    return 1 if left else 0


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
