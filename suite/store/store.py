"""The store of runs: a folder each, and what its files say. Reading never writes, and needs neither torch nor pandas.

    <store>/<run id>/  config.json  metrics.jsonl  result.json  checkpoint-*.pt  provenance.json  log.txt  attempts/

A run is done when `result.json` is whole. Every other state is derived from the newest attempt (`suite.store.attempt`).
"""

from __future__ import annotations

import json
import os
import re
import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files import atomic
from suite.store.attempt import Tenure, latest
from suite.store.migrate import SCHEMA, migrated

StateName = Literal["todo", "claimed", "partial", "done", "failed", "cancelled", "lost", "unknown"]
RUN_ID = re.compile(r"[0-9a-f]{16}")
CHECKPOINT = re.compile(r"checkpoint-(\d{9,})-([0-9a-f]{16})\.pt")
LONGEST = 500  # letters of an error that is no user's, as the detail of a state
FROZEN = "FROZEN"  # a file of this name in a store keeps it from being written to


@dataclass(frozen=True)
class RunState:
    """How far a run is: `epochs` finished ones, the `reason` of a failure, and one line of `detail` for the user."""

    name: StateName
    epochs: int = 0
    reason: str = ""
    detail: str = ""
    attempts: int = 0
    progress: dict[str, Any] | None = None


class Store:
    """The runs below a folder, which need not exist yet. Raises UserError where its path has a line break."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if {"\n", "\r"} & set(str(self.root)):
            raise UserError(f"the store's path {str(self.root)!r} has a line break in it", "--store",
                            "name a folder without one")
        self._heads: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}  # results that were read, less rows

    def folder(self, run_id: str) -> Path:
        """Where a run lives. Raises ValueError for what is no run's id."""
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} is not a run's id")
        return self.root / run_id

    def states(self, wanted: Iterable[RunConfig | str]) -> dict[str, RunState]:
        """The state of each run, by id; as `state`, with one look at the store for all that are not there yet."""
        ids = [item if isinstance(item, str) else item.run_id for item in wanted]
        there = self._folders()
        return {run_id: self._state(self.root / run_id, there[run_id]) if run_id in there else RunState("todo")
                for run_id in ids}

    def run_ids(self) -> list[str]:
        """The ids of all runs that have a folder here, sorted. Raises UserError where the store is not a folder."""
        return sorted(self._folders())

    def _folders(self) -> dict[str, bool]:
        """The runs that have a folder here, and whether that is a symbolic link."""
        try:
            with os.scandir(self.root) as entries:
                return {entry.name: entry.is_symlink() for entry in entries if RUN_ID.fullmatch(entry.name)}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", str(self.root), "name a folder with --store") from None

    def state(self, run_id: str) -> RunState:
        """The state of one run, from its files only."""
        folder = self.folder(run_id)
        return self._state(folder, folder.is_symlink())

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """A row for each finished epoch: from the result where there is one, else from the metrics so far."""
        result = self.result(run_id)
        return result["rows"] if result is not None else read_rows(self.folder(run_id))[0]

    def result(self, run_id: str) -> dict[str, Any] | None:
        """The result of a finished run. None where there is none, or not a whole one."""
        try:
            return read_result(self.folder(run_id))
        except (FileNotFoundError, NotADirectoryError, atomic.Corrupt):
            return None

    def provenance(self, run_id: str) -> dict[str, Any] | None:
        """What a run was computed with (`suite.store.provenance`). None where nobody knows."""
        try:
            return atomic.read_sealed(self.folder(run_id) / "provenance.json")
        except (FileNotFoundError, NotADirectoryError, atomic.Corrupt):
            return None

    def log(self, run_id: str) -> Path:
        """The file with everything that a run's attempts have printed."""
        return self.folder(run_id) / "log.txt"

    def prices(self) -> dict[str, float]:
        """Shape -> median seconds an epoch, over all results of the store."""
        seconds: dict[str, list[float]] = {}
        for run_id in self.run_ids():
            with suppress(OSError, atomic.Corrupt, UserError):  # no result, or none that can be read: it tells no price
                head = self._head(self.folder(run_id))
                if head.get("seconds_per_epoch") is not None:
                    seconds.setdefault(head["shape"], []).append(head["seconds_per_epoch"])
        return {shape: statistics.median(values) for shape, values in seconds.items()}

    def add(self, config: RunConfig) -> Path:
        """Make a run's folder and its `config.json`, unless they are there. Raises UserError, OSError."""
        folder = self.folder(config.run_id)
        check_folder(folder)
        content = {"config": config.model_dump(mode="json"), "schema": SCHEMA}
        while not _is_whole(folder / "config.json"):
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # an owner that begins removes what is not in place yet
                atomic.create(folder / "config.json", atomic.seal(content), atomic.nobody())
        return folder

    def _state(self, folder: Path, link: bool) -> RunState:
        if link:
            return RunState("unknown", detail=f"{folder.name} is a symbolic link, which is not followed")
        try:
            return self._look(folder)
        except OSError as error:
            return RunState("unknown", detail=f"cannot be read: {error.strerror}")

    def _look(self, folder: Path) -> RunState:
        damage = ""
        try:
            head = self._head(folder)
            return RunState("done", epochs=head["epochs"], attempts=head.get("attempts", 0))
        except atomic.Corrupt as error:
            damage = f"{error}; the next start mends it"
        except UserError as error:
            return RunState("unknown", detail=one_line(error))
        except FileNotFoundError:
            pass
        if (link := _link(folder)) is not None:
            return RunState("unknown", detail=f"{link.name} is a symbolic link, which is not followed")
        tenure = latest(folder)
        rows, problem = read_rows(folder)
        damage = damage or (f"{problem}; the next start mends it" if problem else "")
        if tenure is None:
            return RunState("partial" if rows or damage else "todo", epochs=len(rows), detail=damage)
        if (folder / "result.json").exists() and not damage:  # it came since the first look
            return self._look(folder)
        return _state_of(tenure, len(rows), damage)

    def _head(self, folder: Path) -> dict[str, Any]:
        """A result without its rows. Raises FileNotFoundError, Corrupt."""
        path = folder / "result.json"
        stat = path.stat()
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        known = self._heads.get(folder.name)
        if known is None or known[0] != stamp:
            known = self._heads[folder.name] = (stamp, read_head(path))
        return known[1]


def check_writable(root: Path) -> None:
    """Raises UserError where the store is frozen: its runs belong to a published report."""
    if (root / FROZEN).exists():
        raise UserError("this store is frozen: it holds the runs of a published report", str(root),
                        "name another store with --store")


def check_folder(folder: Path) -> None:
    """Raises UserError where nothing may be written to a run's folder: a frozen store, or a symbolic link."""
    check_writable(folder.parent)
    if (link := _link(folder)) is not None:
        raise UserError(f"the run's folder is a symbolic link, to {link.readlink()}", str(link),
                        "put the folder itself there, or remove the link")


def _link(folder: Path) -> Path | None:
    """Of the two folders of a run that are written to, one that is a symbolic link."""
    return next((path for path in (folder, folder / "attempts") if path.is_symlink()), None)


def read_config(folder: Path) -> RunConfig:
    """The configuration in a run's folder. Raises UserError where it is not the one that the folder is named after."""
    path = folder / "config.json"
    fix = "move the folder out of the store; the next start makes a new one"
    try:
        config = RunConfig.model_validate(migrated(atomic.read_sealed(path), str(path))["config"])
    except FileNotFoundError:
        raise UserError("is not there", str(path), "start the run from its grid, which writes it") from None
    except (atomic.Corrupt, KeyError, ValueError) as error:
        raise UserError(f"is not a run's configuration: {error}", str(path), fix) from None
    if config.run_id != folder.name:
        raise UserError(f"holds the configuration of run {config.run_id}, not of {folder.name}", str(path), fix)
    return config


def read_result(folder: Path) -> dict[str, Any]:
    """The result in a run's folder, in the present version.

    Raises FileNotFoundError; Corrupt where it is not whole, or of another run; UserError for one of a newer version.
    """
    path = folder / "result.json"
    result = atomic.read_sealed(path)
    if result.get("id") != folder.name:
        raise atomic.Corrupt(f"result.json is of run {result.get('id')}")
    result = migrated(result, str(path))
    if not isinstance(rows := result.get("rows"), list) or result.get("epochs") != len(rows):
        raise atomic.Corrupt("result.json lacks the rows of its epochs")
    return result


def read_head(path: Path) -> dict[str, Any]:
    """A `result.json` without its rows, nearly all of it, which are cut out unparsed. Raises as `read_result`."""
    folder, data = path.parent, atomic.read_bytes(path)
    start = data.find(b'"rows":[{')  # a quote within a string has a backslash before it
    stop = data.find(b'}],"', start)
    if 0 < start < stop and atomic.is_as_sealed(data):
        with suppress(ValueError, RecursionError):
            head: dict[str, Any] = json.loads(data[:start] + data[stop + 3:])
            usual = head.get("id") == folder.name and head.get("schema", 1) == SCHEMA
            if usual and head.get("epochs") == data.count(b"},{", start, stop) + 1:
                return head
    return {key: value for key, value in read_result(folder).items() if key != "rows"}


def encode_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The lines of `metrics.jsonl`: a row each, with the CRC-32 of the canonical rest under the key `crc`."""
    lines = []
    for row in rows:
        body = atomic.canonical(row)
        lines.append(f'{body[:-1]},"crc":"{zlib.crc32(body.encode()):08x}"}}\n')
    return "".join(lines).encode()


def read_rows(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """The rows of `metrics.jsonl` up to the first bad line, and what is wrong with that ("" where all is well)."""
    try:
        lines = atomic.read_bytes(folder / "metrics.jsonl").split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return [], ""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], 1):
        row = _row(line)
        if row is None:
            return rows, f"line {number} of metrics.jsonl is corrupt"
        rows.append(row)
    return rows, "metrics.jsonl ends in half a line" if lines[-1] else ""


def checkpoints(folder: Path) -> list[tuple[int, str]]:
    """Step and file name of each checkpoint of a run, the newest first."""
    with os.scandir(folder) as entries:
        found = [(int(match[1]), e.name) for e in entries if (match := CHECKPOINT.fullmatch(e.name))]
    return sorted(found, reverse=True)


def one_line(error: BaseException) -> str:
    """An error as the detail of a state. A user's is whole, since what to do stands at its end; others may be cut."""
    if isinstance(error, UserError):
        return " ".join("; ".join(f"{p.where}: {p.what}, {p.fix}".strip(":, ") for p in error.problems).split())
    told = " ".join(str(error).split())
    if len(told) <= LONGEST:
        return told
    start = told[:LONGEST]
    sentences, _, _ = start.rpartition(". ")
    return f"{sentences}. …" if sentences else f"{start.rpartition(' ')[0] or start} …"


def _is_whole(path: Path) -> bool:
    """Whether the sealed file is there; a damaged one is set aside. Its content is known to whoever makes it again."""
    try:
        atomic.read_sealed(path)
    except FileNotFoundError:
        return False
    except atomic.Corrupt:
        with suppress(FileNotFoundError):  # somebody else has just done so
            atomic.set_aside(path)
        return False
    return True


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
        crc = row.pop("crc", None) if isinstance(row, dict) else None
        return row if crc == f"{zlib.crc32(atomic.canonical(row).encode()):08x}" else None
    except (ValueError, RecursionError):
        return None


def _state_of(tenure: Tenure, epochs: int, damage: str) -> RunState:
    progress = dict(tenure.beat) if tenure.beat is not None else None
    common: dict[str, Any] = {"epochs": epochs, "attempts": tenure.number}
    if tenure.status in ("alive", "elsewhere"):
        return RunState("claimed", detail=f"held by {tenure.holder}", progress=progress, **common)
    if tenure.status == "unreadable":
        return RunState("unknown", detail="the newest file in attempts/ cannot be read", progress=progress, **common)
    if tenure.end is None:
        how = "how its last attempt ended cannot be read" if tenure.ended else f"{tenure.holder} died without a word"
        return RunState("lost", detail=damage or how, **common)
    name, reason, detail = (str(tenure.end.get(key, "")) for key in ("state", "reason", "detail"))
    if name == "failed":
        return RunState("failed", reason=reason, detail=detail, **common)
    if name == "cancelled":
        return RunState("cancelled", detail=detail, **common)
    missing = "its result.json is gone; the next start makes it again" if name == "done" else detail
    return RunState("partial", reason=reason, detail=damage or missing, **common)
