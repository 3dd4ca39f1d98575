"""A table against the paper's: the published number of each cell with the verdict, and what must be known with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from suite.report.against.verdict import spread
from suite.report.published import paper_of
from suite.report.tables.table import VERDICTS, Cell, Head, Judged, Table, Verdict

COMPARED = ("match", "off", "undecided", "one seed")
RULE = ("Match: the 95 % interval of our mean less the published one lies within a point of accuracy, 0.02 RMSE or two "
        "published standard deviations, whichever is widest; off: wholly outside; else undecided.")


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


def cell_parts(table: Table) -> dict[tuple[str, str], tuple[str, ...]]:
    """By row and column: `86.19,` and `−0.31: match`, or the published number and why it is not compared."""
    heads = {head.label: head for head in table.heads}
    return {(cell.row, cell.column): _parts(cell, heads[cell.column]) for row in table.cells for cell in row}


def _parts(cell: Cell, head: Head) -> tuple[str, ...]:
    if not cell.judged:
        return ("–",)
    one = cell.judged[0]
    if one.difference is None:
        return f"{one.text}:", one.verdict
    return f"{one.text},", f"{head.metric.format(one.difference, signed=True)}: {one.verdict}"


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
        if one.verdict in ("not comparable", "not printed"):
            yield f"{one.verdict[0].upper()}{one.verdict[1:]}: {one.reason}"
        elif one.verdict in COMPARED and one.remark:
            yield f"{one.remark[0].upper()}{one.remark[1:]}"


def _where(cells: list[str], table: Table) -> str:
    return "all cells" if len(cells) == sum(len(row) for row in table.cells) else "; ".join(cells)


def _several(cell: Cell, head: Head) -> str:
    apart = spread(cell.judged)
    others = ", ".join(_other(one, head) for one in cell.judged)
    return (f"{cell.row}, {cell.column}: the paper prints this {len(cell.judged)} times, {others}"
            + (f"; these lie {head.metric.format(apart)} apart" if apart is not None else ""))


def _other(one: Judged, head: Head) -> str:
    return f"{one.text} in table {one.table.replace('-', ' ')} ({one.verdict})"
