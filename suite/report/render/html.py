"""The page on all grids: one self-contained HTML file, without network, light and dark.

Tables stand in it as they are; a small script (`page.js`, no library) sorts them and shows what is behind a cell.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from suite.report import conditions
from suite.report.against import comparison
from suite.report.claims.on_the_paper import at_seeds
from suite.report.claims.outcome import WORDS, Word, counts
from suite.report.figures.plot import for_both_pages
from suite.report.render import notes
from suite.report.render.detail import details
from suite.report.render.drawing import drawings
from suite.report.render.sheet import sheet

if TYPE_CHECKING:
    from suite.report.claims.on_the_paper import PrintedVerdict
    from suite.report.claims.outcome import Verdict
    from suite.report.document import Document


def render(documents: Sequence[Document], figures: Sequence[Mapping[str, bytes]], printed: Mapping[str, PrintedVerdict],
           templates: Path) -> str:
    """The page. `figures` holds each grid's SVG files; names of grids, rows and runs are escaped by the template.

    `printed`: verdicts on the published numbers, by the ids of the claims.
    """
    environment = _environment(templates)
    script = (templates / "page.js").read_text(encoding="utf-8").rstrip("\n")
    data = {"grids": [details(document) for document in documents]}
    return environment.get_template("index.html.j2").render(
        grids=[_grid(i, document, svgs) for i, (document, svgs) in enumerate(zip(documents, figures, strict=True))],
        script=script, digest=base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode(),
        data=_in_script(data), compared=comparison.COMPARED, verdicts=WORDS, printed=printed,
        counted=_counted([verdict for document in documents for verdict in document.verdicts], printed))


def _counted(verdicts: Sequence[Verdict], printed: Mapping[str, PrintedVerdict]) -> list[tuple[str, dict[Word, int]]]:
    """How many claims have which verdict: by these runs, and by the published numbers."""
    known = [printed[verdict.claim.id] for verdict in verdicts if verdict.claim.id in printed]
    published = [(f"published numbers, as if n = {n}", counts(each)) for n, each in at_seeds(known).items()]
    return [("these runs", counts(verdicts)), *published] if verdicts else []


@lru_cache(maxsize=1)
def _environment(templates: Path) -> Environment:
    return Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined,
                       trim_blocks=True, lstrip_blocks=True)


def _in_script(data: Any) -> str:
    """JSON that cannot end the script element that it stands in, nor begin a comment there."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _grid(place: int, document: Document, svgs: Mapping[str, bytes]) -> dict[str, Any]:
    grid = document.grid
    states = Counter(document.states[run_id].label for run_id in dict.fromkeys(r.run_id for r in grid.runs))
    tables, count = [], 0
    paper: Counter[str] = Counter()
    for table in document.tables:
        number = {(cell.row, cell.column): count + i for i, cell in enumerate(c for row in table.cells for c in row)}
        count += len(number)
        paper.update(comparison.counts(table))
        tables.append({"table": table, "sheet": sheet(table, lambda cell: cell), "number": number,
                       "heads": dict(zip([head.label for head in table.heads], table.heads, strict=True)),
                       "caption": notes.caption(table, grid, "html")})
    return {"id": f"grid-{place}", "place": place, "grid": grid, "title": grid.title or grid.name, "tables": tables,
            "states": states.most_common(), "runs": sum(states.values()), "verdicts": document.verdicts,
            "counts": counts(document.verdicts), "warnings": document.warnings,
            "paper": [(verdict, paper[verdict]) for verdict in comparison.COMPARED if paper[verdict]],
            "profile": notes.profile_note(grid.profile), "figures": list(_figures(document, svgs)),
            "provenance": _provenance(document), "data": _data(document)}


def _figures(document: Document, svgs: Mapping[str, bytes]) -> Iterable[dict[str, str]]:
    for one in drawings(document):
        data = svgs.get(f"{one.path}.svg")
        if data is not None:
            uri = "data:image/svg+xml;base64," + base64.b64encode(for_both_pages(data)).decode()
            yield {"title": one.title, "words": one.words, "uri": uri}


def _provenance(document: Document) -> list[tuple[str, list[tuple[str, int]]]]:
    """Each condition with its values and the number of runs that had it."""
    counts = Counter(map(id, document.provenance.values()))
    records = {id(record): conditions.conditions(record) for record in document.provenance.values()}
    names = dict.fromkeys(name for one in records.values() for name in one)
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    for key, one in records.items():
        for name in names:
            found[name][one.get(name, "not recorded")] += counts[key]
    return [(name, values.most_common()) for name, values in found.items()]


def _data(document: Document) -> list[tuple[str, int]]:
    return Counter(conditions.data_words(run) for run in document.grid.runs).most_common()
