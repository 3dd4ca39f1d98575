"""Checkpoints: files named after their step and digest, of which the newest two are kept."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from suite.errors import UserError
from suite.files import atomic
from suite.store import folder
from suite.store.attempt import Attempt

KEEP = 2
ZIP = b"PK"  # how everything that torch.save writes begins; its older form, a bare pickle, is not even tried


def save(attempt: Attempt, step: int, content: dict[str, Any]) -> None:
    """Write a checkpoint, then remove all but the newest two. `content` holds the run's id under `run_id`.

    Raises Overtaken, OSError.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()
    attempt.write(f"checkpoint-{step:09d}-{_digest(data)}.pt", data)
    for _, name in folder.checkpoints(attempt.folder)[KEEP:]:
        attempt.remove(name)


def newest(attempt: Attempt, log: Callable[[str], None]) -> dict[str, Any] | None:
    """The content of the newest whole checkpoint, on the CPU; None where there is none. Damaged ones are set aside.

    Raises UserError where a checkpoint is of another run (nothing is removed), Overtaken, OSError.
    """
    for _, name in folder.checkpoints(attempt.folder):
        content = _read(attempt.folder / name)
        if content is None:
            log(f"{name} is damaged; it is now {attempt.set_aside(name)}, and the one before it is used")
            continue
        if content.get("run_id") != attempt.folder.name:
            raise UserError(f"is a checkpoint of run {content.get('run_id')}, not of {attempt.folder.name}",
                            str(attempt.folder / name), "move the file away and start again; nothing was removed")
        return content
    return None


def _read(path: Path) -> dict[str, Any] | None:
    data = atomic.read_bytes(path)
    if _digest(data) != path.stem.rpartition("-")[2] or not data.startswith(ZIP):
        return None
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError):  # the digest is right: not one of ours
        return None
    return content if isinstance(content, dict) else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
