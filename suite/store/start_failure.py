"""The last start of a run that failed for a reason outside the run: a full disk, no GPU, data that cannot be read.

Such a failure does not change the state of the run. A record of it in `<store>/starts/<run id>.json` lets `status`,
`why` and `logs` show it, and keeps a run from being started in vain again and again. It is written by the process that
starts runs, on this machine or in a job of a cluster. It is valid until the next attempt begins, and need not be
removed.
"""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from suite.files import atomic
from suite.files.record import Record
from suite.store.folder import FROZEN

FOLDER = "starts"
IN_VAIN = 2  # after this many equal failures, the run waits for `retry`
FILE = re.compile(r"([0-9a-f]{16})\.json")


class StartFailure(Record):
    """`starts/<run id>.json`. attempts: how many the run had. count: how often the same failure has happened.

    holder: who tried to start it, as `process 12 on host` or `job 7_3`. when: for people.
    """

    reason: str
    holder: str
    attempts: int = 0
    count: int = 1
    when: str = ""

    @property
    def waits(self) -> bool:
        """Whether the start has failed so often in the same way that only `retry` will start the run."""
        return self.count >= IN_VAIN

    @property
    def last(self) -> str:
        """What has happened, in one line for messages."""
        often = f", {self.count} times" if self.count > 1 else ""
        return f"last start failed{often}: {self.reason} ({self.holder})"

    @property
    def words(self) -> str:
        """What has happened and what comes next, in one line for messages."""
        then = "; it waits for `retry --reason start`" if self.waits else ""
        return f"{self.last}{then}"

    def is_like(self, reason: str) -> bool:
        """Whether this is the same failure. Numbers in it, such as process ids and bytes, may differ."""
        return _plain(self.reason) == _plain(reason)


def here(job: str = "") -> str:
    """This process, as the holder of a record. `job` is the id of its cluster job, or ""."""
    return f"job {job}" if job else f"process {os.getpid()} on {socket.gethostname()}"


def record(root: Path, run_id: str, reason: str, attempts: int, holder: str = "") -> StartFailure:
    """Record in the store at `root` that a start of a run has failed. Returns the record, even if it cannot be written,
    as on a full disk.

    attempts: how many the run has had, including the failed one. holder: who tried (default: `here()`).
    """
    made = next_of(root, run_id, reason, attempts, holder)
    if (root / FROZEN).exists():  # a frozen store is read-only
        return made
    with suppress(OSError):
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        atomic.replace(_path(root, run_id), made.sealed(), atomic.nobody())
    return made


def next_of(root: Path, run_id: str, reason: str, attempts: int, holder: str = "") -> StartFailure:
    """The record that `record` would write. If the same holder has already recorded this attempt, that record."""
    before = read(root, run_id)
    if before is not None and holder and before.holder == holder and before.attempts == attempts:
        return before
    count = before.count + 1 if before is not None and before.is_like(reason) else 1
    return StartFailure(reason=reason, holder=holder or here(), attempts=attempts, count=count,
                        when=time.strftime("%Y-%m-%d %H:%M:%S %z"))


def read(root: Path, run_id: str) -> StartFailure | None:
    """The record of a run. None if it does not exist or cannot be read: then the run may start."""
    try:
        return StartFailure.read(_path(root, run_id))
    except (OSError, atomic.Corrupt):
        return None


def run_ids(root: Path) -> frozenset[str]:
    """The runs of a store that have a record, from one listing of the folder."""
    try:
        with os.scandir(root / FOLDER) as entries:
            return frozenset(match[1] for entry in entries if (match := FILE.fullmatch(entry.name)))
    except OSError:
        return frozenset()


def _path(root: Path, run_id: str) -> Path:
    return root / FOLDER / f"{run_id}.json"


def _plain(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "#", reason)
