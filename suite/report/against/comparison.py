"""A table compared with the paper: the published number and the verdict of each cell, and remarks on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from suite.report.against.verdict import apart
from suite.report.published.number import paper_of
from suite.report.tables.table import VERDICTS, Cell, Head, Judged, Offset, Table, Verdict

COMPARED = ("match", "off", "compatible", "undecided", "one seed")
PHRASES = {"one seed": "with one seed", "no number": "without a number", "other protocol": "of another protocol"}
RULE = ("The interval of ours − published includes the error of the published mean, estimated from {seeds} with the "
        "standard deviation of our column. Let m be the larger of two published standard deviations and 1 point of "
        "accuracy or 0.02 RMSE. Match: the 90 % interval lies within ±m; off: the 95 % interval lies outside; "
        "compatible: it contains 0; undecided: otherwise. The intervals are not adjusted for the number of cells.")


@dataclass(frozen=True)
class Line:
    """A cell compared with the published number: the row, the difference with its interval, and the verdict."""

    row: str
    published: str
    difference: str
    verdict: str


def counts(table: Table) -> dict[str, int]:
    """The number of cells with each verdict, in the order of VERDICTS; each cell counts by its own table's number."""
    found: Counter[Verdict] = Counter(cell.judged[0].verdict for row in table.cells for cell in row if cell.judged)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def compared(table: Table) -> bool:
    """Whether any cell is compared with the paper. Not for settings that all match: the caption says so."""
    found = counts(table)
    settled = table.kind == "configuration" and set(found) == {"match"}
    return any(verdict in COMPARED for verdict in found) and not settled


def summary(table: Table) -> str:
    """`Against table 3a of the paper: 3 cells match, 1 off.` Returns "" if no cell has a verdict."""
    text = counted(counts(table))
    paper, name = paper_of(table.published)
    return f"Against table {name.replace('-', ' ')} of {paper or 'the paper'}: {text}." if text else ""


def counted(found: Mapping[str, int]) -> str:
    """`3 cells match, 1 off`. Returns "" for no verdicts."""
    parts = [f"{count} {PHRASES.get(verdict, verdict)}" for verdict, count in found.items()]
    return ", ".join(parts).replace(" ", " cell " if next(iter(found.values())) == 1 else " cells ", 1) if parts else ""


def offset_words(table: Table) -> list[str]:
    """One sentence for each column on its mean of ours − published."""
    metrics = {head.label: head.metric for head in table.heads}
    found = []
    for one in table.offsets:
        mean, low, high = (metrics[one.column].format(number, signed=True) for number in (one.mean, *one.interval))
        shown = " ".join(filter(None, (mean, metrics[one.column].difference_unit)))
        found.append(f"Mean of ours − published over {one.cells} cells of {one.column}: {shown} (95 % CI by seed "
                     f"{low} to {high}), {_offset(one)}.")
    return found


def rule(table: Table) -> str:
    """The rule by which the cells of the table get their verdicts."""
    other, _ = paper_of(table.published)
    return RULE.format(seeds="the fewest seeds that the paper names, else 1," if other
                       else "2 seeds (the paper says 2 or 3)")


def lines(table: Table) -> dict[str, list[Line]]:
    """By column: one line for each cell with a published number, and one for the mean over the column."""
    constant = {row for row, line in zip(table.rows, table.lines, strict=True) if line.constant}
    found: dict[str, list[Line]] = {}
    for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
        of_cells = [_line(cell, head, one, f" ({one.paper})" if len(table.papers) > 1 else "")
                    for cell in cells if cell.row not in constant for one in cell.papers or cell.judged[:1]]
        of_column = [_mean_line(one, head) for one in table.offsets if one.column == head.label]
        if of_cells:
            found[head.label] = of_cells + of_column
    return found


def _line(cell: Cell, head: Head, one: Judged, paper: str) -> Line:
    difference = "" if one.difference is None else head.metric.format(one.difference, signed=True)
    return Line(cell.row + paper, one.text, difference + _interval(one.interval, head), one.verdict)


def _mean_line(one: Offset, head: Head) -> Line:
    difference = head.metric.format(one.mean, signed=True) + _interval(one.interval, head)
    return Line(f"mean of {one.cells} cells, by seed", "", difference, _offset(one))


def _offset(one: Offset) -> str:
    return "offset" if one.established else "offset not established"


def _interval(interval: tuple[float, float] | None, head: Head) -> str:
    return "" if interval is None else f" [{' to '.join(head.metric.format(side, signed=True) for side in interval)}]"


def remarks(table: Table) -> list[str]:
    """Remarks for the reader: why cells are not compared, data variants, flags, and numbers that are printed twice."""
    places: dict[str, list[str]] = {}
    for row in table.cells:
        for cell in row:
            for text in _cell_remarks(cell):
                places.setdefault(text, []).append(f"{cell.row}, {cell.column}")
    several = [_several(cell, head) for row in table.cells for cell, head in zip(row, table.heads, strict=True)
               if len(cell.judged) > 1 and cell.judged[0].verdict in COMPARED]
    return [f"{text} ({_where(cells, table)})" for text, cells in places.items()] + several


def _cell_remarks(cell: Cell) -> Iterator[str]:
    for one in cell.judged[:1]:
        if one.verdict in ("not comparable", "not printed", "other protocol"):
            yield f"{one.verdict[0].upper()}{one.verdict[1:]}: {one.reason}"
        elif one.verdict in COMPARED and one.remark:
            yield f"{one.remark[0].upper()}{one.remark[1:]}"


def _where(cells: list[str], table: Table) -> str:
    return "all cells" if len(cells) == sum(len(row) for row in table.cells) else "; ".join(cells)


def _several(cell: Cell, head: Head) -> str:
    width = apart(cell.judged)
    others = ", ".join(_other(one, head) for one in cell.judged)
    return (f"{cell.row}, {cell.column}: the paper prints this {len(cell.judged)} times, {others}"
            + (f"; these lie {head.metric.format(width)} apart" if width is not None else ""))


def _other(one: Judged, head: Head) -> str:
    return f"{one.text} in table {one.table.replace('-', ' ')} ({one.verdict})"
