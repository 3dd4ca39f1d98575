"""The command freeze: keeps finished and stopped runs with their report for good."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from suite.cli.requests import FreezeRequest
from suite.grid.model import Grid
from suite.report import frozen
from suite.report.places import file_stem
from suite.store.store import Store


def freeze(grids: Sequence[Grid], request: FreezeRequest) -> int:
    """Keeps what runs have reached, and the report, in a new folder. Raises UserError if it is not new."""
    out = request.out or Path("results") / file_stem(grids[0].name)
    manifest = frozen.Manifest([os.path.relpath(grid.path, out) for grid in grids], request.profile,
                               list(request.sets), list(request.only), request.seeds)
    kept = frozen.freeze(grids, Store(request.store), out, manifest)
    print(f"kept {kept.runs} of {kept.wanted} runs, {f'{kept.early} of them stopped early, ' if kept.early else ''}"
          f"and their report, in {out}")
    return 0
