"""The files of a report on one grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from suite.report.claims.outcome import Comparison, Verdict
from suite.report.document import Document
from suite.report.records import CellRecord, ClaimRecord, ComparisonRecord, PublishedRecord, ReportRecord, SoFarRecord
from suite.report.render import latex, markdown, text
from suite.report.render.extras import Extras
from suite.report.tables.evaluated import Interval
from suite.report.tables.table import Cell, Head

Format = Callable[[Document, Extras], str]
FORMATS: Mapping[str, Format] = {".md": markdown.render, ".tex": latex.render}  # by the ending of the file


def tables(document: Document, extras: Extras) -> dict[str, bytes]:
    """The table files of a grid, by their path in the report's folder."""
    return {document.stem + ending: make(document, extras).encode() for ending, make in FORMATS.items()}


def record_of(document: Document, digest: str, files: Mapping[str, str]) -> ReportRecord:
    """The content of `<name>.cells.json`: one record per cell and claim, and the text that the terminal shows."""
    cells = [_cell(table.name, cell, head, document.over_examples.get((table.name, cell.row, cell.column)))
             for table in document.tables for row in table.cells for cell, head in zip(row, table.heads, strict=True)]
    return ReportRecord(fingerprint=digest, grid=document.grid.name, profile=document.grid.profile, cells=cells,
                        claims=[_claim(verdict) for verdict in document.verdicts], warnings=document.warnings,
                        files=dict(files), text=text.render(document))


def _cell(table: str, cell: Cell, head: Head, over_examples: Interval | None) -> CellRecord:
    values = None if cell.values is None else {str(seed): value for seed, value in cell.values.items()}
    return CellRecord(
        table=table, row=cell.row, column=cell.column, mean=cell.mean, std=cell.std, interval=cell.interval, n=cell.n,
        state=cell.state, reason=cell.reason, run_ids=cell.run_ids, unit=head.metric.unit, metric=head.metric.name,
        epoch=head.epoch, values=values, text=cell.text, base=cell.base,
        so_far=SoFarRecord(**vars(cell.so_far)) if cell.so_far else None, p_from_best=cell.p_from_best,
        near_best=cell.near_best,
        over_examples=over_examples,
        published=[PublishedRecord(**vars(one)) for one in cell.judged])


def _claim(verdict: Verdict) -> ClaimRecord:
    claim = verdict.claim
    return ClaimRecord(
        id=claim.id, text=claim.text, source=claim.source, table=claim.table, kind=claim.kind, verdict=verdict.verdict,
        words=verdict.words, reason=verdict.reason, p=verdict.p, adjusted_p=verdict.adjusted, level=verdict.level,
        seeds=verdict.seeds, family=claim.family, of_family=verdict.family, alpha=claim.alpha,
        declared=verdict.declared, for_such_examples=verdict.for_such_examples, evidence=verdict.evidence,
        comparisons=[_comparison(part, 1 - claim.alpha) for part in verdict.parts])


def _comparison(part: Comparison, level: float) -> ComparisonRecord:
    bounds = [None if math.isinf(bound) else bound for bound in part.bounds] if part.bounds else None
    return ComparisonRecord(
        words=part.words, unit=part.metric.difference_unit if part.metric else "", bounds=bounds,
        p_holds=part.pair.holds, p_fails=part.pair.fails, n=part.n, difference=part.difference,
        low=part.low,
        high=part.high, df=part.df, g=part.g, test=part.test_words, examples=part.examples, why=part.why,
        note=part.note, over_examples=part.crossed.interval(level) if part.crossed else None,
        over_examples_df=part.crossed.df if part.crossed else None)
