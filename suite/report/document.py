"""A report on one grid: its tables, claims, curves and warnings, and the files that they are rendered into."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.report import claims, figures, html, latex, markdown, notes, text
from suite.report.claims import Verdict
from suite.report.figures import Panel
from suite.report.layout import default_layout, load_layout
from suite.report.results import read_results
from suite.report.table import Cell, Table, build_table

if TYPE_CHECKING:
    from suite.grid import Grid
    from suite.store import RunState, Store


@dataclass(frozen=True)
class Document:
    """Everything that is told about a grid. `provenance` by run id, for the runs that recorded it."""

    grid: Grid
    stem: str
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    panels: tuple[Panel, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, RunState]


def make_document(grid: Grid, stem: str, store: Store, states: Mapping[str, RunState], layouts: list[Path],
                  claims_file: Path | None) -> Document:
    """Read the runs of a grid and lay them out. Raises UserError for layouts and claims that do not fit the grid."""
    placed = [load_layout(path, grid) for path in layouts] or [default_layout(grid)]
    stated = claims.load_claims(claims_file, grid) if claims_file else []
    results = read_results(grid, store, states)
    tables = tuple(build_table(one, grid, results) for one in placed)
    verdicts = tuple(claims.judge(claim, where, grid, results) for claim, where in stated)
    provenance = _provenance(grid, store, states)
    return Document(grid, stem, tables, verdicts, figures.panels(tables, results),
                    tuple(notes.warnings(tables, provenance)), provenance, states)


def _provenance(grid: Grid, store: Store, states: Mapping[str, RunState]) -> dict[str, Mapping[str, Any]]:
    started = [run.run_id for run in grid.runs if states[run.run_id].name not in ("todo", "unknown")]
    found = {run_id: store.provenance(run_id) for run_id in started}
    return {run_id: record for run_id, record in found.items() if record is not None}


def render(document: Document, templates: Path) -> dict[str, bytes]:
    """The files of a report, by their path below its folder."""
    stem = document.stem
    files = figures.draw(document.panels, f"figures/{stem}-curves", document.grid.title or document.grid.name)
    shown = {name: data for name, data in files.items() if not name.endswith("-dark.svg")}
    return {
        f"{stem}.md": markdown.render(document, next((n for n in shown if n.endswith(".png")), None)).encode(),
        f"{stem}.tex": latex.render(document).encode(),
        f"{stem}.html": html.render(document, templates, files).encode(),
        **shown,
    }


def cells_json(document: Document, digest: str, files: Mapping[str, str]) -> bytes:
    """The content of `<name>.cells.json`: a record per cell and claim, and what an unchanged report prints again."""
    cells = [_record(table.name, cell, head.metric.unit, head.metric.name, head.epoch)
             for table in document.tables for row in table.cells for cell, head in zip(row, table.heads, strict=True)]
    content = {"fingerprint": digest, "grid": document.grid.name, "profile": document.grid.profile, "cells": cells,
               "claims": [_claim(verdict) for verdict in document.verdicts], "warnings": document.warnings,
               "files": files, "text": text.render(document)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _record(table: str, cell: Cell, unit: str, metric: str, epoch: str | int) -> dict[str, Any]:
    return {"table": table, "row": cell.row, "column": cell.column, "mean": cell.mean, "std": cell.std,
            "interval": cell.interval, "n": cell.n, "state": cell.state, "reason": cell.reason, "run_ids": cell.run_ids,
            "unit": unit, "metric": metric, "epoch": epoch, "values": cell.values, "text": cell.text}


def _claim(verdict: Verdict) -> dict[str, Any]:
    result = verdict.result
    return {"id": verdict.claim.id, "text": verdict.claim.text, "source": verdict.claim.source,
            "kind": verdict.claim.kind, "verdict": verdict.verdict, "reason": verdict.reason,
            "n": verdict.n, "more_seeds": verdict.more, "note": verdict.note, "alpha": verdict.claim.alpha,
            "unit": verdict.metric.difference_unit if verdict.metric else "",
            **{key: getattr(result, key) if result else None for key in ("difference", "low", "high", "df", "p", "g")}}
