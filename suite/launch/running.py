"""An active run: its process, and how the process ended if it did not record that itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import TYPE_CHECKING

from suite import machine
from suite.launch import server
from suite.launch.turns import Turn
from suite.store import attempt
from suite.store.state import Reason, State

if TYPE_CHECKING:
    from suite.grid.model import GridRun

GRACE_S = 20.0  # seconds from the request to stop until SIGKILL
MEMORY = ("the system killed its process for lack of memory: run fewer at a time (--jobs 1), reduce "
          "train.batch_size, or add --recompute")


@dataclass
class Child:
    """An active run, or a stack of `runs`, in one process.

    ticks: the start time of the process. before: the step of each run's newest checkpoint at that time. oom_kills: the
    number of processes that the system had killed for lack of memory at that time.
    """

    turn: Turn
    runs: tuple[GridRun, ...]
    process: ForkServerProcess
    outcome: Connection
    ticks: int | None
    before: Mapping[str, int]
    began: float = field(default_factory=time.monotonic)
    overdue: bool = False
    oom_kills: int = field(default_factory=lambda: machine.oom_kills())

    @property
    def size(self) -> int:
        """The number of its runs."""
        return len(self.runs)

    def owns(self, tenure: attempt.Tenure) -> bool:
        """Returns whether an attempt was made by this process."""
        mine = (self.process.pid, self.ticks)
        return tenure.claim is not None and (tenure.claim.pid, tenure.claim.started) == mine

    def kill(self) -> None:
        """Kill the process and its process group."""
        self.process.kill()
        if self.process.pid:
            with suppress(ProcessLookupError):  # it has no process group of its own yet
                os.killpg(self.process.pid, signal.SIGKILL)

    def await_death(self) -> None:
        """Kill the process and wait for its end. If the fork server was killed, its children die slightly later."""
        pid = self.process.pid or 0
        while self.ticks is not None and attempt.process_start(pid) == self.ticks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def how_it_died(self, stopping: bool, log: object) -> tuple[State, Reason, str]:
        """Returns the state, reason and detail for a process that did not record its end.

        `stopping`: whether the launch is ending. `log`: the run's log file.
        """
        code = self.process.exitcode or 0
        if self.overdue:
            return State.FAILED, Reason.TIMEOUT, f"killed {GRACE_S:g} s after its --timeout; the next start resumes it"
        if stopping:
            return State.PARTIAL, Reason.INTERRUPTED, "killed, as it did not stop in time; the next start resumes it"
        if code == -signal.SIGKILL and machine.oom_kills() > self.oom_kills:
            return State.FAILED, Reason.OOM, MEMORY
        if code < 0:
            return State.FAILED, Reason.KILLED, f"killed by {signal.Signals(-code).name}"
        if code == server.GONE:
            return State.FAILED, Reason.KILLED, "killed with its fork server"
        return State.FAILED, Reason.ERROR, f"its process ended with exit code {code}; see {log}"
