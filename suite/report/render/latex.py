"""A report's tables in LaTeX (booktabs), ready for pdflatex; every name and number is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from suite.report.against import comparison
from suite.report.claims.outcome import RULES, equals
from suite.report.render import notes
from suite.report.render.latex_fit import ARTICLE, OWN, Page
from suite.report.render.latex_table import Frame, boxes, compared, environments, line
from suite.report.render.latex_text import escape

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.claims.outcome import Verdict
    from suite.report.document import Document
    from suite.report.render.drawing import Drawing
    from suite.report.tables.table import Table

PREAMBLE = r"""% In the preamble of your document:
%   \usepackage[T1]{fontenc}
%   \usepackage[utf8]{inputenc}  % needed before the LaTeX of 2018 only
%   \usepackage{array,booktabs}
"""
PAGE = 12  # claims on a page


def render(document: Document, drawn: Sequence[Drawing] = (),
           printed: Mapping[str, PrintedVerdict] | None = None) -> str:
    """Each table of a report, and its claims, as a `table` environment with caption and `\\label{tab:<name>}`.

    Figures and the verdicts on the published numbers have no place in it.
    """
    texts = [text for table in document.tables
             for text in [*_whole(table, document.grid, ARTICLE), *_against(table, ARTICLE)]]
    return PREAMBLE + "\n".join([*texts, *claims(document)])


def claims(document: Document) -> list[str]:
    """The claims in tables that fit a page: claim, difference with its interval and test, verdict with its seeds."""
    starts = range(0, len(document.verdicts), PAGE)
    return [_claims(document, document.verdicts[i:i + PAGE], i // PAGE) for i in starts]


def _claims(document: Document, verdicts: Sequence[Verdict], place: int) -> str:
    label = "".join(c for c in document.stem if c.isascii() and (c.isalnum() or c in "._-"))
    label += f"-claims{place + 1 if place else ''}"
    caption = f"Claims. {RULES}" if not place else "Claims, continued."
    lines = [
        r"\begin{table}[htbp]",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{escape(caption)}}}",
        rf"  \label{{tab:{label}}}",
        r"  \small",
        r"  \begin{tabular}{@{}p{0.40\linewidth}p{0.36\linewidth}p{0.18\linewidth}@{}}",
        r"    \toprule",
        line(["Claim", r"Difference [95\,\% CI]", "Verdict, seeds"]),
        r"    \midrule",
        *(line(_claim(verdict)) for verdict in verdicts),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _claim(verdict: Verdict) -> list[str]:
    """The cells of a claim: what was compared is named if there are several comparisons."""
    shown = verdict.telling
    found, seeds = [], ""
    if shown is not None and shown.size:
        several = f"{shown.words}: " if len(verdict.parts) > 1 else ""
        interval = f" [{shown.interval}]" if shown.interval else ""
        tested = f"{shown.test_words}, p {equals(verdict.p)}" if shown.tested and verdict.p is not None else ""
        found = [f"{several}{shown.size}{interval}", tested]
        seeds = shown.seeds
    words = verdict.words if verdict.seeds else ", ".join(filter(None, (verdict.words, seeds)))
    notes = "; ".join(filter(None, (verdict.declared, *verdict.notes)))
    return [rf"\raggedright {escape(verdict.claim.text)}",
            r"\raggedright " + r" \newline ".join([escape(one) if i == 0 else _small(escape(one))
                                                  for i, one in enumerate(filter(None, found))]),
            r"\raggedright\arraybackslash " + escape(words) + (r" \newline " + _small(escape(notes)) if notes else "")]


def numbered(table: Table, grid: Grid) -> str:
    """The table as a document of its own calls it: Table 3a is its number, whatever stands before it."""
    name = escape(table.name.replace("-", " "))
    whole, against = _whole(table, grid, OWN), _against(table, OWN)
    names = [name, *[f"{name} (continued)"] * (len(whole) - 1), *[f"{name} (compared)"] * len(against)]
    return "".join(rf"\renewcommand{{\thetable}}{{{one}}}" + f"\n{text}"
                   for one, text in zip(names, [*whole, *against], strict=True))


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


def _small(text: str) -> str:
    return rf"{{\footnotesize {text}}}"
