"""The command report: tables, plots and verdicts of the results so far."""

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
    """Writes the report of the results so far, or checks a kept one. Raises UserError."""
    if request.check is not None:
        return _check(request.check)
    if not grids:
        raise UserError("no grid is named", "report", "name grid files, or --check DIR")
    store = Store(request.store)
    print(write_report(with_added(grids, store), store, request.out, figures=request.figures,
                       style=NumberStyle(request.latex)).text)
    return 0


def _check(folder: Path) -> int:
    """Prints what differs between a kept report and what its store gives now. Returns 1 if something does."""
    checked = frozen.check(folder)
    for line in checked.differences[:SHOWN]:
        print(line)
    if len(checked.differences) > SHOWN:
        print(f"{len(checked.differences) - SHOWN} more")
    print(f"{folder}: the report is " + ("not what the store gives" if checked.differences else "what the store gives"))
    if checked.differences:
        print(f"to write it again: {checked.command}")
    return 1 if checked.differences else 0
