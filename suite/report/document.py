"""A report on one grid: its tables, claims, curves and warnings, and the files that they are rendered into."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.report import claims, figures, html, judge, latex, markdown, notes, text
from suite.report.builder import build_table
from suite.report.figures import Panel
from suite.report.layout import Placed, default_layout
from suite.report.numbers import RunNumbers
from suite.report.outcome import Comparison, Verdict
from suite.report.placed import load_layout
from suite.report.published import load_published
from suite.report.results import read_results
from suite.report.settings import build_settings
from suite.report.table import Cell, Table
from suite.report.verdict import record

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
                  claims_file: Path | None, printed: Path) -> Document:
    """Read the runs of a grid and lay them out; `printed` is the file of published numbers.

    Raises UserError for layouts and claims that do not fit the grid.
    """
    published = load_published(printed)
    placed = [load_layout(path, grid, published) for path in layouts] or [default_layout(grid)]
    results = read_results(grid, store, states)
    tables = tuple(build_table(one, grid, results, published) if isinstance(one, Placed)
                   else build_settings(one, grid, published) for one in placed)
    stated = _claims(claims_file, grid, tables) if claims_file else []
    verdicts = judge.judge(stated, RunNumbers(grid, tables, results))
    provenance = _provenance(grid, store, states)
    return Document(grid, stem, tables, verdicts, figures.panels(tables, results),
                    tuple(notes.warnings(tables, provenance)), provenance, states)


def _claims(path: Path, grid: Grid, tables: tuple[Table, ...]) -> list[claims.Stated]:
    return claims.load_claims(path, grid, tables, claims.table_names(path.parent / "tables", grid.path.parent))


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
            "unit": unit, "metric": metric, "epoch": epoch, "values": cell.values, "text": cell.text,
            "base": cell.base, "published": [record(one) for one in cell.judged]}


def _claim(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {"id": claim.id, "text": claim.text, "source": claim.source, "table": claim.table, "kind": claim.kind,
            "verdict": verdict.verdict, "reason": verdict.reason, "p": verdict.p, "adjusted_p": verdict.adjusted,
            "family": claim.family, "of_family": verdict.family, "alpha": claim.alpha, "more_seeds": verdict.more,
            "note": verdict.note, "evidence": verdict.evidence, "comparisons": [_compared(p) for p in verdict.parts]}


def _compared(part: Comparison) -> dict[str, Any]:
    bounds = [None if math.isinf(bound) else bound for bound in part.bounds] if part.bounds else None
    return {"words": part.words, "unit": part.metric.difference_unit if part.metric else "", "bounds": bounds,
            "p_holds": part.pair.holds, "p_fails": part.pair.fails,
            **{key: getattr(part, key) for key in ("n", "difference", "low", "high", "df", "g", "why", "note")}}
