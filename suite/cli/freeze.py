"""The command freeze: copies the results of finished and stopped runs, with their report, to a new folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from suite.cli.other_requests import FreezeRequest
from suite.grid.model import Grid
from suite.report import frozen
from suite.report.added import with_added
from suite.report.places import file_stem
from suite.store.store import Store


def freeze(grids: Sequence[Grid], request: FreezeRequest) -> int:
    """Copy the results so far, and the report, to a new folder. Raises UserError if the folder exists."""
    out = request.out or Path("results") / file_stem(grids[0].name)
    store = Store(request.store)
    extended = with_added(grids, store)
    before = {seed for grid in grids for seed in grid.seeds}
    added = {run.config.seed for grid in extended for run in grid.runs} - before
    manifest = frozen.Manifest([os.path.relpath(grid.path, out) for grid in grids], request.profile,
                               list(request.sets), list(request.only), request.seeds, sorted(added))
    kept = frozen.freeze(extended, store, out, manifest)
    print(f"kept {kept.runs} of {kept.wanted} runs, {f'{kept.early} of them stopped early, ' if kept.early else ''}"
          f"and their report, in {out}")
    return 0
