"""A report as one self-contained HTML file: tables, claims, plots, runs and provenance; no network, light and dark."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from suite.report import notes
from suite.report.results import status
from suite.report.table import Cell, Head

if TYPE_CHECKING:
    from suite.report.document import Document


def render(document: Document, templates: Path, files: Mapping[str, bytes]) -> str:
    """The page. `files` holds the figures by name; names of grids, rows and runs are escaped by the template."""
    figure = {name.rpartition("-")[2].removesuffix(".svg"): _data_uri(data)
              for name, data in files.items() if name.endswith(".svg")}
    return _environment(templates).get_template("report.html.j2").render(
        grid=document.grid,
        tables=[(table, notes.caption(table, document.grid, "html")) for table in document.tables],
        verdicts=document.verdicts, warnings=document.warnings, curves=figure,
        curve_words=notes.curve_words(document.panels),
        profile=notes.profile_note(document.grid.profile), provenance=_provenance(document),
        runs=_runs(document), data=_data(document))


@lru_cache(maxsize=1)
def _environment(templates: Path) -> Environment:
    environment = Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(details=details)
    return environment


def details(cell: Cell, head: Head) -> str:
    """What a cell tells when it is pointed at: the value of each seed, the interval, and the ids of its runs."""
    values = [f"seed {seed}: {head.metric.format(value)}" for seed, value in (cell.values or {}).items()]
    if cell.interval is not None:
        low, high = map(head.metric.format, cell.interval)
        values.append(f"95 % interval of the mean: {low} to {high}")
    return "\n".join([*values, *(f"run {run_id}" for run_id in cell.run_ids)])


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def _provenance(document: Document) -> list[tuple[str, list[tuple[str, int]]]]:
    """Each condition with its values and the number of runs that had it."""
    told = [notes.conditions(record) for record in document.provenance.values()]
    names = dict.fromkeys(name for one in told for name in one)
    return [(name, Counter(one.get(name, "not recorded") for one in told).most_common()) for name in names]


def _data(document: Document) -> list[tuple[str, int]]:
    return Counter(notes.data_words(run) for run in document.grid.runs).most_common()


def _runs(document: Document) -> list[dict[str, Any]]:
    found = []
    for run in document.grid.runs:
        state = document.states[run.run_id]
        words = "done" if state.name == "done" else status(state, run.config.train.epochs)[1]
        found.append({"id": run.run_id, "labels": run.labels, "seed": run.config.seed, "state": words,
                      "detail": state.detail})
    return found
