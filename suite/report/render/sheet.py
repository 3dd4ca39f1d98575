"""A table as printed rows and columns, with headings and blocks, and transposed if the layout says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

from suite.report.tables.table import Cell, Table

C = TypeVar("C")


@dataclass(frozen=True)
class Top:
    """The head of a printed column: the heading over its group or "", its label, and its metric or ""."""

    group: str
    label: str
    heading: str


@dataclass(frozen=True)
class Side(Generic[C]):
    """A printed row: its block, the heading of the block or "", its label, its source or "", and its cells.

    `constant`: the row shows numbers printed in the paper.
    """

    block: int
    group: str
    label: str
    source: str
    cells: tuple[C, ...]
    constant: bool = False


@dataclass(frozen=True)
class Sheet(Generic[C]):
    """A printed table: the `corner` above the labels, the heads and the rows."""

    corner: str
    tops: tuple[Top, ...]
    sides: tuple[Side[C], ...]

    def spans(self) -> list[tuple[str, int]]:
        """The headings over groups of columns, each with the number of its columns; "" for columns without one."""
        return [(group, len(list(tops))) for group, tops in groupby(top.group for top in self.tops)]


def after(cell: Cell, table: Table) -> str:
    """The text after a cell: the mark ≈ of cells near the best, and the numbers of several papers."""
    papers = [f"{one.paper} {one.text}" for one in cell.papers] if len(table.papers) > 1 else []
    return (" ≈" if cell.near_best else "") + (f" [{'; '.join(papers)}]" if papers else "")


def sheet(table: Table, content: Callable[[Cell], C], constants: bool = True) -> Sheet[C]:
    """The table with `content` applied to each cell. Without `constants`, rows printed in the paper are left out."""
    kept = [i for i, line in enumerate(table.lines) if constants or not line.constant]
    cells = [[content(cell) for cell in table.cells[i]] for i in kept]
    heads = [Top(head.group, head.short or head.label, head.heading) for head in table.heads]
    lines = [Side(line.block, line.group, line.label, line.source, tuple(row), line.constant)
             for line, row in zip((table.lines[i] for i in kept), cells, strict=True)]
    if not table.transpose:
        return Sheet("" if table.kind == "configuration" else table.axis, tuple(heads), tuple(lines))
    tops = tuple(Top(line.group, line.label, "") for line in lines)
    sides = tuple(Side(0, head.group, ", ".join(filter(None, (head.label, head.heading))), "", tuple(column))
                  for head, column in zip(heads, zip(*cells, strict=True), strict=True))
    return Sheet(table.axis, tops, sides)
