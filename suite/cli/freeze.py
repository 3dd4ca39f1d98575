"""The command freeze: copies the results of finished and stopped runs, with their report, into a folder to keep."""

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
    """Copies the results so far, and the report, into a new folder. Raises UserError if the folder exists."""
    out = request.out or Path("results") / file_stem(grids[0].name)
    store = Store(request.store)
    whole = with_added(grids, store)
    added = {run.config.seed for grid in whole for run in grid.runs} - {seed for grid in grids for seed in grid.seeds}
    manifest = frozen.Manifest([os.path.relpath(grid.path, out) for grid in grids], request.profile,
                               list(request.sets), list(request.only), request.seeds, sorted(added))
    kept = frozen.freeze(whole, store, out, manifest)
    print(f"kept {kept.runs} of {kept.wanted} runs, {f'{kept.early} of them stopped early, ' if kept.early else ''}"
          f"and their report, in {out}")
    return 0
