"""A table in LaTeX: cells as boxes, notes below it, and an environment for each part of it that fits a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from suite.report.render.latex_fit import Box, Fit, Page, Piece, fit, label_lines, plain, small
from suite.report.render.latex_text import escape, fold, quantity, width
from suite.report.render.sheet import Sheet, Side, Top, sheet
from suite.report.tables.table import Cell, Table

LONGEST = 16  # letters of a reason that stands in a cell; longer ones are notes
SETTING = 100.0  # points of a setting's text in one line
NARROW = 60.0  # points that the head of a column may have in any case


@dataclass(frozen=True)
class Frame:
    """What stands around a table: caption (LaTeX), label, notes below it (plain), and the page that it must fit."""

    caption: str
    label: str
    below: Sequence[str]
    page: Page


def boxes(table: Table) -> tuple[Sheet[Box], list[str]]:
    """The table's cells as boxes, and what its notes must say."""
    common = _common_n(table)
    made = sheet(table, lambda cell: _box(cell, table, common))
    return made, [f"n={common} unless a cell says otherwise."] if common else []


def _common_n(table: Table) -> int:
    """The number of seeds of most cells, which is said once; 0 if each cell says it."""
    if table.transpose and any(line.constant for line in table.lines):
        return 0  # columns without n are the printed ones
    counts = Counter(cell.n for row in table.cells for cell in row if cell.state == "complete" and cell.n)
    return counts.most_common(1)[0][0] if counts else 0


def _box(cell: Cell, table: Table, common: int) -> Box:
    papers = [small(f"{one.paper} {one.text}") for one in cell.papers] if len(table.papers) > 1 else []
    if cell.so_far is not None:
        number, _, words = cell.rest.partition(" ")
        return Box((plain(number), *papers), f"Not finished: {words}.")
    if not cell.number:
        if len(cell.rest) > LONGEST:
            return Box((plain("–"), *papers), f"{cell.rest[0].upper()}{cell.rest[1:]}.")
        return Box((small(cell.rest), *papers))
    if table.kind == "configuration":
        return Box(tuple(plain(line) for line in fold(cell.number + cell.rest, SETTING, 10)))
    spread, paren, count = cell.rest.partition(" (")
    mark = {1: r"\textbf", 2: r"\underline"}.get(cell.rank, "")
    near = r" \ensuremath{\approx}" if cell.near_best else ""
    tex = quantity(cell.number, spread.removeprefix(" ± "), mark) + near
    first = Piece(cell.number + spread + (" ≈" if near else ""), tex, bold=cell.rank == 1)
    told = (paren.strip() + count).strip("()")
    if told in ("", f"n={common}"):
        return Box((first, *papers))
    short = len(told) <= LONGEST
    return Box((first, *([small(f"({told})")] if short else []), *papers), "" if short else f"{told}.")


def environments(made: Sheet[Box], frame: Frame) -> list[str]:
    """The table as `table` environments, one for each part that fits a page."""
    shared = _shared(made)
    tops = tuple(replace(top, heading="") for top in made.tops) if shared else made.tops
    made = replace(made, tops=tops)
    heads = [_head(made, j) for j in range(len(tops))]
    found = fit(made, heads, frame.page, _taken(made, frame))
    by_top = dict(zip(map(id, tops), heads, strict=True))
    return [_environment(part, [by_top[id(top)] for top in part.tops], shared, found, frame, place)
            for place, part in enumerate(found.parts)]


def _taken(made: Sheet[Box], frame: Frame) -> float:
    """Points of height for the caption and the notes."""
    told = [*frame.below, *dict.fromkeys(cell.note for side in made.sides for cell in side.cells if cell.note)]
    return 12 * (3 + width(frame.caption, 10) // frame.page.width) + 10 * (1 + width(" ".join(told), 8)
                                                                         // frame.page.width)


def _shared(made: Sheet[Box]) -> str:
    """The metric that all columns show, if there are several; it is said once above them."""
    headings = {top.heading for top in made.tops}
    return headings.pop() if len(headings) == 1 and len(made.tops) > 1 else ""


def _head(made: Sheet[Box], j: int) -> Box:
    """The head of a column, in lines no wider than its cells need."""
    top = made.tops[j]
    room = max([NARROW, *(side.cells[j].wide(10) for side in made.sides)])
    label = [plain(line) for line in fold(top.label, room, 10)]
    return Box((*label, *(small(line) for line in fold(_unbroken(top.heading), room, 8) if line)))


def _unbroken(heading: str) -> str:
    """A metric that keeps its unit and arrow in one line with its last word."""
    return heading.replace(", %", ",\u00a0%").replace(" ↑", "\u00a0↑").replace(" ↓", "\u00a0↓")


def _environment(made: Sheet[Box], heads: Sequence[Box], shared: str, found: Fit, frame: Frame, place: int) -> str:
    letters, size = _letters(made), found.size
    caption = frame.caption if not place else "Continued from the table before."
    notes = [*(rf"\textsuperscript{{{letter}}} {escape(note)}" for note, letter in letters.items()),
             *(map(escape, frame.below) if not place else ())]
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{frame.label}{f'-{place + 1}' if place else ''}}}",
        *([f"  {size.command}", rf"  \setlength{{\tabcolsep}}{{{size.gap:g}pt}}"] if size.command else []),
        rf"  \begin{{tabular}}{{@{{}}l{'c' * len(heads)}@{{}}}}",
        r"    \toprule",
        *_over(made, shared),
        line([escape(made.corner), *(_stack(head.lines, "b") for head in heads)]),
        r"    \midrule",
        *(text for i in range(len(made.sides)) for text in _side(made, i, letters, found)),
        r"    \bottomrule",
        r"  \end{tabular}",
        *([rf"  \par\smallskip\footnotesize\raggedright {' '.join(notes)}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _letters(made: Sheet[Box]) -> dict[str, str]:
    """Notes of the cells, each with its letter: a to z, then aa, bb, …"""
    notes = dict.fromkeys(cell.note for side in made.sides for cell in side.cells if cell.note)
    return {note: ascii_lowercase[i % 26] * (1 + i // 26) for i, note in enumerate(notes)}


def _over(made: Sheet[Box], shared: str) -> list[str]:
    """The metric of all columns, and headings over neighbours, with rules below them; nothing if there are none."""
    width = len(made.tops)
    lines = []
    if shared:
        lines += [line(["", rf"\multicolumn{{{width}}}{{c}}{{{small(shared).tex}}}"]),
                  rf"    \cmidrule(l){{2-{width + 1}}}"]
    if not any(top.group for top in made.tops):
        return lines
    cells, rules, start = [""], [], 2
    for group, count in made.spans():
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{start}-{start + count - 1}}}"] if group else []
        start += count
    return [*lines, line(cells), f"    {''.join(rules)}"]


def _side(made: Sheet[Box], i: int, letters: dict[str, str], found: Fit) -> list[str]:
    """A row, after the rule and the heading of its block if it is the block's first."""
    side = made.sides[i]
    first = i == 0 or made.sides[i - 1].block != side.block
    lines = [r"    \midrule"] if first and i else []
    if first and side.group:
        lines.append(rf"    \multicolumn{{{len(made.tops) + 1}}}{{@{{}}l}}{{\textit{{{escape(side.group)}}}}} \\")
    cells = [_stack(cell.lines, "t", letters.get(cell.note, "")) for cell in side.cells]
    return [*lines, line([_label(side, label_lines(side, found.labels, found.size.points)), *cells])]


def _label(side: Side[Box], lines: list[str]) -> str:
    """The label with its source in small letters; in italics if the row is as printed in the paper."""
    form = r"\textit{%s}" if side.constant else "%s"
    if len(lines) > 1:
        stacked = r"\\".join(form % escape(one) for one in lines)
        return rf"\begin{{tabular}}[t]{{@{{}}l@{{}}}}{stacked}\end{{tabular}}"
    return form % escape(side.label) + (rf" {small(side.source).tex}" if side.source else "")


def line(cells: Sequence[str]) -> str:
    """A line of a `tabular`."""
    return f"    {' & '.join(cells)} \\\\"


def _stack(pieces: Sequence[Piece], place: str, letter: str = "") -> str:
    """One line as it is, several as a table of their own; the letter of a note stands at the first."""
    sign = rf"\textsuperscript{{{letter}}}" if letter else ""
    lines = [piece.tex + (sign if i == 0 else "") for i, piece in enumerate(pieces)]
    if len(lines) < 2:
        return "".join(lines)
    return rf"\begin{{tabular}}[{place}]{{@{{}}c@{{}}}}" + r"\\".join(lines) + r"\end{tabular}"


def compared(corner: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]], page: Page) -> Sheet[Box]:
    """A table of texts: the first of each row is its label."""
    tops = tuple(Top("", head, "") for head in heads)
    return Sheet(corner, tops, tuple(
        Side(0, "", row[0], "", tuple(Box(tuple(map(plain, fold(cell, page.width / 3, 10)))) for cell in row[1:]))
        for row in rows))
