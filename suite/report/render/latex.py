"""A report's tables in LaTeX (booktabs), ready for pdflatex; every name and number is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.render import notes
from suite.report.render.latex_claims import claims
from suite.report.render.latex_fit import ARTICLE, OWN, Page
from suite.report.render.latex_table import Frame, boxes, compared, environments
from suite.report.render.latex_text import NUMBERS, escape

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.document import Document
    from suite.report.render.drawing import Drawing
    from suite.report.tables.table import Table

PREAMBLE = r"""% In the preamble of your document:
%   \usepackage[T1]{fontenc}
%   \usepackage[utf8]{inputenc}  % needed before the LaTeX of 2018 only
%   \usepackage{array,booktabs}
% With siunitx, also, for numbers as its options have them:
%   \usepackage{siunitx}\sisetup{separate-uncertainty,detect-weight}
%   \newcommand{\resultpm}[3][]{#1{\num{#2 \pm #3}}}\newcommand{\resultnum}[2][]{#1{\num{#2}}}
""" + NUMBERS


def render(document: Document, drawn: Sequence[Drawing] = (),
           printed: Mapping[str, PrintedVerdict] | None = None) -> str:
    """Each table of a report, and its claims, as a `table` environment with caption and `\\label{tab:<name>}`.

    Figures and the verdicts on the published numbers have no place in it.
    """
    texts = [text for table in document.tables
             for text in [*_whole(table, document.grid, ARTICLE), *_against(table, ARTICLE)]]
    return PREAMBLE + "\n".join([*texts, *claims(document, ARTICLE)])


def numbered(table: Table, grid: Grid) -> str:
    """The table as a document of its own calls it: Table 3a is its number, whatever stands before it."""
    name = table.name
    whole, against = _whole(table, grid, OWN), _against(table, OWN)
    names = [name, *[f"{name} (continued)"] * (len(whole) - 1), *[f"{name} (compared)"] * len(against)]
    return "".join(named(one, text) for one, text in zip(names, [*whole, *against], strict=True))


def named(name: str, text: str) -> str:
    """A table under that name in place of its number."""
    return rf"\renewcommand{{\thetable}}{{{escape(name.replace('-', ' '))}}}" + f"\n{text}"


def _whole(table: Table, grid: Grid, page: Page) -> list[str]:
    """The table, in parts that fit the page."""
    made, below = boxes(table)
    caption = " ".join(map(escape, notes.caption(table, grid, "latex")))
    return environments(made, Frame(caption, _label(table), below, page))


def _label(table: Table) -> str:
    return "".join(c for c in table.name if c.isascii() and (c.isalnum() or c in "._-"))


def _against(table: Table, page: Page) -> list[str]:
    """The columns of the table against the papers, if any cell is compared."""
    if not comparison.compared(table):
        return []
    told = [f"{remark}." for remark in comparison.remarks(table)]
    found = comparison.lines(table)
    texts = []
    for i, (column, lines) in enumerate(found.items()):
        caption = f"Table {table.name.replace('-', ' ')}, {column}, against the paper."
        frame = Frame(escape(caption if i else f"{caption} {comparison.rule(table)}"),
                      f"{_label(table)}-compared{i + 1 if i else ''}", told if i + 1 == len(found) else [], page)
        made = compared(table.axis, ("published", "ours − published [95\u00a0%\u00a0CI]", "verdict"),
                        [(one.row, one.published, one.difference, one.verdict) for one in lines], page)
        texts += environments(made, frame)
    return texts
