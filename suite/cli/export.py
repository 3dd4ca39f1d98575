"""The command export: every epoch of every run with its settings, for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from suite.grid.model import Grid
from suite.report.export import export as export_tables
from suite.store.store import Store


def export(grids: Sequence[Grid], args: argparse.Namespace) -> int:
    """Writes the tables, and with `args.tensorboard` the event files. Raises UserError."""
    made = export_tables(grids, Store(args.store), args.out, args.tensorboard)
    print(f"{made.epochs} epochs of {made.runs} runs: {args.out / 'runs.csv'}, runs.parquet")
    if args.tensorboard:
        print(f"event files of {made.events} runs: {args.out / 'tensorboard'}")
    return 0
