"""Reports: tables, claims and figures of the runs that grids name. Light to import: pandas comes when it is needed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite import atomic
from suite.errors import UserError
from suite.report.saved import fingerprint, load_saved

if TYPE_CHECKING:
    from suite.grid import Grid
    from suite.store import RunState, Store

SOURCES = Path(__file__).parents[2] / "reports"


@dataclass(frozen=True)
class Report:
    """What was written: `paths` of the files, and `text` for the terminal (tables, claims with verdicts, paths)."""

    paths: list[Path]
    text: str


def write_report(grids: list[Grid], store: Store, out: Path, sources: Path = SOURCES) -> Report:
    """Write the report of each grid into `out`; one whose inputs have not changed is only printed again.

    `sources` holds tables/*.yaml, published.yaml, claims.yaml and templates/. A store that is being written to is read
    as it was at the start. Raises UserError for layouts and claims that do not fit, and where `out` cannot be written.
    """
    twice = [name for name, count in Counter(grid.name for grid in grids).items() if count > 1]
    if twice:
        raise UserError(f"two of the grids are named {twice[0]!r}, and their reports would replace each other",
                        ", ".join(str(grid.path) for grid in grids if grid.name == twice[0]), "rename one of them")
    paths: list[Path] = []
    texts: list[str] = []
    for grid in grids:
        names, text = _report(grid, store, out, sources)
        paths += [out / name for name in names]
        texts.append(f"{text}\n\n" + "\n".join(f"  {out / name}" for name in names))
    return Report(paths, "\n\n".join(texts))


def _report(grid: Grid, store: Store, out: Path, sources: Path) -> tuple[list[str], str]:
    from suite.report.placed import layout_files

    states = store.states([run.run_id for run in grid.runs])
    layouts = layout_files(sources / "tables", grid.name)
    claims = sources / "claims.yaml"
    inputs = [*layouts, sources / "published.yaml", *([claims] if claims.is_file() else []),
              *sorted((sources / "templates").glob("*.j2"))]
    digest = fingerprint(grid, states, store.root, inputs)
    stem = file_stem(grid.name)
    saved = load_saved(out / f"{stem}.cells.json", digest)
    if saved is not None:
        return [*saved["files"], f"{stem}.cells.json"], saved["text"]
    return _make(grid, store, states, out, sources, layouts, digest)


def _make(grid: Grid, store: Store, states: dict[str, RunState], out: Path, sources: Path, layouts: list[Path],
          digest: str) -> tuple[list[str], str]:
    from suite.report import document, text

    claims = sources / "claims.yaml"
    stem = file_stem(grid.name)
    made = document.make_document(grid, stem, store, states, layouts, claims if claims.is_file() else None,
                                  sources / "published.yaml")
    files = document.render(made, sources / "templates")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    for name, data in {**files, f"{stem}.cells.json": document.cells_json(made, digest, digests)}.items():
        write_file(out, name, data)
    return [*files, f"{stem}.cells.json"], text.render(made)


def write_file(out: Path, name: str, data: bytes) -> None:
    """Put a file in place below `out`. Raises UserError where it cannot be written, or would land elsewhere."""
    path = out / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(out.resolve()):
            raise UserError("a folder of the report leads out of it", str(path.parent), "remove that link")
        atomic.replace(path, data, atomic.nobody(), durable=False)
    except OSError as error:
        raise UserError(f"the report cannot be written: {error.strerror}", str(path),
                        "free space or change permissions, or name another folder with --out") from None


def file_stem(name: str) -> str:
    """A file name for a grid of any name: letters, digits, _ . - only; a changed name gets a digest, to stay unique."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
