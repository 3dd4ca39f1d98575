"""The files in a run's folder, and their readers."""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from suite.config.rows import Row
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files import atomic
from suite.store.migrate import SCHEMA, migrated
from suite.store.records import Head, Result

CHECKPOINT = re.compile(r"checkpoint-(\d{9,})-([0-9a-f]{16})\.pt")
FROZEN = "FROZEN"  # a file of this name in a store makes it read-only
OUTCOMES = "outcomes.npz"  # see suite.config.outcomes
MANIFEST, STORE = "frozen.json", "store"


def check_writable(root: Path) -> None:
    """Raises UserError if the store is frozen: its runs belong to a published report."""
    if (root / FROZEN).exists():
        raise UserError("this store is frozen: it holds the runs of a published report", str(root),
                        "name another store with --store")


def check_folder(folder: Path) -> None:
    """Raises UserError if nothing may be written to a run's folder: a frozen store, or a symbolic link."""
    check_writable(folder.parent)
    if (link := link_in(folder)) is not None:
        raise UserError(f"the run's folder is a symbolic link, to {link.readlink()}", str(link),
                        "put the folder itself there, or remove the link")


def link_in(folder: Path) -> Path | None:
    """The run's folder, or `attempts/` in it, if it is a symbolic link; else None."""
    return next((path for path in (folder, folder / "attempts") if path.is_symlink()), None)


def read_config(folder: Path) -> RunConfig:
    """The configuration in a run's folder. Raises UserError if it is missing, damaged, or of another run."""
    path = folder / "config.json"
    fix = "move the folder out of the store; the next start makes a new one"
    try:
        config = RunConfig.model_validate(migrated(atomic.read_sealed(path), str(path))["config"])
    except FileNotFoundError:
        raise UserError("file not found", str(path), "start the run from its grid, which writes it") from None
    except (atomic.Corrupt, KeyError, ValueError) as error:
        raise UserError(f"is not a run's configuration: {error}", str(path), fix) from None
    if config.run_id != folder.name:
        raise UserError(f"holds the configuration of run {config.run_id}, not of {folder.name}", str(path), fix)
    return config


def read_result(folder: Path) -> Result:
    """The result in a run's folder, in the current version.

    Raises FileNotFoundError; Corrupt if it is damaged, or of another run; UserError if its version is newer.
    """
    path = folder / "result.json"
    result = atomic.read_sealed(path)
    if result.get("id") != folder.name:
        raise atomic.Corrupt(f"result.json is of run {result.get('id')}")
    result = migrated(result, str(path))
    if not isinstance(rows := result.get("rows"), list) or result.get("epochs") != len(rows):
        raise atomic.Corrupt("result.json lacks the rows of its epochs")
    return Result.of(result, path.name)


def read_head(path: Path) -> Head:
    """A `result.json` without its rows, which are most of it and are not parsed. Raises as `read_result`."""
    folder, data = path.parent, atomic.read_bytes(path)
    start = data.find(b'"rows":[{')  # a quote within a string has a backslash before it
    stop = data.find(b'}],"', start)
    if 0 < start < stop and atomic.is_as_sealed(data):
        with suppress(ValueError, RecursionError):
            head = Head.model_validate_json(data[:start] + data[stop + 3:])
            usual = head.id == folder.name and head.version == SCHEMA
            if usual and head.epochs == data.count(b"},{", start, stop) + 1:
                return head
    return read_result(folder)


def encode_rows(rows: Sequence[Row]) -> bytes:
    """The lines of `metrics.jsonl`: one row each, with the CRC-32 of the canonical rest under the key `crc`."""
    lines = []
    for row in rows:
        body = atomic.canonical(row)
        lines.append(f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n')
    return "".join(lines).encode()


def read_rows(folder: Path) -> tuple[list[Row], str]:
    """The rows of `metrics.jsonl` up to the first bad line, and what is wrong with that line ("" if all are good)."""
    try:
        lines = atomic.read_bytes(folder / "metrics.jsonl").split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    rows: list[Row] = []
    for number, line in enumerate(lines[:-1], 1):
        row = _row(line)
        if row is None:
            return rows, f"line {number} of metrics.jsonl is corrupt"
        rows.append(row)
    return rows, "metrics.jsonl ends in half a line" if lines[-1] else ""


def checkpoints(folder: Path) -> list[tuple[int, str]]:
    """Step and file name of each checkpoint of a run, newest first."""
    with os.scandir(folder) as entries:
        found = [(int(match[1]), e.name) for e in entries if (match := CHECKPOINT.fullmatch(e.name))]
    return sorted(found, reverse=True)


def is_intact(path: Path) -> bool:
    """Whether the sealed file exists and is intact. A damaged one is renamed, so that the caller can write it again."""
    try:
        atomic.read_sealed(path)
    except FileNotFoundError:
        return False
    except atomic.Corrupt:
        with suppress(FileNotFoundError):  # another process has just done so
            atomic.set_aside(path)
        return False
    return True


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
        crc = row.pop("crc", None) if isinstance(row, dict) else None
        return row if crc == f"{zlib.crc32(atomic.canonical(row).encode()):08x}" else None
    except (ValueError, RecursionError):
        return None
