"""A report in GitHub Flavored Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tabulate import tabulate

from suite.report.against import comparison
from suite.report.claims.on_the_paper import PrintedVerdict, at_seeds
from suite.report.claims.outcome import RULES, Verdict, counts_text
from suite.report.render import notes
from suite.report.render.sheet import Sheet, Top, after, sheet
from suite.report.tables.table import Cell, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.document import Document
    from suite.report.render.extras import Extras

SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
AWAY = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
INTRODUCTION = (
    "Which of the paper's sentences do its own printed numbers support? Student's t tests of the printed means and "
    "standard deviations. The paper says that numbers are means over 2 or 3 seeds, so each claim is tested with n = 2 "
    "and with n = 3. The variance of a seed is pooled over a column unless the variances differ (Bartlett, 10 %). "
    "Tables 3a and 3b print no standard deviations; those of tables 7 and 8 are used, for the same tasks and models. "
    "Holm's correction is within a section. If nothing can be tested, the difference is given with the spread "
    "between the paper's own numbers for one configuration. "
    "“Means alone” ignores the error of the printed means.")


def render(document: Document, extras: Extras) -> str:
    """The report with its figures, and the verdicts on the published numbers."""
    grid = document.grid
    parts = [f"# {escape(grid.title or grid.name)}"]
    parts += [section(table, grid) for table in document.tables]
    if document.verdicts:
        parts.append(claims(document.verdicts, extras.printed))
    for one in extras.figures:
        parts += [f"## {escape(one.title)}", f"![{escape(one.title.lower())}]({one.path}.png)", one.words]
    if document.warnings:
        parts += ["## Warnings", "\n".join(f"- {escape(warning)}" for warning in document.warnings)]
    return "\n\n".join(parts) + "\n"


def claims(verdicts: Sequence[Verdict], printed: Mapping[str, PrintedVerdict]) -> str:
    """The verdicts next to those from the paper's own numbers, with the number of each."""
    known = [printed[v.claim.id] for v in verdicts if v.claim.id in printed]
    seeds = list(known[0].by_seeds) if known else []
    rows = [[f"**{escape(v.words)}**", escape(v.claim.text), escape(v.claim.source),
             *_published(printed.get(v.claim.id), seeds), escape(v.evidence)] for v in verdicts]
    heads = ["verdict", "claim", "source", *(f"published, n = {n}" for n in seeds), "evidence"]
    counts = [f"- these runs: {counts_text(verdicts)}"] if known else []
    counts += [f"- published numbers, as if n = {n}: {counts_text(one.by_seeds[n] for one in known)}" for n in seeds]
    table = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    return "\n\n".join(filter(None, ["## Claims", "\n".join(counts), table, escape(RULES)]))


def _published(one: PrintedVerdict | None, seeds: Iterable[int]) -> list[str]:
    return [one.by_seeds[n].verdict if one else "–" for n in seeds]


def section(table: Table, grid: Grid) -> str:
    """A table with its heading, its caption and the comparison with the paper."""
    return "\n\n".join([f"## Table {escape(table.name)}", _rows(sheet(table, partial(_cell, table))),
                        " ".join(map(escape, notes.caption(table, grid, "text"))), *_compared(table)])


def _compared(table: Table) -> list[str]:
    """The published numbers with their verdicts, and remarks on them. Empty if no cell is compared."""
    if not comparison.compared(table):
        return []
    several = len(table.heads) > 1
    rows = [[*([escape(column)] if several else []), escape(one.row), escape(one.published), escape(one.difference),
             escape(one.verdict)] for column, lines in comparison.lines(table).items() for one in lines]
    heads = [*(["column"] if several else []), escape(table.axis), "published", "ours − published [95 % CI]", "verdict"]
    remarks = [f"- {escape(remark)}" for remark in comparison.remarks(table)]
    return [f"Against the paper. {escape(comparison.rule(table))}",
            tabulate(rows, heads, tablefmt="github", disable_numparse=True),
            *filter(None, ["\n".join(remarks)])]


def _rows(made: Sheet[str]) -> str:
    heads = [escape(made.corner), *(_head(top) for top in made.tops)]
    rows = []
    for i, side in enumerate(made.sides):
        if side.group and (i == 0 or made.sides[i - 1].block != side.block):
            rows.append([f"*{escape(side.group)}*", *[""] * len(made.tops)])
        source = f" ({escape(side.source)})" if side.source else ""
        rows.append([escape(side.label) + source, *side.cells])
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def _head(top: Top) -> str:
    label = f"{top.group} {top.label}" if top.group else top.label
    return f"{escape(label)}: {escape(top.heading)}" if top.heading else escape(label)


def _cell(table: Table, cell: Cell) -> str:
    number = f"**{escape(cell.number)}**" if cell.rank == 1 else escape(cell.number)
    return number + escape(cell.rest + after(cell, table))


def escape(text: str) -> str:
    """Text without markup, HTML, mentions or cell separators."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split(" "))
    marked = SPECIAL.sub(r"\\\1", plain)
    marked = re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", marked)  # no list, rule or heading at the start of a line
    marked = re.sub(r"^([-+=])", r"\\\1", marked)
    return "".join(AWAY.get(c, c) for c in marked)


def paper_claims(verdicts: Sequence[PrintedVerdict], title: str = "# The paper's claims on the paper's numbers") -> str:
    """The verdicts on published numbers in Markdown, below that title."""
    seeds = at_seeds(verdicts)
    lines = [f"- as if n = {n}: {counts_text(each)}" for n, each in seeds.items()]
    rows = [[escape(one.claim.text), escape(one.claim.source), one.means_alone,
             *(f"**{v.verdict}**" for v in one.by_seeds.values()), escape(one.evidence)] for one in verdicts]
    heads = ["claim", "source", "means alone", *(f"n = {n}" for n in seeds), "evidence"]
    table = tabulate(rows, heads, "github", disable_numparse=True)
    return "\n\n".join([title, INTRODUCTION, "\n".join(lines), table]) + "\n"
