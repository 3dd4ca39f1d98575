"""Prepared arrays on disk: written once and atomically, checked when opened, mapped into memory.

An entry is a folder of .npy files with `meta.json`. It is written under a temporary name, renamed into place, and never
changed afterwards. The lock only keeps several processes from doing the same work. If a file system ignores it, each
process prepares its own copy, and the first to rename it wins.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypedDict

import numpy as np
from filelock import FileLock

from suite.data import places
from suite.data.prepared_types import Facts, Prepared
from suite.errors import UserError
from suite.files import atomic

LAYOUT = 1  # version of entries: increase it to make every entry again
META = "meta.json"
log = logging.getLogger(__name__)
_parts: ContextVar[Path] = ContextVar("parts")


class StoredFile(TypedDict):
    """How to recognise the file of an array: name, size in bytes, time of its last change, digest."""

    file: str
    size: int
    mtime_ns: int
    sha256: str


class Meta(TypedDict):
    """The content of `meta.json`. `files` and `fingerprint` are of the arrays; `seconds` is how long `make` took."""

    facts: dict[str, int | float | None]  # the fields of Facts
    files: dict[str, StoredFile]
    fingerprint: str
    key: dict[str, Any]  # plain values, among them the card's options
    seconds: float


@dataclass(frozen=True)
class Entry:
    """Facts and read-only memory-mapped arrays of an entry. `fingerprint` is a sha256 of all arrays."""

    facts: Facts
    arrays: Mapping[str, np.ndarray]
    fingerprint: str


def folder() -> Path:
    """The folder of prepared data: the environment variable SUITE_CACHE, or `~/.cache/s4d-suite`. Raises UserError."""
    return places.cache()


def obtain(label: str, key: Mapping[str, Any], make: Callable[[], Prepared]) -> Entry:
    """The entry for `key`, made by `make` if it is missing or damaged.

    `key` has plain values; `label` only makes the folder's name readable. Raises UserError if the folder cannot be
    written, and the errors of `make`.
    """
    path = place(label, key)
    entry = read_entry(path)
    if entry is not None:
        return entry
    with locked(path) as alone:
        entry = read_entry(path)  # another process may have made it in the meantime
        if entry is None:
            started = time.monotonic()
            parts = path.parent / f".{path.name}.parts"
            token = _parts.set(parts)
            try:
                prepared = make()
            finally:
                _parts.reset(token)
            with writable(path):
                publish(path, prepared, alone, dict(key), time.monotonic() - started)
            entry = read_entry(path)
            if entry is not None:
                shutil.rmtree(parts, ignore_errors=True)
    if entry is None:
        raise UserError("prepared data cannot be read back", str(path), "set SUITE_CACHE to a folder on another disk")
    return entry


def parts() -> Path:
    """A folder for the finished parts of a long preparation, so that a later one can continue. Removed at the end.

    Call it within the `make` of `obtain`. Raises LookupError elsewhere.
    """
    path = _parts.get()
    with writable(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def place(label: str, key: Mapping[str, Any]) -> Path:
    """The folder of the entry for `key`, whether it exists or not."""
    return folder() / f"{label}-{digest_of({'layout': LAYOUT} | dict(key))[:16]}"


def find(label: str, key: Mapping[str, Any]) -> Entry | None:
    """The entry for `key`. None if it is not prepared, or is damaged."""
    return read_entry(place(label, key))


def entries(name: str, variant: str) -> Iterator[tuple[Path, Meta]]:
    """Every complete entry of a variant, with its metadata."""
    for path in sorted(folder().glob(f"{glob.escape(f'{name}-{variant}-')}*")):
        try:
            meta = json.loads((path / META).read_text())["meta"]
        except (OSError, ValueError, KeyError):
            continue
        if meta.get("key", {}).get("variant") == variant:
            yield path, meta


def read_entry(path: Path) -> Entry | None:
    """The entry at `path`. None if it is missing or damaged; damage is logged."""
    try:
        outer = json.loads((path / META).read_text())
        meta: Meta = outer["meta"]
        if digest_of(meta) != outer["sha256"]:
            raise ValueError(f"{META} is damaged")
        for file in meta["files"].values():
            check(path / file["file"], file)
        arrays = {name: np.load(path / file["file"], mmap_mode="r", allow_pickle=False)
                  for name, file in meta["files"].items()}
        return Entry(Facts(**outer["meta"]["facts"]), arrays, meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if path.exists():
            log.warning("%s is damaged and will be made again: %s", path, error)
        return None


def check(path: Path, expected: StoredFile) -> None:
    """Raises ValueError if the file has changed since it was written.

    Its bytes are read only if size or time differ, so checking gigabytes of good data takes no time.
    """
    stat = path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (expected["size"], expected["mtime_ns"]) \
            and (stat.st_size != expected["size"] or atomic.sha256_of(path) != expected["sha256"]):
        raise ValueError(f"{path.name} has changed since it was written")


def publish(path: Path, prepared: Prepared, alone: bool, key: dict[str, Any], seconds: float) -> None:
    """Write an entry with its metadata, and rename it into place. A damaged one is removed first.

    `alone`: no other process of this machine is preparing it, so half-written folders were left by processes that were
    killed. Raises OSError.
    """
    mine = f".{path.name}.{socket.gethostname()}."
    for left in path.parent.glob(f"{mine}*") if alone else ():
        shutil.rmtree(left, ignore_errors=True)
    half = path.parent / f"{mine}{os.getpid()}"
    try:
        half.mkdir()
        files = {name: store(half, name, array) for name, array in prepared.arrays.items()}
        meta: Meta = {"facts": asdict(prepared.facts), "files": files, "fingerprint": fingerprint(prepared.arrays),
                      "key": key, "seconds": seconds}
        with (half / META).open("w") as stream:
            json.dump({"meta": meta, "sha256": digest_of(meta)}, stream)
            flush(stream)
        if path.exists() and read_entry(path) is None:
            with suppress(FileNotFoundError):  # without locks, another process may have moved it
                path.rename(half / "damaged")  # one rename, so that no process sees a half-removed entry
            shutil.rmtree(half / "damaged", ignore_errors=True)
        half.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another process was first: its copy is used
            raise
    finally:
        shutil.rmtree(half, ignore_errors=True)


def store(folder: Path, name: str, array: np.ndarray) -> StoredFile:
    """Write one array. Returns how to recognise its file."""
    path = folder / f"{name.replace('/', '-')}.npy"
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
        flush(stream)
    stat = path.stat()
    return {"file": path.name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": atomic.sha256_of(path)}


def flush(stream: IO[Any]) -> None:
    """Flush a file to disk: after a power failure, a rename must not be visible without the file's content."""
    stream.flush()
    os.fsync(stream.fileno())


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A sha256 of names, types, shapes and values, independent of the file format."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.data)
    return total.hexdigest()


def digest_of(meta: Mapping[str, Any]) -> str:
    """A sha256 of plain values."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of an entry. Yields False if the file system has no locks. A lock is released if its owner dies.

    Raises UserError if the lock file cannot be written.
    """
    lock = FileLock(path.parent / f".{path.name}.lock", fallback_to_soft=False)  # a soft lock survives its owner
    with ExitStack() as stack:
        with writable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(lock)
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):  # a file system without locks
                    raise
        yield lock.is_locked


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a UserError that says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(f"prepared data cannot be written: {error.strerror or error}", str(path.parent),
                        "free some space there, or set SUITE_CACHE to another folder") from error
