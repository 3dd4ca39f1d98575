"""Marks that depend on the whole table: cells close to the best of their column, and the papers that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from suite.report.published.number import OURS
from suite.report.statistics.best import Candidate, against_best
from suite.report.tables.table import Cell, Head, Paper, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.published.papers import Published


def marked(table: Table, grid: Grid, published: Published) -> Table:
    """The table with Holm-corrected p values of each cell against the best of its column, and with its papers."""
    models = {run.run_id: run.config.model.name for run in grid.runs}
    columns = [_column(head, cells, models)
               for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True)]
    return replace(table, cells=tuple(zip(*columns, strict=True)), papers=_papers(table, published))


def _column(head: Head, cells: Sequence[Cell], models: dict[str, str]) -> list[Cell]:
    tested = [cell for cell in cells if cell.state == "complete" and cell.values and not cell.base]
    rows = {cell.run_ids: Candidate(list((cell.values or {}).values()), models[cell.run_ids[0]]) for cell in tested}
    found = against_best(rows, head.metric.direction == "max") if head.metric.name != "parameters" else {}
    return [replace(cell, p_from_best=found.get(cell.run_ids) if cell in tested else None) for cell in cells]


def _papers(table: Table, published: Published) -> tuple[Paper, ...]:
    """The papers whose numbers are shown next to cells, if there are several; the S4D paper first."""
    keys = dict.fromkeys(one.paper for row in table.cells for cell in row for one in cell.papers)
    if len(keys) < 2:
        return ()
    found = {paper.id: Paper(paper.id, paper.citation) for paper in published.papers}
    return tuple(found[key] for key in sorted(keys, key=lambda key: key != OURS))
