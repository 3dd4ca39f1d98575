"""A table in LaTeX: cells as boxes, footnotes, and one environment for each part that fits a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, zip_longest
from string import ascii_lowercase

from suite.report.render.latex_fit import Box, Fit, Page, Piece, fit, label_lines, number, plain, small
from suite.report.render.latex_number import Column, NumberStyle, Quantity, column
from suite.report.render.latex_text import escape, fold, width
from suite.report.render.sheet import Sheet, Side, Top, sheet
from suite.report.tables.table import Cell, Table

LONGEST = 16  # characters of a reason in a cell; longer reasons become footnotes
SETTING = 100.0  # maximum width in points of a line in a table of settings
NARROW = 60.0  # width in points that the head of a column may always have


@dataclass(frozen=True)
class Frame:
    """The surroundings of a table: caption (LaTeX), label, notes below it (plain text), page, format of numbers."""

    caption: str
    label: str
    below: Sequence[str]
    page: Page
    style: NumberStyle = NumberStyle.PLAIN


def boxes(table: Table) -> tuple[Sheet[Box], list[str]]:
    """The cells of the table as boxes, and the notes below it."""
    common = _common_n(table)
    made = sheet(table, lambda cell: _box(cell, table, common))
    return made, [f"n={common} unless a cell says otherwise."] if common else []


def _common_n(table: Table) -> int:
    """The number of seeds of most cells, stated once below the table. Returns 0 if each cell states its own."""
    if table.transpose and any(line.constant for line in table.lines):
        return 0  # a column without n would look like a printed one
    counts = Counter(cell.n for row in table.cells for cell in row if cell.state == "complete" and cell.n)
    return counts.most_common(1)[0][0] if counts else 0


def _box(cell: Cell, table: Table, common: int) -> Box:
    papers = [small(f"{one.paper} {one.text}") for one in cell.papers] if len(table.papers) > 1 else []
    if cell.so_far is not None:
        mean, _, words = cell.rest.partition(" ")
        return Box((number(Quantity(mean)), *papers), f"Not finished: {words}.")
    if not cell.number:
        if len(cell.rest) > LONGEST:
            return Box((plain("–"), *papers), f"{cell.rest[0].upper()}{cell.rest[1:]}.")
        return Box((small(cell.rest), *papers))
    if table.kind == "configuration":
        return Box(tuple(plain(line) for line in fold(cell.number + cell.rest, SETTING, 10)))
    spread, paren, count = cell.rest.partition(" (")
    mark = {1: r"\textbf", 2: r"\underline"}.get(cell.rank, "")
    first = number(Quantity(cell.number, spread.removeprefix(" ± "), mark, cell.near_best))
    count_text = (paren.strip() + count).strip("()")
    if count_text in ("", f"n={common}"):
        return Box((first, *papers))
    short = len(count_text) <= LONGEST
    return Box((first, *([small(f"({count_text})")] if short else []), *papers), "" if short else f"{count_text}.")


def environments(made: Sheet[Box], frame: Frame) -> list[str]:
    """The table as `table` environments, one for each part."""
    shared = _shared(made)
    tops = tuple(replace(top, heading="") for top in made.tops) if shared else made.tops
    made = replace(made, tops=tops)
    heads = [_head(made, j) for j in range(len(tops))]
    found = fit(made, heads, frame.page, _taken(made, frame))
    by_top = dict(zip(map(id, tops), heads, strict=True))
    return [_environment(part, [by_top[id(top)] for top in part.tops], shared, found, frame, place)
            for place, part in enumerate(found.parts)]


def _taken(made: Sheet[Box], frame: Frame) -> float:
    """The height of the caption and the notes in points."""
    notes = [*frame.below, *dict.fromkeys(cell.note for side in made.sides for cell in side.cells if cell.note)]
    return 12 * (3 + width(frame.caption, 10) // frame.page.width) + 10 * (1 + width(" ".join(notes), 8)
                                                                         // frame.page.width)


def _shared(made: Sheet[Box]) -> str:
    """The metric that several columns share, which is shown once above them. Returns "" if there is no such metric."""
    headings = {top.heading for top in made.tops}
    return headings.pop() if len(headings) == 1 and len(made.tops) > 1 else ""


def _head(made: Sheet[Box], j: int) -> Box:
    """The head of a column, folded to the width of its cells."""
    top = made.tops[j]
    room = max([NARROW, *(side.cells[j].wide(10) for side in made.sides)])
    label = [plain(line) for line in fold(top.label, room, 10)]
    return Box((*label, *(small(line) for line in fold(_unbroken(top.heading), room, 8) if line)))


def _unbroken(heading: str) -> str:
    """A heading with no-break spaces before its unit and its arrow."""
    return heading.replace(", %", ",\u00a0%").replace(" ↑", "\u00a0↑").replace(" ↓", "\u00a0↓")


def _environment(made: Sheet[Box], heads: Sequence[Box], shared: str, found: Fit, frame: Frame, place: int) -> str:
    letters, size, columns = _letters(made), found.size, _columns(made, frame.style)
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
        rf"  \begin{{tabular}}{{@{{}}l{''.join(one.spec for one in columns)}@{{}}}}",
        r"    \toprule",
        *_over(made, shared, columns),
        line([escape(made.corner), *(one.text(_stack(head.lines)) for one, head in zip(columns, heads, strict=True))]),
        r"    \midrule",
        *(text for i in range(len(made.sides)) for text in _side(made, i, letters, found, columns)),
        r"    \bottomrule",
        r"  \end{tabular}",
        *([rf"  \par\smallskip\footnotesize\raggedright {' '.join(notes)}"] if notes else []),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _columns(made: Sheet[Box], style: NumberStyle) -> list[Column]:
    return [column(style, [piece.quantity for side in made.sides for piece in side.cells[j].lines if piece.quantity])
            for j in range(len(made.tops))]


def _letters(made: Sheet[Box]) -> dict[str, str]:
    """The footnotes of the cells with their letters: a to z, then aa, bb, …"""
    notes = dict.fromkeys(cell.note for side in made.sides for cell in side.cells if cell.note)
    return {note: ascii_lowercase[i % 26] * (1 + i // 26) for i, note in enumerate(notes)}


def _over(made: Sheet[Box], shared: str, columns: Sequence[Column]) -> list[str]:
    """The shared metric and the headings over several columns, with rules below them. Empty if there are none."""
    edges = list(accumulate((one.width for one in columns), initial=0))
    width = edges[-1]
    lines = []
    if shared:
        lines += [line(["", rf"\multicolumn{{{width}}}{{c}}{{{small(shared).tex}}}"]),
                  rf"    \cmidrule(l){{2-{width + 1}}}"]
    if not any(top.group for top in made.tops):
        return lines
    cells, rules, start = [""], [], 0
    for group, count in made.spans():
        first, last = edges[start] + 2, edges[start + count] + 1
        cells.append(rf"\multicolumn{{{last - first + 1}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{first}-{last}}}"] if group else []
        start += count
    return [*lines, line(cells), f"    {''.join(rules)}"]


def _side(made: Sheet[Box], i: int, letters: dict[str, str], found: Fit, columns: Sequence[Column]) -> list[str]:
    """The lines of a row, after the rule and the heading of its block if it is the first of it."""
    side = made.sides[i]
    first = i == 0 or made.sides[i - 1].block != side.block
    lines = [r"    \midrule"] if first and i else []
    if first and side.group:
        wide = 1 + sum(one.width for one in columns)
        lines.append(rf"    \multicolumn{{{wide}}}{{@{{}}l}}{{\textit{{{escape(side.group)}}}}} \\")
    label = _label(side, label_lines(side, found.labels, found.size.points))
    cells = [_cell(cell, one, letters.get(cell.note, "")) for one, cell in zip(columns, side.cells, strict=True)]
    blank = ["", *(one.text("") for one in columns)]
    return lines + [line([text or empty for text, empty in zip(texts, blank, strict=True)])
                    for texts in zip_longest(label, *cells, fillvalue="")]


def _label(side: Side[Box], lines: list[str]) -> list[str]:
    """The lines of the label, with its source in the small font if there is room; printed rows are in italics."""
    form = r"\textit{%s}" if side.constant else "%s"
    if len(lines) > 1:
        return [form % escape(one) for one in lines]
    return [form % escape(side.label) + (rf" {small(side.source).tex}" if side.source else "")]


def _cell(box: Box, column: Column, letter: str) -> list[str]:
    """The lines of a cell; the mark of its footnote is on the first one."""
    signs = [rf"\textsuperscript{{{letter}}}" if letter else "", *[""] * len(box.lines)]
    return [column.number(piece.quantity, sign) if piece.quantity else column.text(piece.tex + sign)
            for piece, sign in zip(box.lines, signs, strict=False)]


def line(cells: Sequence[str]) -> str:
    """A line of a `tabular`."""
    return f"    {' & '.join(cells)} \\\\"


def _stack(pieces: Sequence[Piece]) -> str:
    """One line unchanged, several lines as a nested table."""
    text = r"\\".join(piece.tex for piece in pieces)
    return text if len(pieces) < 2 else rf"\begin{{tabular}}[b]{{@{{}}c@{{}}}}{text}\end{{tabular}}"


def compared(corner: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]], page: Page) -> Sheet[Box]:
    """A table of texts. The first text of each row is its label."""
    tops = tuple(Top("", head, "") for head in heads)
    return Sheet(corner, tops, tuple(
        Side(0, "", row[0], "", tuple(Box(tuple(map(plain, fold(cell, page.width / 3, 10)))) for cell in row[1:]))
        for row in rows))
