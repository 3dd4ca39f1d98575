"""The SLURM queue, used as a hint in addition to the files: one `squeue` for all jobs, at most every 30 seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.errors import UserError
from suite.launch import batch, over_limit, slurm_cli, stuck
from suite.launch.slurm_cli import SlurmError
from suite.launch.stuck import Stuck
from suite.store import attempt
from suite.store.state import Reason, RunState, State
from suite.store.store import Store

EVERY_S = 30.0
ACCEPTED_S = 300.0  # seconds during which an accepted job may be missing from squeue's answer
WAITING = {"PENDING": "waits", "REQUEUED": "waits", "REQUEUE_HOLD": "is held", "REQUEUE_FED": "waits",
           "SPECIAL_EXIT": "is held", "SUSPENDED": "is suspended", "STOPPED": "is suspended", "RUNNING": "runs",
           "CONFIGURING": "starts", "COMPLETING": "ends", "STAGE_OUT": "ends", "SIGNALING": "runs",
           "PREEMPTED": "is preempted", "RESIZING": "runs"}
MEMORY = re.compile(r"exceeded memory limit|oom[-_ ]kill|out of memory|OUT_OF_MEMORY", re.IGNORECASE)
TIME = re.compile(r"DUE TO TIME LIMIT")
NODE = re.compile(r"DUE TO NODE FAILURE|NODE_FAIL")
BEGINS = " begins on "  # part of the line that a job logs at each start
CANCELLED = re.compile(r"CANCELLED AT")
WITHOUT_OWNER = (State.TODO, State.PARTIAL, State.LOST)


@dataclass(frozen=True)
class Job:
    """A job in the queue: `label` is `<array>_<task>`, `batch` the name of its batch, `state` and `reason` are SLURM's.

    over: a message if its request exceeds a limit of its account, so that it never starts, or "".
    """

    label: str
    batch: str
    state: str
    reason: str
    over: str = ""

    @property
    def array(self) -> str:
        """The job id of its array."""
        return self.label.partition("_")[0]

    @property
    def task(self) -> int:
        """Its index in the array. -1 if squeue does not show it."""
        place = self.label.partition("_")[2]
        return int(place) if place.isdecimal() else -1

    @property
    def stuck(self) -> Stuck | None:
        """Why it will not start. None if it may start, or has started."""
        return stuck.stuck(self.state, self.reason, self.over)

    @property
    def words(self) -> str:
        """A sentence about its state. States that the suite does not know are shown as SLURM names them."""
        if (found := self.stuck) is not None:
            return f"job {self.label} {found.words} ({self.reason})"
        why = f" ({self.reason})" if self.state == "PENDING" and self.reason not in ("None", "") else ""
        first = " for an earlier job" if why and self.reason == "Dependency" else ""
        return f"job {self.label} {WAITING.get(self.state, f'is {self.state}')}{first}{why}"


class Queue:
    """Calls squeue, and caches the answer for `every_s` seconds (default: 30) of a monotonic clock."""

    def __init__(self, every_s: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_s, self._clock = EVERY_S if every_s is None else every_s, clock
        self._asked: tuple[float, frozenset[str]] | None = None
        self._jobs: tuple[Job, ...] = ()
        self.fault = ""

    def jobs(self, names: Mapping[str, str]) -> tuple[Job, ...] | None:
        """Returns the pending and running jobs of these batches. `names`: batch -> cluster, "" for the default one.

        Returns None if squeue does not answer; `fault` is the reason.
        """
        wanted = frozenset(names)
        if not wanted:
            return ()
        now = self._clock()
        if self._asked is None or now - self._asked[0] >= self.every_s or not wanted <= self._asked[1]:
            self._asked = (now, wanted)
            by_cluster: dict[str, list[str]] = {}
            for name in sorted(wanted):
                by_cluster.setdefault(names[name], []).append(name)
            self._ask(by_cluster)
        return None if self.fault else tuple(job for job in self._jobs if job.batch in wanted)

    def forget(self) -> None:
        """Clear the cache."""
        self._asked = None

    def _ask(self, names: Mapping[str, Sequence[str]]) -> None:
        self.fault, found = "", list[Job]()
        for cluster, some in names.items():
            try:
                rows = slurm_cli.squeue(some, cluster)
            except SlurmError as error:
                self.fault = str(error)
                continue
            at_limit = {row.array: f"{row.array}_{row.task}" for row in rows
                        if row.state == "PENDING" and over_limit.REASON.match(row.reason)}
            over = {array: over_limit.over(label, cluster) for array, label in at_limit.items()}
            found += [Job(f"{row.array}_{row.task}", row.name, row.state, row.reason,
                          over.get(row.array, "") if row.state == "PENDING" else "") for row in rows]
        self._jobs = tuple(found)


class Submitted:
    """The batches of a store, with the jobs of their runs in the queue. Never writes."""

    def __init__(self, store: Store, queue: Queue | None = None) -> None:
        self.store, self.queue = store, queue or Queue()
        self.batches = {one.name: one for one in batch.all_of(store.root)}
        self.newest: dict[str, tuple[batch.Batch, int]] = {}
        self.of_run: dict[str, list[str]] = {}
        self.task_of: dict[tuple[str, str], int] = {}  # batch and run -> index of the job in the array
        self._records: dict[str, batch.JobRecord] = {}
        for one in self.batches.values():
            for task, runs in enumerate(one.tasks):
                for run_id in runs:
                    self.newest[run_id] = (one, task)
                    self.of_run.setdefault(run_id, []).append(one.name)
                    self.task_of[one.name, run_id] = task

    def record(self, name: str) -> batch.JobRecord | None:
        """Returns the record of the array that owns a batch, or None if it is not known yet. It never changes."""
        if name not in self._records and (found := batch.record_of(self.store.root, name)) is not None:
            self._records[name] = found
        return self._records.get(name)

    def number(self, name: str) -> str:
        """Returns the job id of a batch's array, or "" if it is unknown or the batch was given up."""
        record = self.record(name)
        return record.job if record else ""

    def jobs(self, states: Mapping[str, RunState | None]) -> dict[str, list[Job]] | None:
        """Returns the jobs in the queue of each run that is not done, or has an unknown state (None).

        Returns None if the queue cannot be read.
        """
        open_runs = [run_id for run_id, state in states.items() if state is None or state.name != State.DONE]
        every = dict.fromkeys(name for run_id in open_runs for name in self.of_run.get(run_id, ()))
        records = {name: self.record(name) for name in every}
        found = self.queue.jobs({name: record.cluster if record else self.batches[name].cluster
                                 for name, record in records.items() if record is None or record.job})
        if found is None:
            return None
        jobs: dict[str, list[Job]] = {}
        for job in found:
            one, record = self.batches[job.batch], records[job.batch]
            if (record is None or record.job == job.array) and 0 <= job.task < len(one.tasks):
                for run_id in one.tasks[job.task]:
                    jobs.setdefault(run_id, []).append(job)
        return jobs

    def not_in_queue_yet(self, states: Mapping[str, RunState], jobs: Mapping[str, Sequence[Job]]) -> dict[str, str]:
        """Returns a note for each run whose job was accepted minutes ago, but whose batch was never in the queue."""
        found = {}
        for run_id, state in states.items():
            if run_id in jobs or run_id not in self.newest or state.name not in WITHOUT_OWNER:
                continue
            name = self.newest[run_id][0].name
            record = self.record(name)
            if record is None or not record.job or record.when is None or batch.was_in_queue(self.store.root, name):
                continue
            if 0 <= (age := time.time() - record.when) < ACCEPTED_S:
                found[run_id] = (f"job {record.job} was accepted {max(1, round(age / 60))} min ago but is not in the "
                                 "queue yet: its state is unknown")
        return found

    def holder(self, run_id: str) -> str:
        """Returns the job of the newest attempt at a run; "" if it has none, or its process is on this machine."""
        try:
            tenure = attempt.latest(self.store.folder(run_id))
        except OSError:
            return ""
        known = tenure is not None and tenure.status in (attempt.Status.ELSEWHERE, attempt.Status.DEAD)
        return tenure.job if known and tenure else ""

    def canaries_of(self, one: batch.Batch) -> list[str]:
        """Returns the canaries that a batch waits for: of its kind or, for an older record, of its submission."""
        labels = [text.removeprefix("afterok:") for text in one.after if text.startswith("afterok:")]
        found = []
        for other in self.batches.values() if labels or one.kind == batch.Kind.MAIN else ():
            if other.kind != batch.Kind.CANARY or not (labels or other.start == one.start):
                continue
            number = self.number(other.name) if labels else ""
            found += [run_id for place, (run_id, *_) in enumerate(other.tasks)
                      if (number and {number, f"{number}_{place}"} & set(labels))
                      or (not labels and not one.when and other.start == one.start)]
        return found

    def together(self, run_id: str) -> list[batch.Batch]:
        """Returns the batches of a run's last submission that contain it: the canary's, if any, and the main one."""
        start = self.newest[run_id][0].start
        return [self.batches[name] for name in self.of_run[run_id] if self.batches[name].start == start]

    def retries(self, one: batch.Batch, run_id: str, state: RunState) -> bool:
        """Returns whether a batch was submitted by `retry` and has not started this run yet."""
        return one.retry and state.attempts <= one.attempts.get(run_id, 0)

    def label(self, one: batch.Batch, run_id: str) -> str:
        """Returns the label of a run's job in a batch, or "" if its id is unknown or the batch was given up."""
        number = self.number(one.name)
        return f"{number}_{self.task_of[one.name, run_id]}" if number else ""

    def log_of(self, label: str) -> Path:
        """Returns the path of a job's log."""
        return self.store.root / batch.FOLDER / "logs" / f"{label}_0_log.out"


def why_ended(log: Path) -> tuple[Reason, str]:
    """Returns why SLURM ended a job, from its log: the reason of a failed run, and SLURM's message or ""."""
    return words_of(ended_with(log))


def ended_with(log: Path) -> list[str]:
    """Returns the last lines of a job's log, since its last start. Empty if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    begins = [place for place, line in enumerate(lines) if BEGINS in line]
    return lines[begins[-1]:] if begins else lines  # earlier lines do not explain the last end


def words_of(lines: Sequence[str]) -> tuple[Reason, str]:
    """Returns why SLURM ended a job, from lines of its log: the reason of a failed run, and the message or ""."""
    for pattern, reason in ((MEMORY, Reason.OOM), (TIME, Reason.TIMEOUT), (NODE, Reason.KILLED),
                            (CANCELLED, Reason.KILLED)):
        for line in reversed(lines):
            if pattern.search(line) and re.match(r"(slurmstepd|srun|slurmd)", line):
                return reason, " ".join(line.split())[:300]
    return Reason.KILLED, ""


def cancel(jobs: Iterable[Job], store: Path) -> None:
    """Cancel these jobs, each on its cluster. Raises UserError with SLURM's message."""
    by_cluster: dict[str, list[str]] = {}
    for job in jobs:
        record = batch.record_of(store, job.batch)
        by_cluster.setdefault(record.cluster if record else "", []).append(job.label)
    for cluster, labels in by_cluster.items():
        cancel_labels(labels, cluster)


def cancel_labels(labels: Sequence[str], cluster: str = "") -> None:
    """Cancel the jobs of these labels. Raises UserError with SLURM's message."""
    try:
        slurm_cli.scancel(labels, cluster)
    except SlurmError as error:
        raise UserError(f"the jobs cannot be cancelled: {error}", "scancel",
                        "run this on a login node of the cluster: " + " ".join(["scancel", *labels[:20]])) from None
