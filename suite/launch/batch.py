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
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from suite.errors import UserError
from suite.files import atomic
from suite.files.record import Record
from suite.job.order import Order
from suite.launch.cluster import Cluster

NAME = re.compile(r"s4d-\d{8}-\d{6}-\d{6}-[0-9a-f]{4}-\d+")
FOLDER = "slurm"
LOGS = "/logs-of-the-jobs"  # what submitit is given: it changes a path that has %t or %j in it


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

    attempts: of each run, how many attempts there were at submission. cluster: that is asked for, "" for the default.
    training: makes the parts of a job, for tests (`module:function` and its keywords). studies: folders of the grids,
    where modules are found that `code` lacks.
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
        if NAME.fullmatch(path.stem):
            with suppress(UserError):
                found.append(read(path))
    return found


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
    return f"s4d-{start}-{part}"


def new_start() -> str:
    """A text that no other submission has, and that sorts by time."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1e6):06d}-{secrets.token_hex(2)}"


def in_tasks(runs: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """The runs in order, so many to a job."""
    return tuple(tuple(runs[i:i + size]) for i in range(0, len(runs), size))


def split(tasks: Sequence[tuple[str, ...]], largest: int) -> list[tuple[tuple[str, ...], ...]]:
    """Jobs in arrays of `largest` at most."""
    return [tuple(tasks[i:i + largest]) for i in range(0, len(tasks), largest)]


def script(batch: Batch, store: Path, cluster: Cluster, dependencies: Iterable[str] = ()) -> str:
    """The script for sbatch, as submitit renders it. Raises UserError where SLURM is not here.

    The batch shell outlives a SIGTERM, so that it can say in the end how runs ended whose process could not.
    """
    from submitit import SlurmExecutor

    after = ",".join(dependencies)
    gres = {"gres": f"gpu:{cluster.gpus_per_job}"} if cluster.gpus_as_gres and cluster.gpus else {}
    waits = {"dependency": after, "kill-on-invalid-dep": "yes"} if after else {}
    flags = {"requeue": True, **cluster.extra, **gres, **waits}
    record = store.absolute() / FOLDER / f"{batch.name}.json"
    python = f"{shlex.quote(sys.executable)} -u -m suite.launch.node"
    cpus = cluster.needed_cpus(batch.order.compute.threads)
    try:
        executor = SlurmExecutor(folder=LOGS)
    except RuntimeError:
        raise UserError("there is no SLURM on this machine: srun is not found", "--executor slurm",
                        "run this on a login node of the cluster") from None
    executor.update_parameters(
        job_name=batch.name, partition=cluster.partition, account=cluster.account, constraint=cluster.constraint,
        time=cluster.time, gpus_per_node=None if cluster.gpus_as_gres else cluster.gpus_per_job or None,
        cpus_per_task=cpus, mem=cluster.memory,
        wckey=None, array_parallelism=cluster.max_parallel or len(batch.tasks), signal_delay_s=cluster.signal_s,
        additional_parameters=flags, stderr_to_stdout=True, srun_args=["--cpus-per-task", str(cpus)],
        setup=["trap : TERM", *cluster.setup, "export PYTHONSAFEPATH=1 OPENBLAS_NUM_THREADS=1 SUITE_SPENT_S=$SECONDS",
               f"export PYTHONPATH={shlex.quote(batch.code)}${{PYTHONPATH:+:$PYTHONPATH}}"],
        teardown=["code=$?", f'[ "$code" -le 1 ] || {python} after {shlex.quote(str(record))} "$code"',
                  'exit "$code"'])
    executor.parameters["map_count"] = len(batch.tasks)
    text: str = executor._make_submission_file_text(f"{python} run {shlex.quote(str(record))}", "")
    return _with_logs(text, str(record.parent / "logs")) + "\n"


def _with_logs(text: str, folder: str) -> str:
    """The script with the folder of the logs in it, in which SLURM fills in what follows a single %."""
    for option, name in (("--output=", "%A_%a_0_log.out"), ("--output ", "%A_%a_%t_log.out")):
        text = text.replace(f"{option}{LOGS}/{name}", option + shlex.quote(f"{folder.replace('%', '%%')}/{name}"))
    if LOGS in text:
        raise RuntimeError("submitit names the logs in a way that is not known here")
    return text
