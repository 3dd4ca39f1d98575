"""The command export: every epoch of every run with its settings, for other programs."""

from __future__ import annotations

from collections.abc import Sequence

from suite.cli.requests import ExportRequest
from suite.grid.model import Grid
from suite.report.added import with_added
from suite.report.export import export as export_tables
from suite.store.store import Store


def export(grids: Sequence[Grid], request: ExportRequest) -> int:
    """Writes the tables, and with `request.tensorboard` the event files. Raises UserError."""
    store = Store(request.store)
    made = export_tables(with_added(grids, store), store, request.out, request.tensorboard)
    print(f"{made.epochs} epochs of {made.runs} runs: {request.out / 'runs.csv'}, runs.parquet")
    if request.tensorboard:
        print(f"event files of {made.events} runs: {request.out / 'tensorboard'}")
    return 0
