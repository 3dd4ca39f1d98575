"""Places that refuse (a small disk, a full one, a folder read-only even for root), and what others left there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from suite.files import atomic
from suite.store import attempt


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", path], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """A file that takes all that is free, but for `leave` bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(512))
    os.truncate(filler, max(0, filler.stat().st_size - leave))
    return filler


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """No one may write there: by permissions, or for root, who may do anything, by the immutable flag."""
    on, off = (("chmod", "a-w"), ("chmod", "u+w")) if os.getuid() else (("chattr", "+i"), ("chattr", "-i"))
    made = subprocess.run([*on, folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"this file system cannot be made read-only for root: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([*off, folder], check=True)


def claim_of(pid: int, started: int | None, place: str | None = None) -> bytes:
    """The claim of a process, on this machine unless `place` says otherwise."""
    place = attempt.here()[1] if place is None else place
    return atomic.seal({"token": "aa", "host": "far", "place": place, "pid": pid, "started": started, "when": ""})


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}
