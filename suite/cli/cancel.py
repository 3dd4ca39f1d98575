"""The command cancel: stops runs that the grids started, here or on a cluster. `retry` continues them."""

from __future__ import annotations

from collections.abc import Sequence

from suite.cli.other_requests import CancelRequest
from suite.grid.model import Grid
from suite.launch import cancel as cancelling
from suite.report.added import with_added
from suite.store.state import State
from suite.store.store import Store

OVER = (State.DONE, State.FAILED, State.CANCELLED)


def cancel(grids: Sequence[Grid], request: CancelRequest) -> int:
    """Cancel the runs and print their states. Returns 1 if a run has not stopped yet."""
    store = Store(request.store)
    made = cancelling.cancel(with_added(grids, store), store, print, request.orphans)
    if not made.runs:
        print("no active job belongs to an earlier version of these grids" if request.orphans
              else "no active run was started by these grids only")
        return 0
    counts = {name: sum(state.name == name for state in made.states.values()) for name in OVER}
    print(", ".join(f"{n} {name}" for name, n in counts.items() if n) or "there was no run to cancel")
    for run_id in made.going:
        print(f"  {run_id} {made.runs[run_id].name} was asked to stop, but is active after "
              f"{cancelling.PATIENCE_S:g} s: {made.states[run_id].detail}")
    return 1 if made.going else 0
