"""The tables of a report in LaTeX (booktabs), ready for pdflatex. All names and numbers are escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.render import notes
from suite.report.render.latex_claims import claims
from suite.report.render.latex_fit import ARTICLE, OWN, Page
from suite.report.render.latex_number import PACKAGES, NumberStyle
from suite.report.render.latex_table import Frame, boxes, compared, environments
from suite.report.render.latex_text import escape

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.document import Document
    from suite.report.render.extras import Extras
    from suite.report.tables.table import Table

PREAMBLE = ("% In the preamble of your document:", r"%   \usepackage[T1]{fontenc}",
            r"%   \usepackage[utf8]{inputenc}  % needed before the LaTeX of 2018 only")


def render(document: Document, extras: Extras) -> str:
    """The tables and claims of a report as `table` environments with a caption and `\\label{tab:<name>}`.

    Figures and the verdicts on published numbers are not included.
    """
    head = [*PREAMBLE, *(f"%   {text}" for text in PACKAGES[extras.style])]
    texts = [text for table in document.tables
             for text in [*_tables(table, document.grid, ARTICLE, extras.style), *_against(table, ARTICLE)]]
    return "".join(f"{text}\n" for text in head) + "\n".join([*texts, *claims(document, ARTICLE)])


def numbered(table: Table, grid: Grid, style: NumberStyle = NumberStyle.PLAIN) -> str:
    """The table with its own name as its number, such as Table 3a, whatever comes before it."""
    name = table.name
    tables, against = _tables(table, grid, OWN, style), _against(table, OWN)
    names = [name, *[f"{name} (continued)"] * (len(tables) - 1), *[f"{name} (compared)"] * len(against)]
    return "".join(named(one, text) for one, text in zip(names, [*tables, *against], strict=True))


def named(name: str, text: str) -> str:
    """A table with that name instead of a number."""
    return rf"\renewcommand{{\thetable}}{{{escape(name.replace('-', ' '))}}}" + f"\n{text}"


def _tables(table: Table, grid: Grid, page: Page, style: NumberStyle) -> list[str]:
    """The table in parts that fit the page."""
    made, below = boxes(table)
    caption = " ".join(map(escape, notes.caption(table, grid, "latex")))
    return environments(made, Frame(caption, _label(table), below, page, style))


def _label(table: Table) -> str:
    return "".join(c for c in table.name if c.isascii() and (c.isalnum() or c in "._-"))


def _against(table: Table, page: Page) -> list[str]:
    """The comparison with the papers, one table for each column. Empty if no cell is compared."""
    if not comparison.compared(table):
        return []
    remarks = [f"{remark}." for remark in comparison.remarks(table)]
    found = comparison.lines(table)
    texts = []
    for i, (column, lines) in enumerate(found.items()):
        caption = f"Table {table.name.replace('-', ' ')}, {column}, against the paper."
        frame = Frame(escape(caption if i else f"{caption} {comparison.rule(table)}"),
                      f"{_label(table)}-compared{i + 1 if i else ''}", remarks if i + 1 == len(found) else [], page)
        made = compared(table.axis, ("published", "ours − published [95\u00a0%\u00a0CI]", "verdict"),
                        [(one.row, one.published, one.difference, one.verdict) for one in lines], page)
        texts += environments(made, frame)
    return texts
