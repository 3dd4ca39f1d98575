"""Who owns a run folder: attempts, their heartbeats, and how they ended.

An attempt is a claim: `attempts/0001.json`, made by exclusive creation. The highest number owns the folder, and to take
it over is to create the next number exclusively. An owner looks for a higher number before each write, and stops if it
finds one. On the same machine, within one boot, process id and start time show whether an owner is alive. On another
machine only its heartbeat shows this, by the clock of the observer.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from suite.files import atomic
from suite.files.record import Record
from suite.store.records import Beat, Claim, End, StopRequest

CLAIM = re.compile(r"(\d{4,})\.json")
PATIENCE_S = 600.0
R = TypeVar("R", bound=Record)
T = TypeVar("T")


class Status(StrEnum):
    """Whether an attempt is alive, as seen from this machine. ELSEWHERE: on another machine, so it is not known."""

    ENDED = "ended"
    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Pulse:
    """The heartbeat of an attempt at one moment: the number of the attempt, and its number of beats so far."""

    attempt: int
    beats: int


class Overtaken(Exception):
    """Another attempt owns the run folder now. This one must not write to it."""


@lru_cache(maxsize=1)
def here() -> tuple[str, str]:
    """Host name, and a string that identifies this machine's boot and process namespace ("" if unknown)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        place = f"{boot}/{Path('/proc/self/ns/pid').readlink()}"  # containers on one machine share only the boot
    except OSError:
        place = ""
    return socket.gethostname(), place


def process_start(pid: int) -> int | None:
    """When a process of this machine started, in clock ticks since boot; without /proc, in 1/100 s since 1970.

    None if there is no such process, or if it is a zombie.
    """
    if not Path("/proc/self/stat").exists():
        return _process_start_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it, in brackets, may contain anything
    return None if fields[0] in "ZX" else int(fields[19])  # Z and X: it has ended


def _process_start_without_proc(pid: int) -> int | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else \
            round(100 * process.create_time())
    except psutil.Error:
        return None


@dataclass(frozen=True)
class Tenure:
    """An attempt as recorded in its files. `claim` and `end` are None if unreadable, `end` also if missing."""

    number: int
    claim: Claim | None
    beat: Beat | None
    ended: bool
    end: End | None

    @property
    def status(self) -> Status:
        """Whether the attempt is alive, as seen from this machine."""
        if self.ended:
            return Status.ENDED
        if self.claim is None:
            return Status.UNREADABLE
        _, place = here()
        if not place or self.claim.place != place:
            return Status.ELSEWHERE
        return Status.ALIVE if process_start(self.claim.pid) == self.claim.started else Status.DEAD

    @property
    def pulse(self) -> Pulse:
        """Its heartbeat now."""
        return Pulse(self.number, self.beat.count if self.beat else 0)

    @property
    def job(self) -> str:
        """The id of the cluster job that it runs in. "" outside a job."""
        return self.claim.job if self.claim else ""

    @property
    def holder(self) -> str:
        """The owner, in words."""
        if self.claim is None:
            return "an owner whose claim cannot be read"
        job = f" in job {self.claim.job}" if self.claim.job else ""
        return f"process {self.claim.pid} on {self.claim.host}{job}"


def latest(folder: Path) -> Tenure | None:
    """The attempt that owns a run folder, or was the last to own it. None if there has been no attempt."""
    number = max(numbers(folder), default=0)
    if not number:
        return None
    base = folder / "attempts" / f"{number:04d}"
    claim, _ = _read(base.with_suffix(".json"), Claim)
    beat, _ = _read(base.with_suffix(".beat"), Beat)
    end, ended = _read(base.with_suffix(".end"), End)
    return Tenure(number, claim, beat, ended, end)


def numbers(folder: Path) -> list[int]:
    """The numbers of all attempts at a run, unordered."""
    try:
        with os.scandir(folder / "attempts") as entries:
            return [int(match[1]) for entry in entries if (match := CLAIM.fullmatch(entry.name))]
    except FileNotFoundError:
        return []


def claim(folder: Path, still: Pulse | None = None, job: str = "") -> Attempt | None:
    """Claim a run folder. Returns None if somebody else owns it. Raises OSError.

    `still`: the pulse of an attempt that had no new heartbeat for too long, and so may be overtaken.
    `job`: the id of the cluster job that this process runs in.
    """
    (folder / "attempts").mkdir(exist_ok=True)
    last = latest(folder)
    free = last is None or last.status in (Status.ENDED, Status.DEAD) or still == last.pulse
    if not free:
        return None
    attempt = Attempt(folder, last.number + 1 if last else 1)
    return attempt if attempt.begin(job) else None


class Attempt:
    """The ownership of a run folder. Invariant: once an attempt with a higher number exists, it writes no file."""

    def __init__(self, folder: Path, number: int, token: str = "") -> None:
        self.folder, self.number = folder, number
        self.token = token or secrets.token_hex(8)
        self._next = self._path(number + 1, "json")
        self._count = 0

    def begin(self, job: str = "") -> bool:
        """Claim the folder. Returns whether it succeeded. Removes files that earlier owners have not put in place."""
        host, place = here()
        pid = os.getpid()
        mine = Claim(token=self.token, host=host, place=place, pid=pid, started=process_start(pid), job=job,
                     when=time.strftime("%Y-%m-%d %H:%M:%S %z"))
        if not atomic.create(self._path(self.number, "json"), mine.sealed(), self._owner, durable=False):
            return False
        for place_of_files in (self.folder, self.folder / "attempts"):
            atomic.remove_aside(place_of_files, self.number)
        return True

    def check(self) -> None:
        """Raises Overtaken if another attempt owns the folder now."""
        try:
            self._next.stat()
        except FileNotFoundError:
            return
        raise Overtaken(f"attempt {self.number} at {self.folder.name} was overtaken by attempt {self.number + 1}")

    def write(self, name: str, data: bytes, durable: bool = True) -> None:
        """Write a file in the folder. Raises Overtaken, OSError."""
        self._fenced(lambda: atomic.replace(self.folder / name, data, self._owner, self.check, durable))

    def create(self, name: str, data: bytes) -> bool:
        """Write a file in the folder unless it exists. Returns whether it was written. Raises Overtaken, OSError."""
        return self._fenced(lambda: atomic.create(self.folder / name, data, self._owner, self.check))

    def remove(self, name: str) -> None:
        """Remove a file from the folder, if it exists. Raises Overtaken, OSError."""
        self.check()
        (self.folder / name).unlink(missing_ok=True)

    def set_aside(self, name: str, why: str = "corrupt") -> str:
        """Rename a file in the folder. Returns its new name. Raises Overtaken, OSError."""
        self.check()
        return atomic.set_aside(self.folder / name, why).name

    def beat(self, progress: Beat) -> None:
        """Write a heartbeat with the progress. Raises Overtaken, OSError."""
        self._count += 1
        data = progress.model_copy(update={"count": self._count}).sealed()
        self._fenced(lambda: atomic.replace(self._path(self.number, "beat"), data, self._owner, self.check, False))

    @property
    def asked_to_stop(self) -> bool:
        """Whether somebody has asked this attempt to stop (`ask_to_stop`)."""
        return self._path(self.number, "stop").exists()

    def end(self, state: str, reason: str = "", detail: str = "") -> None:
        """Record how the attempt ended. Only the first record counts. Raises Overtaken, OSError."""
        data = End(state=state, reason=reason, detail=detail).sealed()
        self._fenced(lambda: atomic.create(self._path(self.number, "end"), data, self._owner, self.check))

    def _fenced(self, write: Callable[[], T]) -> T:
        self.check()  # an owner that resumes after a long pause must not touch anything
        try:
            return write()
        except FileNotFoundError:
            self.check()  # a new owner has removed the file that was about to be put in place
            raise

    @property
    def _owner(self) -> str:
        return f"{self.number:04d}-{self.token}"

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / "attempts" / f"{number:04d}.{kind}"


def ask_to_stop(folder: Path, number: int, who: str) -> None:
    """Ask the owner of an attempt, on any machine, to write a checkpoint and end as cancelled. Raises OSError."""
    atomic.create(folder / "attempts" / f"{number:04d}.stop", StopRequest(who=who).sealed(), atomic.nobody())


def end_for_dead(folder: Path, pid: int, started: int | None, state: str, reason: str, detail: str) -> bool:
    """Record how a dead process of this machine ended, if it owned the folder and left no record.

    Returns whether it was recorded.
    """
    last = latest(folder)
    if last is None or last.claim is None or last.status != Status.DEAD or last.claim.pid != pid:
        return False
    if started is not None and last.claim.started != started:
        return False
    try:
        Attempt(folder, last.number, last.claim.token).end(state, reason, detail)
    except Overtaken:
        return False
    return True


def end_for_job(folder: Path, job: str, state: str, reason: str, detail: str) -> bool:
    """Record the end of an attempt whose SLURM job is gone or was requeued. Returns whether there was one."""
    last = latest(folder)
    if last is None or last.ended or last.claim is None or last.job != job:
        return False
    try:
        Attempt(folder, last.number, last.claim.token).end(state, reason, detail)
    except Overtaken:
        return False
    return True


class Watch:
    """Heartbeats as seen by this process, timed with its own monotonic clock."""

    def __init__(self, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience_s = patience_s
        self._clock = clock
        self._seen: dict[str, tuple[Pulse, float]] = {}

    def still(self, run_id: str, tenure: Tenure) -> Pulse | None:
        """The pulse of the attempt, if there was no new heartbeat for more than `patience_s` seconds; else None."""
        now, pulse = self._clock(), tenure.pulse
        seen, since = self._seen.get(run_id, (None, now))
        if seen != pulse:
            since = now
        self._seen[run_id] = (pulse, since)
        return pulse if now - since > self.patience_s else None


def _read(path: Path, kind: type[R]) -> tuple[R | None, bool]:
    """The record (None if it cannot be read), and whether the file exists."""
    try:
        return kind.read(path), True
    except FileNotFoundError:
        return None, False
    except (atomic.Corrupt, OSError):
        return None, True
