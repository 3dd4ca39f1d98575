"""Batches: job arrays that were, or are about to be, handed to SLURM. Each has a record that its jobs read.

    <store>/slurm/<batch>.json   what its jobs do, written before it is submitted
    <store>/slurm/<batch>.job    the one array of SLURM that may do it, made once by whoever is first: the submission
                                 that got its number, the first of its jobs that starts, or a later submission that
                                 finds it nowhere and gives it up (no number: jobs that come late end at once)
    <store>/slurm/<batch>.sh     the script; `logs/` has what the jobs print, `code/` the copies of the code
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from suite.errors import UserError
from suite.files import atomic
from suite.files.record import Record
from suite.job.order import Order

OLD_NAME = re.compile(r"s4d-(\d{8}-\d{6}-\d{6})-[0-9a-f]{4}-\d+")  # of batches before the grid was in the name
NAME = re.compile(r"s4d-[A-Za-z0-9_.-]{1,40}-[0-9a-f]{6}-\d+")
FOLDER = "slurm"


class Kind(StrEnum):
    """CANARY: the cheapest run of each kind, to its first checkpoint. MAIN: all that is wanted."""

    CANARY = "canary"
    MAIN = "main"


class JobRecord(Record):
    """`<batch>.job`: the number of the array that may do a batch, "" if it was given up; its cluster, and since when.

    `cluster` is "" for the default one; `when` in seconds since 1970, by the clock of whoever submitted it.
    """

    job: str
    cluster: str = ""
    when: float | None = None


class Batch(Record):
    """An array of jobs. `tasks` has the runs of each job. `at_once` of them are computed at a time (on each GPU).

    when: its submission, in seconds since 1970, by which batches are sorted. grids: the names of its grids. after: what
    must happen before it starts, as sbatch takes it (`afterok:7_0`). asked: the options of the cluster that are not the
    default. attempts: of each run, how many there were at submission. cluster: that is asked for, "" for the default.
    training: makes the parts of a job, for tests (`module:function` and its keywords). studies: folders of the grids,
    where modules are found that `code` lacks. max_failures: of one kind, after which jobs start no more of it.
    """

    name: str
    kind: Kind
    tasks: tuple[tuple[str, ...], ...]
    order: Order
    code: str
    minutes: int
    signal_s: int
    at_once: int = 1
    retry: bool = False
    attempts: dict[str, int] = {}
    cluster: str = ""
    training: tuple[str, dict[str, Any]] | None = None
    studies: tuple[str, ...] = ()
    when: float = 0.0
    grids: str = ""
    after: tuple[str, ...] = ()
    asked: Mapping[str, Any] = {}
    max_failures: int | None = None

    @property
    def start(self) -> str:
        """What its name shares with those of all batches that were submitted together."""
        return self.name.rpartition("-")[0]

    @property
    def place(self) -> tuple[str, float, int]:
        """By which batches are sorted: the oldest first."""
        old = OLD_NAME.fullmatch(self.name)
        return (old[1] if old else "new"), self.when, int(self.name.rpartition("-")[2])

    @property
    def runs(self) -> list[str]:
        """The ids of all its runs."""
        return [run_id for task in self.tasks for run_id in task]

    def write(self, store: Path) -> Path:
        """Write its record. Raises OSError."""
        path = store / FOLDER / f"{self.name}.json"
        (path.parent / "logs").mkdir(parents=True, exist_ok=True)
        atomic.create(path, self.sealed(), atomic.nobody())
        return path


def read(path: Path) -> Batch:
    """The batch in a record. Raises UserError where it is not whole."""
    try:
        return Batch.read(path)
    except (FileNotFoundError, atomic.Corrupt) as error:
        raise UserError(f"is not the record of a batch of jobs: {error}", str(path),
                        "move it away; the next start submits its runs again") from None


def all_of(store: Path) -> list[Batch]:
    """All batches of a store, the oldest first. Records that are not whole are left out."""
    found = []
    for path in sorted((store / FOLDER).glob("s4d-*.json")):
        if NAME.fullmatch(path.stem) or OLD_NAME.fullmatch(path.stem):
            with suppress(UserError):
                found.append(read(path))
    return sorted(found, key=lambda one: one.place)


def settle(store: Path, name: str, job: str, cluster: str = "") -> str:
    """Make `job` (a number; "" for none) the array of a batch, unless it has one; the one that it has now."""
    path = store / FOLDER / f"{name}.job"
    if atomic.create(path, JobRecord(job=job, cluster=cluster, when=time.time()).sealed(), atomic.nobody()):
        return job
    return job_of(store, name) or ""


def job_of(store: Path, name: str) -> str | None:
    """The number of a batch's array: "" if it was given up, None if nobody has said yet."""
    record = record_of(store, name)
    return record.job if record else None


def record_of(store: Path, name: str) -> JobRecord | None:
    """Which array does a batch, and since when; None if nobody has said yet."""
    try:
        return JobRecord.read(store / FOLDER / f"{name}.job")
    except FileNotFoundError:
        return None
    except atomic.Corrupt:
        return JobRecord(job="")


def note_seen(store: Path, name: str) -> None:
    """Note that the queue has shown the array of a batch: from now on, that it is not there means that it is gone."""
    atomic.create(_seen(store, name), b"", atomic.nobody(), durable=False)


def was_seen(store: Path, name: str) -> bool:
    """Whether the queue has ever shown the array of a batch."""
    return _seen(store, name).exists()


def _seen(store: Path, name: str) -> Path:
    return store / FOLDER / f"{name}.seen"


def new_name(part: int, start: str) -> str:
    """The name of a batch and of its jobs. `start` is the same for all that are submitted together (`new_start`)."""
    return f"{start}-{part}"


def new_start(grid: str, token: str = "") -> str:
    """The first part of the names of batches: with the grid's name, and a text that no other submission has."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", grid)[:40] or "runs"
    return f"s4d-{plain}-{token or secrets.token_hex(3)}"


def in_tasks(runs: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """The runs in order, so many to a job."""
    return tuple(tuple(runs[i:i + size]) for i in range(0, len(runs), size))


def split(tasks: Sequence[tuple[str, ...]], largest: int) -> list[tuple[tuple[str, ...], ...]]:
    """Jobs in arrays of `largest` at most."""
    return [tuple(tasks[i:i + largest]) for i in range(0, len(tasks), largest)]
