"""A report on grids: tables, claims, figures, the page. Cheap to import: pandas is imported when it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite.files.clutter import files_in
from suite.grid.model import check_names
from suite.report.places import COLLECTED, PAGE, SOURCES, file_stem, folders, natural, published_files
from suite.report.records import IndexRecord, ReportRecord
from suite.report.render.latex_number import NumberStyle
from suite.report.saved import Part, digest_of, fingerprint, load_saved

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.store.state import RunState
    from suite.store.store import Store


@dataclass(frozen=True)
class Report:
    """The `paths` of the files of a report, and its `text` for the terminal (tables, claims with verdicts, paths)."""

    paths: list[Path]
    text: str


def write_report(grids: Sequence[Grid], store: Store, out: Path, sources: Path = SOURCES,
                 figures: bool = True, style: NumberStyle = NumberStyle.PLAIN) -> Report:
    """Write a report into `out`: tables, claims and `figures` of each grid, a page, and all tables in one file.

    Files whose inputs have not changed are only printed, not written again. Grids are sorted by name, with numbers in
    numerical order. `sources` has tables/*.yaml, published/*.yaml, claims.yaml and templates/; the first
    three may also be in `reports/` of a grid's study. `style` sets the format of numbers in LaTeX. The states of runs
    are read once, at the start, so other processes may write to the store.

    Raises UserError for layouts and claims that do not fit the grids, and if `out` cannot be written.
    """
    check_names(grids)
    grids = sorted(grids, key=lambda grid: natural(grid.name))
    states = store.states(dict.fromkeys(run.run_id for grid in grids for run in grid.runs))
    found = folders(sources, grids)
    common = digest_of([*(path for folder in found for path in files_in(folder, "*.yaml")),
                        *published_files(folder / "published" for folder in found),
                        *files_in(sources / "templates", "*.*")])
    parts = [_part(grid, store, states, out, sources, f"{common} {figures} {style}") for grid in grids]
    digest = hashlib.sha256("\n".join(part.digest for part in parts).encode()).hexdigest()
    made = [part.saved for part in parts if part.saved is not None]
    if load_saved(IndexRecord, out / "index.json", digest) is None or len(made) < len(parts):
        from suite.report import making

        made = making.make(parts, digest, store, states, out, sources, figures, style)
    return _written(parts, made, out)


def _written(parts: Sequence[Part], made: Sequence[ReportRecord], out: Path) -> Report:
    paths: list[Path] = []
    texts: list[str] = []
    for part, record in zip(parts, made, strict=True):
        names = [*record.files, f"{part.stem}.cells.json"]
        paths += [out / name for name in names]
        texts.append(record.text + "\n\n" + "\n".join(f"  {out / name}" for name in names))
    common = [out / name for name in ([PAGE, *COLLECTED] if len(parts) > 1 else [PAGE])]
    return Report([*paths, *common], "\n\n".join(texts) + "".join(f"\n  {path}" for path in common))


def _part(grid: Grid, store: Store, states: Mapping[str, RunState], out: Path, sources: Path, common: str) -> Part:
    from suite.report.tables.layout_files import layouts_of

    layouts = layouts_of(folders(sources, [grid]), grid.name)
    digest = fingerprint(grid, states, store.root, digest_of(layouts) + common)
    stem = file_stem(grid.name)
    return Part(grid, stem, layouts, digest, load_saved(ReportRecord, out / f"{stem}.cells.json", digest))
