"""A report for the terminal: compact tables, the claims with their verdicts, warnings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from tabulate import tabulate

from suite.report.render import notes
from suite.report.render.sheet import after, sheet
from suite.report.tables.table import Table

if TYPE_CHECKING:
    from suite.report.document import Document

WIDTH = 110


def render(document: Document) -> str:
    """The report as plain text. Lines have at most WIDTH characters, except in wide tables."""
    grid = document.grid
    name = f"{grid.name}: {grid.title}" if grid.title else grid.name
    parts = [f"{name} (profile {grid.profile})"]
    for table in document.tables:
        parts.append(_table(table))
        parts.append(_wrapped(" ".join(notes.caption(table, grid, "plain"))))
    if document.verdicts:
        width = max(len(verdict.words) for verdict in document.verdicts)
        parts.append("\n".join(f"{verdict.words:<{width}}  {verdict.claim.text} {verdict.evidence}"
                               for verdict in document.verdicts))
    parts += [_wrapped(warning, "warning: ") for warning in document.warnings]
    return clean("\n\n".join(parts))


def _table(table: Table) -> str:
    made = sheet(table, lambda cell: f"{cell.text}{' *' if cell.rank == 1 else ''}{after(cell, table)}")
    heads = [made.corner, *("\n".join(filter(None, (top.group, top.label, top.heading))) for top in made.tops)]
    rows = [[f"{side.group}, {side.label}" if side.group else side.label, *side.cells] for side in made.sides]
    return tabulate(rows, heads, tablefmt="simple", disable_numparse=True, colalign=["left"] * len(heads))


def _wrapped(text: str, head: str = "") -> str:
    """Lines of at most WIDTH characters. They are not broken at no-break spaces, which become plain spaces."""
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head),
                         break_on_hyphens=False).replace("\u00a0", " ")


def clean(text: str) -> str:
    """The text with control characters replaced, because a terminal would execute them."""
    return "".join(c if c == "\n" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
