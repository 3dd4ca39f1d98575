"""The contents of a report on one grid: its tables, claims, curves and warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.report import conditions
from suite.report.against.verdict import judged_settings, judged_table
from suite.report.claims import declaring, judge, language
from suite.report.claims.claim import Stated
from suite.report.claims.numbers import RunNumbers
from suite.report.claims.outcome import Verdict
from suite.report.claims.stacking import with_stacking
from suite.report.figures import curves as figures
from suite.report.figures.curves import Curves, Panel
from suite.report.places import SOURCES, file_stem, folders
from suite.report.published.papers import Published, load_published
from suite.report.statistics.looks import Looks
from suite.report.tables.evaluated import Interval, Place, cell_intervals
from suite.report.tables.layout import Placed, default_layout
from suite.report.tables.layout_files import layouts_of, load_layout, table_names
from suite.report.tables.marks import marked
from suite.report.tables.results import read_results
from suite.report.tables.table import Table

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.store.state import RunState
    from suite.store.store import Store


@dataclass(frozen=True)
class Document:
    """Everything that a report contains about a grid.

    `provenance` has the record of each run, by run id, if there is one. `families` has the digest of each family of
    claims with looks, `plans` the looks of every family (None without looks). `over_examples` has the intervals of
    `evaluated.cell_intervals`.
    """

    grid: Grid
    stem: str
    tables: tuple[Table, ...]
    verdicts: tuple[Verdict, ...]
    panels: tuple[Panel, ...]
    warnings: tuple[str, ...]
    provenance: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, RunState]
    curves: Curves
    families: Mapping[str, str]
    plans: Mapping[str, Looks | None]
    over_examples: Mapping[Place, Interval | None]


def make_document(grid: Grid, stem: str, store: Store, states: Mapping[str, RunState], layouts: list[Path],
                  claims: Sequence[Path], published: Published) -> Document:
    """Read the runs of a grid and make its tables. Raises UserError for layouts and claims that do not fit the grid."""
    placed = [load_layout(path, grid, published) for path in layouts] or [default_layout(grid)]
    names = [one.layout.name for one in placed]
    twice = next((one for i, one in enumerate(placed) if one.layout.name in names[:i]), None)
    if twice:
        raise UserError(f"two tables of the grid are named {twice.layout.name!r}; claims refer to tables by name",
                        twice.where("name"), "rename one of them")
    results = read_results(grid, store, states)
    tables = tuple(marked(judged_table(one, grid, results, published) if isinstance(one, Placed)
                          else judged_settings(one, grid, published), grid, published) for one in placed)
    stated = _claims(claims, grid, tables)
    verdicts = judge.judge(stated, RunNumbers(grid, tables, results, published))
    families = declaring.families(stated, tables)
    provenance = _provenance(grid, store, states)
    verdicts = with_stacking(declaring.with_words(grid, store, families, verdicts), tables, provenance)
    curves = figures.curves(tables, results)
    return Document(grid, stem, tables, verdicts, figures.panels(tables, results, curves),
                    (*conditions.warnings(tables, provenance), *conditions.unreadable(grid, states)), provenance,
                    states, curves, families, {one.claim.family: one.rules.plan for one in stated},
                    cell_intervals(tables, results))


def document_of(grid: Grid, store: Store, sources: Path = SOURCES) -> Document:
    """The document on one grid, from the current state of its store. Raises UserError."""
    found = folders(sources, [grid])
    published = load_published(*(folder / "published" for folder in found))
    return make_document(grid, file_stem(grid.name), store, store.states([run.run_id for run in grid.runs]),
                         layouts_of(found, grid.name), claims_of(found), published)


def claims_of(sources: Sequence[Path]) -> list[Path]:
    """The claims files in these folders."""
    return [folder / "claims.yaml" for folder in sources if (folder / "claims.yaml").is_file()]


def _claims(paths: Sequence[Path], grid: Grid, tables: tuple[Table, ...]) -> list[Stated]:
    language.check_names(paths)
    known = {path: table_names(path.parent / "tables", grid.path.parent) for path in paths}
    return [one for path in paths for one in language.load_claims(path, grid, tables, known[path])]


def _provenance(grid: Grid, store: Store, states: Mapping[str, RunState]) -> dict[str, Mapping[str, Any]]:
    """The record of each run that has one, without its attempts. Equal records share one object, to save memory."""
    found: dict[str, Mapping[str, Any]] = {}
    shared: dict[str, Mapping[str, Any]] = {}
    for run in grid.runs:
        if states[run.run_id].name in ("todo", "unknown") or run.run_id in found:
            continue
        record = store.provenance(run.run_id)
        if record is not None:
            kept = {key: value for key, value in record.content().items() if key != "attempts"}
            found[run.run_id] = shared.setdefault(repr(kept), kept)
    return found
