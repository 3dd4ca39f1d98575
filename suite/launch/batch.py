"""Batches: job arrays that were, or will be, submitted to SLURM. Each has a record that its jobs read.

    <store>/slurm/<batch>.json   what its jobs do, written before submission
    <store>/slurm/<batch>.job    the job id of the array that owns the batch, written once, by the first of these: the
                                 submission, the first job that starts, or a later submission that does not find the
                                 batch in the queue and gives it up (no job id: jobs that start later exit at once)
    <store>/slurm/<batch>.sh     the script; `logs/` has the output of the jobs, `code/` the copies of the code
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
    """CANARY: the cheapest run of each kind, to its first checkpoint. MAIN: all runs."""

    CANARY = "canary"
    MAIN = "main"


class JobRecord(Record):
    """`<batch>.job`. `job` is the job id of the array that owns the batch, or "" if the batch was given up.

    cluster: "" for the default cluster. when: the time of this record, in seconds since 1970.
    """

    job: str
    cluster: str = ""
    when: float | None = None


class Batch(Record):
    """A job array. `tasks` has the runs of each job, of which `at_once` are computed at a time (on each GPU).

    when: the time of submission, in seconds since 1970; batches are sorted by it. grids: the names of its grids.
    after: its dependencies in sbatch's format (`afterok:7_0`). asked: the cluster options that are not the default.
    attempts: the number of attempts at each run before submission. cluster: the requested cluster, "" for the default.
    training: makes the parts of a job, for tests (`module:function` and its keywords). studies: folders of the grids,
    searched for modules that are not in `code`. max_failures: after this many failures, no more runs of a kind start.
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
        """The first part of its name, the same for all batches that were submitted together."""
        return self.name.rpartition("-")[0]

    @property
    def place(self) -> tuple[str, float, int]:
        """The sort key of batches, oldest first."""
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
    """Returns the batch in a record. Raises UserError if the record is missing or damaged."""
    try:
        return Batch.read(path)
    except (FileNotFoundError, atomic.Corrupt) as error:
        raise UserError(f"not a record of a batch of jobs: {error}", str(path),
                        "move it away; the next start submits its runs again") from None


def all_of(store: Path) -> list[Batch]:
    """Returns all batches of a store, oldest first. Damaged records are left out."""
    found = []
    for path in sorted((store / FOLDER).glob("s4d-*.json")):
        if NAME.fullmatch(path.stem) or OLD_NAME.fullmatch(path.stem):
            with suppress(UserError):
                found.append(read(path))
    return sorted(found, key=lambda one: one.place)


def settle(store: Path, name: str, job: str, cluster: str = "") -> str:
    """Make `job` (a job id, or "" for none) the owner of a batch, unless it has one. Returns the owner."""
    path = store / FOLDER / f"{name}.job"
    if atomic.create(path, JobRecord(job=job, cluster=cluster, when=time.time()).sealed(), atomic.nobody()):
        return job
    return job_of(store, name) or ""


def job_of(store: Path, name: str) -> str | None:
    """Returns the job id of a batch's array: "" if it was given up, None if it is not known yet."""
    record = record_of(store, name)
    return record.job if record else None


def record_of(store: Path, name: str) -> JobRecord | None:
    """Returns the owner of a batch, or None if it is not known yet. `job` is "" for a damaged record."""
    try:
        return JobRecord.read(store / FOLDER / f"{name}.job")
    except FileNotFoundError:
        return None
    except atomic.Corrupt:
        return JobRecord(job="")


def note_in_queue(store: Path, name: str) -> None:
    """Record that the queue has shown the array of a batch. If it is missing from the queue later, it has ended."""
    atomic.create(_in_queue(store, name), b"", atomic.nobody(), durable=False)


def was_in_queue(store: Path, name: str) -> bool:
    """Returns whether the queue has ever shown the array of a batch."""
    return _in_queue(store, name).exists()


def _in_queue(store: Path, name: str) -> Path:
    return store / FOLDER / f"{name}.seen"


def new_name(part: int, start: str) -> str:
    """Returns the name of a batch and its jobs. Batches that are submitted together share `start` (`new_start`)."""
    return f"{start}-{part}"


def new_start(grid: str, token: str = "") -> str:
    """Returns a prefix for the names of batches, from the grid's name and `token` (default: random)."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", grid)[:40] or "runs"
    return f"s4d-{plain}-{token or secrets.token_hex(3)}"


def in_tasks(runs: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """Returns the runs of each job: in order, `size` per job."""
    return tuple(tuple(runs[i:i + size]) for i in range(0, len(runs), size))


def split(tasks: Sequence[tuple[str, ...]], largest: int) -> list[tuple[tuple[str, ...], ...]]:
    """Returns the jobs in arrays of at most `largest`."""
    return [tuple(tasks[i:i + largest]) for i in range(0, len(tasks), largest)]
