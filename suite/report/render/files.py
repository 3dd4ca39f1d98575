"""The files of a report on one grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from suite.report.against.verdict import record
from suite.report.claims.on_the_paper import PrintedVerdict
from suite.report.claims.outcome import Comparison, Verdict
from suite.report.document import Document
from suite.report.render import drawing, latex, markdown, text
from suite.report.tables.table import Cell


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
