"""The page on all grids: one self-contained HTML file that needs no network, for light and dark mode.

It contains complete tables. A small script (`page.js`, without libraries) sorts them and shows the details of cells.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from suite.report import conditions
from suite.report.against import comparison
from suite.report.claims.on_the_paper import at_seeds
from suite.report.claims.outcome import RULES, VERDICT_NAMES, VerdictName, counts
from suite.report.conditions import Count
from suite.report.figures.plot import for_both_pages
from suite.report.render import notes
from suite.report.render.detail import GridDetails, details
from suite.report.render.drawing import drawings
from suite.report.render.sheet import Sheet, sheet
from suite.report.tables.table import Cell, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.claims.outcome import Verdict
    from suite.report.document import Document



@dataclass(frozen=True)
class TablePart:
    """A table on the page: `number` is the index of each cell, by row and column, among the grid's cells."""

    table: Table
    sheet: Sheet[Cell]
    number: dict[tuple[str, str], int]
    caption: list[str]


@dataclass(frozen=True)
class FigurePart:
    """A figure on the page, with its SVG as a data URI."""

    title: str
    words: str
    uri: str


@dataclass(frozen=True)
class GridPart:
    """A grid on the page, as the template reads it.

    `states`, `provenance` (by condition) and `data` (data sets) count runs; `paper` counts cells by their verdict
    against the paper; `counts` counts the verdicts on claims. `runs` is the number of different runs.
    """

    place: int
    grid: Grid
    tables: list[TablePart]
    figures: list[FigurePart]
    states: list[Count]
    runs: int
    verdicts: tuple[Verdict, ...]
    counts: dict[VerdictName, int]
    paper: str
    warnings: tuple[str, ...]
    profile: str
    provenance: list[tuple[str, list[Count]]]
    data: list[Count]

    @property
    def id(self) -> str:
        """The anchor of its section."""
        return f"grid-{self.place}"

    @property
    def title(self) -> str:
        """Its title, or its name without one."""
        return self.grid.title or self.grid.name


def render(documents: Sequence[Document], figures: Sequence[Mapping[str, bytes]], printed: Mapping[str, PrintedVerdict],
           templates: Path) -> str:
    """The page. `figures` has the SVG files of each grid. The template escapes names of grids, rows and runs.

    `printed` has the verdicts on the published numbers by claim id.
    """
    environment = _environment(templates)
    script = (templates / "page.js").read_text(encoding="utf-8").rstrip("\n")
    data = _in_script([details(document) for document in documents])
    return environment.get_template("index.html.j2").render(
        grids=[_grid(i, document, svgs) for i, (document, svgs) in enumerate(zip(documents, figures, strict=True))],
        script=script, digest=base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode(),
        data=data, compared=comparison.COMPARED, verdicts=VERDICT_NAMES, printed=printed,
        rules=RULES,
        counted=_counted([verdict for document in documents for verdict in document.verdicts], printed))


def _counted(verdicts: Sequence[Verdict],
             printed: Mapping[str, PrintedVerdict]) -> list[tuple[str, dict[VerdictName, int]]]:
    """The number of claims with each verdict, for these runs and for the published numbers."""
    known = [printed[verdict.claim.id] for verdict in verdicts if verdict.claim.id in printed]
    published = [(f"published numbers, as if n = {n}", counts(each)) for n, each in at_seeds(known).items()]
    return [("these runs", counts(verdicts)), *published] if verdicts else []


@lru_cache(maxsize=1)
def _environment(templates: Path) -> Environment:
    return Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


def _in_script(grids: Sequence[GridDetails]) -> str:
    """JSON that can neither end the script element around it nor start a comment in it."""
    text = json.dumps({"grids": grids}, default=vars, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _grid(place: int, document: Document, svgs: Mapping[str, bytes]) -> GridPart:
    grid = document.grid
    states = Counter(document.states[run_id].label for run_id in dict.fromkeys(r.run_id for r in grid.runs))
    paper: Counter[str] = Counter()
    for table in document.tables:
        paper.update(comparison.counts(table))
    return GridPart(
        place=place, grid=grid, tables=list(_tables(document)), figures=list(_figures(document, svgs)),
        states=states.most_common(), runs=sum(states.values()), verdicts=document.verdicts,
        counts=counts(document.verdicts), warnings=document.warnings,
        paper=comparison.counted({verdict: paper[verdict] for verdict in comparison.COMPARED if paper[verdict]}),
        profile=notes.profile_note(grid.profile), provenance=conditions.counted(grid.runs, document.provenance),
        data=_data(document))


def _tables(document: Document) -> Iterable[TablePart]:
    count = 0
    for table in document.tables:
        cells = [cell for row in table.cells for cell in row]
        number = {(cell.row, cell.column): count + i for i, cell in enumerate(cells)}
        count += len(number)
        yield TablePart(table, sheet(table, lambda cell: cell), number, notes.caption(table, document.grid, "html"))


def _figures(document: Document, svgs: Mapping[str, bytes]) -> Iterable[FigurePart]:
    for one in drawings(document):
        data = svgs.get(f"{one.path}.svg")
        if data is not None:
            uri = "data:image/svg+xml;base64," + base64.b64encode(for_both_pages(data)).decode()
            yield FigurePart(one.title, one.words, uri)


def _data(document: Document) -> list[Count]:
    return Counter(conditions.data_words(run) for run in document.grid.runs).most_common()
