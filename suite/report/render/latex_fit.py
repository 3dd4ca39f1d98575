"""How a table fits a page of LaTeX: the size of its letters, and which rows and columns stand in which part.

Nothing is scaled. A table that is too wide gets smaller letters and less space between its columns; if that is not
enough, it is split between columns, at a heading over neighbours if there is one. One that is too high is split
between rows. The labels of the rows stand in each part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from suite.report.render.latex_number import Quantity
from suite.report.render.latex_text import escape, fold, width
from suite.report.render.sheet import Sheet, Side

SMALL = 8.0  # points of \footnotesize in a document of 10 points


@dataclass(frozen=True)
class Piece:
    """A line of a cell: its plain text, its LaTeX, and the size of its letters in points, if not that of the table.

    A number is also there as a `quantity`.
    """

    text: str
    tex: str
    points: float | None = None
    bold: bool = False
    quantity: Quantity | None = None


@dataclass(frozen=True)
class Box:
    """A cell of one or more lines; `note` is what a footnote says of it, or ''."""

    lines: tuple[Piece, ...]
    note: str = ""

    def wide(self, points: float) -> float:
        """Points that it takes in a table of letters of that size."""
        sign = 0.5 * SMALL if self.note else 0.0
        return sign + max((sum_of(line, points) for line in self.lines), default=0.0)


def sum_of(line: Piece, points: float) -> float:
    """The width of a line."""
    return width(line.text, min(points, line.points or points), line.bold)


@dataclass(frozen=True)
class Size:
    """A size of letters: the command for it, points, points between lines, and \\tabcolsep."""

    command: str
    points: float
    skip: float
    gap: float


SIZES = (Size("", 10, 12, 6), Size(r"\small", 9, 11, 4), Size(r"\footnotesize", SMALL, 9.5, 3))


@dataclass(frozen=True)
class Page:
    """Points that a table may be wide and high."""

    width: float
    height: float


ARTICLE = Page(340, 530)  # \documentclass{article} as it is, the narrowest that is common
OWN = Page(475, 650)  # tables.tex: margins of 2 cm


TRIED = ((0.36, SIZES[0]), (0.36, SIZES[1]), (0.36, SIZES[2]), (0.22, SIZES[2]))  # share of the labels, and size


@dataclass(frozen=True)
class Fit:
    """The parts of a table, each a table of its own, the size of their letters, and points for the labels of rows."""

    size: Size
    labels: float
    parts: tuple[Sheet[Box], ...]


def fit(made: Sheet[Box], heads: Sequence[Box], page: Page, taken: float) -> Fit:
    """The table on a page of which `taken` points of height are the caption's and the notes'."""
    for share, size in TRIED:
        labels = share * page.width
        room = page.width - _label_width(made, size, labels)
        widths = [_column_width(made, heads, j, size) for j in range(len(made.tops))]
        if sum(widths) <= room:
            break
    columns = _columns(widths, made, room)
    rows = _rows([_height(made, i, size, labels) for i in range(len(made.sides))], page.height - taken - 4 * size.skip)
    return Fit(size, labels, tuple(_cut(made, rows_, columns_) for columns_ in columns for rows_ in rows))


def _label_width(made: Sheet[Box], size: Size, labels: float) -> float:
    lines = [line for side in made.sides for line in label_lines(side, labels, size.points)]
    return max(width(line, size.points) for line in [made.corner, *lines])


def label_lines(side: Side[Box], room: float, points: float) -> list[str]:
    """The label of a row with its source, in lines that leave room for the cells."""
    return fold(f"{side.label} {side.source}" if side.source else side.label, room, points)


def _column_width(made: Sheet[Box], heads: Sequence[Box], j: int, size: Size) -> float:
    cells = [side.cells[j].wide(size.points) for side in made.sides]
    return max([heads[j].wide(size.points), *cells]) + 2 * size.gap


def _columns(widths: Sequence[float], made: Sheet[Box], room: float) -> list[range]:
    """Neighbouring columns that fit, in as few parts as it takes, of about one width each."""
    if sum(widths) <= room:
        return [range(len(widths))]
    for parts in range(max(2, math.ceil(sum(widths) / room)), len(widths)):
        edges = [0, *(_edge(widths, made, sum(widths) * k / parts) for k in range(1, parts)), len(widths)]
        if all(a < b and sum(widths[a:b]) <= room for a, b in pairwise(edges)):
            return [range(a, b) for a, b in pairwise(edges)]
    return [range(j, j + 1) for j in range(len(widths))]


def _edge(widths: Sequence[float], made: Sheet[Box], goal: float) -> int:
    """Where to cut near that width: at the border of a heading over neighbours, if one is not far."""
    sums = [sum(widths[:j]) for j in range(len(widths) + 1)]
    slack = 0.15 * sums[-1]

    def far(j: int) -> float:
        border = 0 < j < len(widths) and made.tops[j].group != made.tops[j - 1].group
        return abs(sums[j] - goal) - (slack if border else 0.0)

    return min(range(1, len(widths)), key=far)


def _height(made: Sheet[Box], i: int, size: Size, labels: float) -> float:
    """Points of height of a row, with the heading and the rule of its block if it is the first there."""
    side = made.sides[i]
    lines = max(len(label_lines(side, labels, size.points)), *(len(cell.lines) for cell in side.cells))
    first = i == 0 or side.block != made.sides[i - 1].block
    return (lines + (1.6 if first and side.group else 0.4 if first else 0.0)) * size.skip * 1.02


def _rows(heights: Sequence[float], room: float) -> list[range]:
    """Neighbouring rows that are not higher than the page, in as few parts as it takes, of about one height each."""
    least = max(1, math.ceil(sum(heights) / max(room, 1.0)))
    for parts in range(least, len(heights) + 1):
        edges, goal = [0], sum(heights) / parts
        for k in range(1, parts):
            edges.append(next(i for i in range(len(heights) + 1) if sum(heights[:i]) >= goal * k - 1e-9))
        edges.append(len(heights))
        if all(a < b and sum(heights[a:b]) <= room for a, b in pairwise(edges)):
            return [range(a, b) for a, b in pairwise(edges)]
    return [range(i, i + 1) for i in range(len(heights))]


def _cut(made: Sheet[Box], rows: range, columns: range) -> Sheet[Box]:
    chosen = slice(columns.start, columns.stop)
    sides = tuple(replace(side, cells=side.cells[chosen]) for side in made.sides[rows.start:rows.stop])
    return Sheet(made.corner, made.tops[chosen], sides)


def small(text: str) -> Piece:
    """A line in small letters."""
    return Piece(text, rf"{{\footnotesize {escape(text)}}}", SMALL)


def number(shown: Quantity) -> Piece:
    """A number in the letters of the table."""
    text = f"{shown.mean} ± {shown.deviation}" if shown.deviation else shown.mean
    return Piece(text + " ≈" * shown.near, shown.tex, bold=shown.mark == r"\textbf", quantity=shown)


def plain(text: str) -> Piece:
    """A line in the letters of the table."""
    return Piece(text, escape(text))
