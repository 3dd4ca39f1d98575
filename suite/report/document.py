"""A report on one grid: its tables, claims, curves and warnings, and the files that they are rendered into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.report import SOURCES, file_stem
from suite.report.against.verdict import record
from suite.report.claims import judge, language
from suite.report.claims.numbers import RunNumbers
from suite.report.claims.on_the_paper import PrintedVerdict
from suite.report.claims.outcome import Comparison, Verdict
from suite.report.figures import curves as figures
from suite.report.figures.curves import Curves, Panel
from suite.report.published import Published, load_published
from suite.report.render import drawing, latex, markdown, notes, text
from suite.report.tables.builder import build_table
from suite.report.tables.layout import Placed, default_layout
from suite.report.tables.layout_files import layout_files, load_layout, table_names
from suite.report.tables.results import read_results
from suite.report.tables.settings import build_settings
from suite.report.tables.table import Cell, Table

if TYPE_CHECKING:
    from suite.grid.expand import Grid
    from suite.store.store import RunState, Store


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
    curves: Curves


def make_document(grid: Grid, stem: str, store: Store, states: Mapping[str, RunState], layouts: list[Path],
                  claims_file: Path | None, published: Published) -> Document:
    """Read the runs of a grid and lay them out. Raises UserError for layouts and claims that do not fit the grid."""
    placed = [load_layout(path, grid, published) for path in layouts] or [default_layout(grid)]
    names = [one.layout.name for one in placed]
    twice = next((one for i, one in enumerate(placed) if one.layout.name in names[:i]), None)
    if twice:
        raise UserError(f"another table of the grid is named {twice.layout.name!r}, and claims could not tell which",
                        twice.where("name"), "rename one of them")
    results = read_results(grid, store, states)
    tables = tuple(build_table(one, grid, results, published) if isinstance(one, Placed)
                   else build_settings(one, grid, published) for one in placed)
    stated = _claims(claims_file, grid, tables) if claims_file else []
    verdicts = judge.judge(stated, RunNumbers(grid, tables, results, published))
    provenance = _provenance(grid, store, states)
    curves = figures.curves(tables, results)
    return Document(grid, stem, tables, verdicts, figures.panels(tables, results, curves),
                    (*notes.warnings(tables, provenance), *notes.unreadable(grid, states)), provenance, states,
                    curves)


def document_of(grid: Grid, store: Store, sources: Path = SOURCES) -> Document:
    """The document on one grid as its store is now. Raises UserError."""
    claims_file = sources / "claims.yaml"
    return make_document(grid, file_stem(grid.name), store, store.states([run.run_id for run in grid.runs]),
                         layout_files(sources / "tables", grid.name), claims_file if claims_file.is_file() else None,
                         load_published(sources / "published.yaml"))


def _claims(path: Path, grid: Grid, tables: tuple[Table, ...]) -> list[language.Stated]:
    return language.load_claims(path, grid, tables, table_names(path.parent / "tables", grid.path.parent))


def _provenance(grid: Grid, store: Store, states: Mapping[str, RunState]) -> dict[str, Mapping[str, Any]]:
    """The record of each run that has one; equal ones are one object, and the list of attempts is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    seen: dict[str, Mapping[str, Any]] = {}
    for run in grid.runs:
        if states[run.run_id].name in ("todo", "unknown") or run.run_id in found:
            continue
        record = store.provenance(run.run_id)
        if record is not None:
            kept = {key: value for key, value in record.items() if key != "attempts"}
            found[run.run_id] = seen.setdefault(repr(kept), kept)
    return found


def render(document: Document, draw: bool, printed: Mapping[str, PrintedVerdict]) -> dict[str, bytes]:
    """The files on a grid, by their path below the report's folder; its figures too, if they are to be drawn.

    `printed`: verdicts on the published numbers, by the ids of the claims.
    """
    stem = document.stem
    made = drawing.drawings(document) if draw else []
    files = {f"{stem}.md": markdown.render(document, made, printed).encode(),
             f"{stem}.tex": latex.render(document).encode()}
    for one in made:
        files |= one.files()
    return files


def content(document: Document, digest: str, files: Mapping[str, str]) -> dict[str, Any]:
    """The content of `<name>.cells.json`: a record per cell and claim, and what an unchanged report prints again."""
    cells = [_record(table.name, cell, head.metric.unit, head.metric.name, head.epoch)
             for table in document.tables for row in table.cells for cell, head in zip(row, table.heads, strict=True)]
    return {"fingerprint": digest, "grid": document.grid.name, "profile": document.grid.profile, "cells": cells,
            "claims": [_claim(verdict) for verdict in document.verdicts], "warnings": document.warnings,
            "files": dict(files), "text": text.render(document)}


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
