"""The fingerprint of a report's inputs. A report whose inputs have not changed is printed, not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from suite.data import cards
from suite.files import atomic
from suite.report.records import IndexRecord, ReportRecord, read_record
from suite.store.declaration import FOLDER
from suite.store.folder import OUTCOMES

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.store.state import RunState

CODE = Path(__file__).parents[1]  # all of the code: rules, plans and settings also change what a report says
Saved = TypeVar("Saved", ReportRecord, IndexRecord)
FILES = {True: ("result.json", OUTCOMES, "provenance.json"),  # done
         False: ("result.json", "metrics.jsonl", OUTCOMES, "provenance.json")}


def fingerprint(grid: Grid, states: Mapping[str, RunState], root: Path, sources: str) -> str:
    """SHA-256 of the grid, the states of its runs, size, time and inode of their files, data cards, `sources` and code.

    It is computed before anything is read, so the next report notices what is written later.
    """
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(f"{parts!r}\n".encode(errors="backslashreplace"))

    add(grid.name, grid.title, str(grid.path), grid.profile, grid.axes, grid.seeds, grid.changes,
        [run.run_id for run in grid.left_out])
    for out in grid.excluded:
        add(out.labels, out.reason)
    for run in grid.runs:
        state = states[run.run_id]
        add(run.run_id, run.labels, state.name, state.epochs, state.reason, state.detail)
        if state.name != "todo":
            folder = root / run.run_id
            add(*(_stat(folder / name) for name in FILES[state.name == "done"]))
    for path in sorted((root / FOLDER).glob("*.json")):
        add(path.name, _stat(path))
    used = {run.config.data.name for run in grid.runs}
    add(sources, _code(), digest_of(cards.place(name) for name in cards.names() if name in used))
    return digest.hexdigest()


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of files."""
    entries = [f"{path.name} {atomic.sha256_of(path)}" for path in paths]
    return hashlib.sha256("\n".join(entries).encode(errors="surrogateescape")).hexdigest()


@cache
def _code() -> str:
    return digest_of(sorted(CODE.rglob("*.py")))


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ino


def load_saved(kind: type[Saved], path: Path, wanted: str) -> Saved | None:
    """The record with this fingerprint, if none of its files has changed. Returns None if it must be made again."""
    try:
        record = read_record(kind, path.read_bytes())
    except (OSError, ValueError):  # writing the file again will report the cause
        return None
    if record.fingerprint != wanted:
        return None
    return record if all(sha256(path.parent / name) == digest for name, digest in record.files.items()) else None


def sha256(path: Path) -> str:
    """The SHA-256 digest of a file. Returns "" if it cannot be read."""
    try:
        return atomic.sha256_of(path)
    except OSError:
        return ""


@dataclass(frozen=True)
class Part:
    """The part of a report on one grid: `digest` is that of its inputs, `saved` the record that has this digest."""

    grid: Grid
    stem: str
    layouts: list[Path]
    digest: str
    saved: ReportRecord | None
