"""The fingerprint of everything that a report is made of, so that an unchanged one is printed and not made again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from suite.grid import Grid
    from suite.store import RunState

CODE = Path(__file__).parent
RESULT_FILES = ("result.json", "metrics.jsonl", "provenance.json")


def fingerprint(grid: Grid, states: Mapping[str, RunState], root: Path, sources: Iterable[Path]) -> str:
    """SHA-256 over the grid, the states of its runs, the sizes, times and inodes of what they wrote, and `sources`.

    Taken before anything is read: what is written later is seen by the next report.
    """
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(json.dumps(parts, default=str).encode() + b"\n")

    add(grid.name, grid.title, str(grid.path), grid.profile, grid.axes, grid.seeds, grid.changes)
    for out in grid.excluded:
        add(out.labels, out.reason)
    for run in grid.runs:
        state = states[run.run_id]
        add(run.run_id, run.labels, state.name, state.epochs, state.reason, state.detail)
        if state.name != "todo":
            add(*(_stat(root / run.run_id / name) for name in RESULT_FILES))
    for path in [*sorted(CODE.glob("*.py")), *sources]:
        add(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return digest.hexdigest()


def _stat(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ino


def load_saved(path: Path, wanted: str) -> dict[str, Any] | None:
    """The content of a `*.cells.json` with this fingerprint whose files are all as they were written, else None."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):  # if it cannot be read, writing it anew tells why
        return None
    if not isinstance(content, dict) or content.get("fingerprint") != wanted:
        return None
    files = content.get("files")
    if not isinstance(files, dict) or not isinstance(content.get("text"), str):
        return None
    return content if all(sha256(path.parent / name) == digest for name, digest in files.items()) else None


def sha256(path: Path) -> str:
    """Digest of a file, or '' where none can be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
