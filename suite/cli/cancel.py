"""The command cancel: ends what the grids have started, here or on a cluster; `retry` takes it up again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from suite.grid.model import Grid
from suite.launch import cancel as cancelling
from suite.store.store import Store


def cancel(grids: Sequence[Grid], args: argparse.Namespace) -> int:
    """Cancels the runs, and prints what became of them. Returns 1 if one has not stopped yet."""
    made = cancelling.cancel(grids, Store(args.store), print)
    if not made.runs:
        print("nothing of these grids alone is under way here")
        return 0
    counts = {name: sum(state.name == name for state in made.states.values()) for name in cancelling.OVER}
    print(", ".join(f"{n} {name}" for name, n in counts.items() if n) or "no run was left to cancel")
    for run_id in made.going:
        print(f"  {run_id} {made.runs[run_id].name} was asked, and has not stopped within {cancelling.PATIENCE_S:g} s: "
              f"{made.states[run_id].detail}")
    return 1 if made.going else 0
