"""Checkpoints, named after their step and digest (the newest two are kept), and outcomes of examples."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from suite.config.outcomes import Outcomes, encode
from suite.config.rows import Memory
from suite.errors import UserError
from suite.files import atomic
from suite.store import folder
from suite.store.attempt import Attempt
from suite.store.records import Facts

LOG = logging.getLogger(__name__)
KEEP = 2
ZIP = b"PK"  # first bytes of a file by torch.save; its older format, a bare pickle, is not read


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint. `trainer` is the state of the trajectory, which only the trajectory reads."""

    run_id: str
    environment: Facts
    mixed: list[str]
    trainer: Memory


def save(attempt: Attempt, step: int, content: Checkpoint) -> None:
    """Write a checkpoint, then remove all but the newest two.

    Raises Overtaken, OSError.
    """
    buffer = io.BytesIO()
    torch.save(dict(vars(content)), buffer)
    data = buffer.getvalue()
    attempt.write(f"checkpoint-{step:09d}-{_digest(data)}.pt", data)
    for _, name in folder.checkpoints(attempt.folder)[KEEP:]:
        attempt.remove(name)


def save_outcomes(attempt: Attempt, outcomes: Outcomes) -> str:
    """Write the outcome of each example, for reports. Returns the file's SHA-256, or "" if there are no outcomes.

    Call it before `save`: a run that ends between the two continues from an older step, and writes the file again.
    Raises Overtaken, OSError.
    """
    if not outcomes:
        return ""
    data = encode(outcomes)
    attempt.write(folder.OUTCOMES, data)
    return hashlib.sha256(data).hexdigest()


def newest(attempt: Attempt) -> Checkpoint | None:
    """The newest intact checkpoint, on the CPU. None if there is no intact one. Damaged ones are renamed.

    Raises UserError if a checkpoint is of another run (nothing is removed), Overtaken, OSError.
    """
    for _, name in folder.checkpoints(attempt.folder):
        content = _read(attempt.folder / name)
        if content is None:
            LOG.warning("%s is damaged; it is now %s, and the checkpoint before it is used", name,
                        attempt.set_aside(name))
            continue
        if content.run_id != attempt.folder.name:
            raise UserError(f"is a checkpoint of run {content.run_id}, not of {attempt.folder.name}",
                            str(attempt.folder / name), "move the file away and start again; nothing was removed")
        return content
    return None


def _read(path: Path) -> Checkpoint | None:
    data = atomic.read_bytes(path)
    if _digest(data) != path.stem.rpartition("-")[2] or not data.startswith(ZIP):
        return None
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return Checkpoint(**{name: content[name] for name in Checkpoint.__dataclass_fields__})
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError):  # not written by `save`
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
