"""A report in Markdown, as forges render it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tabulate import tabulate

from suite.report import notes
from suite.report.table import Cell, Table

if TYPE_CHECKING:
    from suite.report.document import Document

SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
AWAY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}


def render(document: Document, figure: str | None) -> str:
    """The report; `figure` is the curves' path below the report's folder, if there are any."""
    grid = document.grid
    parts = [f"# {escape(grid.title or grid.name)}"]
    for table in document.tables:
        parts += [f"## Table {escape(table.name)}", _table(table),
                  " ".join(map(escape, notes.caption(table, grid, "text")))]
    if document.verdicts:
        rows = [[escape(v.claim.text), escape(v.claim.source), f"**{v.verdict}**", escape(v.evidence)]
                for v in document.verdicts]
        parts += ["## Claims", tabulate(rows, ["claim", "source", "verdict", "evidence"], tablefmt="github",
                                        disable_numparse=True)]
    if figure:
        title, about = notes.curve_words(document.panels)
        parts += [f"## {title}", f"![{title.lower()}]({figure})", about]
    if document.warnings:
        parts += ["## Warnings", "\n".join(f"- {escape(warning)}" for warning in document.warnings)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    heads = [escape(table.axis), *(f"{escape(head.label)}: {escape(head.metric.heading)}" for head in table.heads)]
    rows = [[escape(name), *map(_cell, cells)] for name, cells in zip(table.rows, table.cells, strict=True)]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def _cell(cell: Cell) -> str:
    number = f"**{escape(cell.number)}**" if cell.rank == 1 else escape(cell.number)
    return number + escape(cell.rest)


def escape(text: str) -> str:
    """Text in which nothing is markup, HTML, a mention or the end of a cell."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split(" "))
    marked = SPECIAL.sub(r"\\\1", plain)
    marked = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", marked)  # no list, rule or heading at the start of a line
    marked = re.sub(r"^([-+=])", r"\\\1", marked)
    return "".join(AWAY.get(c, c) for c in marked)
