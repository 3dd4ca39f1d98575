"""The command export: writes every epoch of every run, with its settings, for other programs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from suite.cli.other_requests import ExportRequest
from suite.grid.model import Grid
from suite.report.added import with_added
from suite.report.export import export as export_tables
from suite.report.trackers import Tracker
from suite.store.store import Store

HOW = {Tracker.TENSORBOARD: "tensorboard --logdir {place}",
       Tracker.TRACKIO: "TRACKIO_DIR={place} trackio show",
       Tracker.WANDB: "run wandb sync --sync-all in a folder of {place}, which uploads them"}


def export(grids: Sequence[Grid], request: ExportRequest) -> int:
    """Write the tables, and the files of the trackers in `request.to`. Raises UserError."""
    store = Store(request.store)
    made = export_tables(with_added(grids, store), store, request.out, request.to)
    print(f"{made.epochs} epochs of {made.runs} runs: {request.out / 'runs.csv'}, runs.parquet")
    for tracker, runs in made.tracked.items():
        place = request.out / tracker
        print(f"{tracker}: {runs} runs; to view them: {HOW[tracker].format(place=shlex.quote(str(place)))}")
    return 0
