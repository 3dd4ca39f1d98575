"""Fits a table to a page of LaTeX: chooses the font size, and splits the table into parts if necessary.

Nothing is scaled. A table that is too wide gets a smaller font and less space between columns. If that is not enough,
it is split between columns, preferably where a heading over several columns ends. A table that is too high is split
between rows. Each part repeats the labels of the rows.
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
    """A line of a cell: its plain text, its LaTeX, and its font size in points if it differs from the table's.

    A number also has a `quantity`.
    """

    text: str
    tex: str
    points: float | None = None
    bold: bool = False
    quantity: Quantity | None = None


@dataclass(frozen=True)
class Box:
    """A cell of one or more lines; `note` is its footnote, or ""."""

    lines: tuple[Piece, ...]
    note: str = ""

    def wide(self, points: float) -> float:
        """Its width in points in a table with that font size."""
        sign = 0.5 * SMALL if self.note else 0.0
        return sign + max((sum_of(line, points) for line in self.lines), default=0.0)


def sum_of(line: Piece, points: float) -> float:
    """The width of a line in points, in a table with that font size."""
    return width(line.text, min(points, line.points or points), line.bold)


@dataclass(frozen=True)
class Size:
    """A font size: its command, points, line spacing in points, and \\tabcolsep in points."""

    command: str
    points: float
    skip: float
    gap: float


SIZES = (Size("", 10, 12, 6), Size(r"\small", 9, 11, 4), Size(r"\footnotesize", SMALL, 9.5, 3))


@dataclass(frozen=True)
class Page:
    """The maximum width and height of a table in points."""

    width: float
    height: float


ARTICLE = Page(340, 530)  # \documentclass{article} with default margins, the narrowest common page
OWN = Page(475, 650)  # tables.tex: margins of 2 cm


TRIED = ((0.36, SIZES[0]), (0.36, SIZES[1]), (0.36, SIZES[2]), (0.22, SIZES[2]))  # share of the labels, and size


@dataclass(frozen=True)
class Fit:
    """The parts of a table, their font size, and the width of the row labels in points."""

    size: Size
    labels: float
    parts: tuple[Sheet[Box], ...]


def fit(made: Sheet[Box], heads: Sequence[Box], page: Page, taken: float) -> Fit:
    """The table on a page; caption and notes need `taken` points of its height."""
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
    """The label of a row with its source, folded to lines of `room` points."""
    return fold(f"{side.label} {side.source}" if side.source else side.label, room, points)


def _column_width(made: Sheet[Box], heads: Sequence[Box], j: int, size: Size) -> float:
    cells = [side.cells[j].wide(size.points) for side in made.sides]
    return max([heads[j].wide(size.points), *cells]) + 2 * size.gap


def _columns(widths: Sequence[float], made: Sheet[Box], room: float) -> list[range]:
    """Ranges of columns that fit the page: as few as possible, of similar width."""
    if sum(widths) <= room:
        return [range(len(widths))]
    for parts in range(max(2, math.ceil(sum(widths) / room)), len(widths)):
        edges = [0, *(_edge(widths, made, sum(widths) * k / parts) for k in range(1, parts)), len(widths)]
        if all(a < b and sum(widths[a:b]) <= room for a, b in pairwise(edges)):
            return [range(a, b) for a, b in pairwise(edges)]
    return [range(j, j + 1) for j in range(len(widths))]


def _edge(widths: Sequence[float], made: Sheet[Box], goal: float) -> int:
    """Where to cut near that width, preferably where a heading over several columns ends."""
    sums = [sum(widths[:j]) for j in range(len(widths) + 1)]
    slack = 0.15 * sums[-1]

    def far(j: int) -> float:
        border = 0 < j < len(widths) and made.tops[j].group != made.tops[j - 1].group
        return abs(sums[j] - goal) - (slack if border else 0.0)

    return min(range(1, len(widths)), key=far)


def _height(made: Sheet[Box], i: int, size: Size, labels: float) -> float:
    """The height of a row in points, with the heading and rule of its block if it is the first of it."""
    side = made.sides[i]
    lines = max(len(label_lines(side, labels, size.points)), *(len(cell.lines) for cell in side.cells))
    first = i == 0 or side.block != made.sides[i - 1].block
    return (lines + (1.6 if first and side.group else 0.4 if first else 0.0)) * size.skip * 1.02


def _rows(heights: Sequence[float], room: float) -> list[range]:
    """Ranges of rows that fit the page: as few as possible, of similar height."""
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
    """A line in the small font."""
    return Piece(text, rf"{{\footnotesize {escape(text)}}}", SMALL)


def number(shown: Quantity) -> Piece:
    """A number in the font of the table."""
    text = f"{shown.mean} ± {shown.deviation}" if shown.deviation else shown.mean
    return Piece(text + " ≈" * shown.near, shown.tex, bold=shown.mark == r"\textbf", quantity=shown)


def plain(text: str) -> Piece:
    """A line in the font of the table."""
    return Piece(text, escape(text))
