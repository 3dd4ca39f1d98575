"""The command report: writes tables, plots and verdicts of the results so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from suite.cli.other_requests import ReportRequest
from suite.errors import UserError
from suite.grid.model import Grid
from suite.report import frozen
from suite.report.added import with_added
from suite.report.render.latex_number import NumberStyle
from suite.report.report import write_report
from suite.store.store import Store

SHOWN = 20


def report(grids: Sequence[Grid], request: ReportRequest) -> int:
    """Write the report of the results so far, or check an existing one. Raises UserError."""
    if request.check is not None:
        return _check(request.check)
    if not grids:
        raise UserError("no grid was given", "report", "name grid files, or use --check DIR")
    store = Store(request.store)
    print(write_report(with_added(grids, store), store, request.out, figures=request.figures,
                       style=NumberStyle(request.latex)).text)
    return 0


def _check(folder: Path) -> int:
    """Print the differences between a kept report and one rebuilt from its store. Returns 1 if there are any."""
    checked = frozen.check(folder)
    for line in checked.differences[:SHOWN]:
        print(line)
    if len(checked.differences) > SHOWN:
        print(f"{len(checked.differences) - SHOWN} more")
    print(f"{folder}: the report {'differs from' if checked.differences else 'matches'} the store")
    if checked.differences:
        print(f"to rewrite it: {checked.command}")
    return 1 if checked.differences else 0
