"""Fingerprints of the user's files and folders, which have no sha256 in a card.

The content is read when a file is first used or has changed. Later starts trust size and time of the file, or the times
of the folder and the folders directly in it. If the source is gone, its last fingerprint is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict, cast

from suite.data import cache
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError
from suite.files import atomic
from suite.files.clutter import files_below


def contents(source: Source) -> dict[str, str]:
    """The sha256 of each needed file: from the card, or of the user's file.

    Raises UserError if a file without a known sha256 is missing or cannot be read.
    """
    return {name: file.sha256 or content(source, name) for name, file in source.files.items()}


class Known(TypedDict):
    """The record of a file or folder: its stamp when it was last read, and the sha256 of its content."""

    stamp: list[object]
    sha256_of_content: str


def content(source: Source, name: str) -> str:
    """The fingerprint of one file or folder of the user. It is read only if it has changed.

    Raises UserError if it cannot be read, or if it is missing and was never read.
    """
    memo = cache.folder() / "sources" / f"{source.name}-{source.variant}-{name}.json"
    with cache.locked(memo):  # jobs that start together read it once
        known = _known(memo)
        try:
            path = source.find(name)
        except UserError:
            if known:
                return known["sha256_of_content"]
            raise
        try:
            stamp = stamp_of(path)
            if known is None or known["stamp"] != stamp:
                known = {"stamp": stamp, "sha256_of_content": digest_of(path)}
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}", source.place, "check its permissions") from None
        with cache.writable(memo):
            atomic.replace(memo, atomic.seal(known), atomic.nobody())
        return known["sha256_of_content"]


def _known(memo: Path) -> Known | None:
    try:
        return cast(Known, atomic.read_sealed(memo))
    except (FileNotFoundError, atomic.Corrupt):
        return None


def stamp_of(path: Path) -> list[object]:
    """Plain values (as in JSON) that show quickly whether a file or folder has changed. Raises OSError."""
    if path.is_dir():
        folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
        return [str(path.resolve()), *([entry.name, entry.stat().st_mtime_ns] for entry in [path, *folders])]
    return [str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns]


def digest_of(path: Path) -> str:
    """A sha256 of the bytes of a file, or of names and bytes of all files in a folder. Raises OSError."""
    if not path.is_dir():
        return atomic.sha256_of(path)
    total = hashlib.sha256()
    for file in track([*files(path)], f"reading {path.name}"):
        total.update(f"{file.relative_to(path).as_posix()}\n{atomic.sha256_of(file)}\n".encode())
    return total.hexdigest()


def files(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted by name, without clutter of the system."""
    return files_below(folder)
