"""A table against the paper's: the published number of each cell with the verdict, and what must be known with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from suite.report.against.verdict import apart
from suite.report.published.number import paper_of
from suite.report.tables.table import VERDICTS, Cell, Head, Judged, Offset, Table, Verdict

COMPARED = ("match", "off", "compatible", "undecided", "one seed")
RULE = ("The interval of ours − published includes the error of the published mean, as of {seeds} with the deviation "
        "of our column. Let m be the larger of two published standard deviations and 1 point of accuracy or 0.02 "
        "RMSE. Match: the 90 % interval lies within ±m; off: the 95 % interval lies outside; compatible: it contains "
        "0; undecided: otherwise. The intervals are not adjusted for the number of cells.")


@dataclass(frozen=True)
class Line:
    """A cell beside the published number: the row, both numbers' difference with its interval, and the verdict."""

    row: str
    published: str
    difference: str
    verdict: str


def counts(table: Table) -> dict[str, int]:
    """How many cells have which verdict, in the order of VERDICTS; each by its own table's number."""
    found: Counter[Verdict] = Counter(cell.judged[0].verdict for row in table.cells for cell in row if cell.judged)
    return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def compared(table: Table) -> bool:
    """Whether any cell is held against the paper. Of settings that all match, a sentence says so, and that will do."""
    found = counts(table)
    settled = table.kind == "configuration" and set(found) == {"match"}
    return any(verdict in COMPARED for verdict in found) and not settled


def summary(table: Table) -> str:
    """`Against table 3a of the paper: 3 match, 1 off.`; '' where the paper has no such table."""
    found = counts(table)
    if not found:
        return ""
    told = ", ".join(f"{count} {verdict}" for verdict, count in found.items())
    paper, name = paper_of(table.published)
    return f"Against table {name.replace('-', ' ')} of {paper or 'the paper'}: {told}."


def rule(table: Table) -> str:
    """How the verdicts of the table's cells are reached."""
    other, _ = paper_of(table.published)
    return RULE.format(seeds="the fewest seeds that the paper names, else 1," if other
                       else "2 seeds (the paper says 2 or 3)")


def lines(table: Table) -> dict[str, list[Line]]:
    """By column: a line for each cell that has a published number, and one for the column as a whole."""
    constant = {row for row, line in zip(table.rows, table.lines, strict=True) if line.constant}
    found: dict[str, list[Line]] = {}
    for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
        there = [_line(cell, head, one, f" ({one.paper})" if len(table.papers) > 1 else "")
                 for cell in cells if cell.row not in constant for one in cell.papers or cell.judged[:1]]
        whole = [_whole(one, head) for one in table.offsets if one.column == head.label]
        if there:
            found[head.label] = there + whole
    return found


def _line(cell: Cell, head: Head, one: Judged, paper: str) -> Line:
    difference = "" if one.difference is None else head.metric.format(one.difference, signed=True)
    return Line(cell.row + paper, one.text, difference + _interval(one.interval, head), one.verdict)


def _whole(one: Offset, head: Head) -> Line:
    difference = head.metric.format(one.mean, signed=True) + _interval(one.interval, head)
    return Line(f"mean of {one.cells} cells, by seed", "", difference,
                "offset" if one.established else "offset not established")


def _interval(interval: tuple[float, float] | None, head: Head) -> str:
    return "" if interval is None else f" [{' to '.join(head.metric.format(side, signed=True) for side in interval)}]"


def remarks(table: Table) -> list[str]:
    """What a reader must know: why cells are not compared, variants and flags, and numbers that are printed twice."""
    told: dict[str, list[str]] = {}
    for row in table.cells:
        for cell in row:
            for text in _told(cell):
                told.setdefault(text, []).append(f"{cell.row}, {cell.column}")
    several = [_several(cell, head) for row in table.cells for cell, head in zip(row, table.heads, strict=True)
               if len(cell.judged) > 1 and cell.judged[0].verdict in COMPARED]
    return [f"{text} ({_where(cells, table)})" for text, cells in told.items()] + several


def _told(cell: Cell) -> Iterator[str]:
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
