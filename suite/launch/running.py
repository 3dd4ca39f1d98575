"""A run under way: its process, and how it ended if it did not record that itself."""

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

GRACE_S = 20.0  # seconds from the request to stop until the kill
MEMORY = ("the system killed its process for lack of memory: run fewer at a time (--jobs 1), reduce "
          "train.batch_size, or add --recompute")


@dataclass
class Child:
    """A run under way, or a stack of `runs`, in one process.

    ticks: when the process started. before: the step of each run's newest checkpoint at that time. oom_kills: how many
    processes the system had killed for lack of memory by then.
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
        """How many runs it computes."""
        return len(self.runs)

    def owns(self, tenure: attempt.Tenure) -> bool:
        """Whether this process made that attempt."""
        mine = (self.process.pid, self.ticks)
        return tenure.claim is not None and (tenure.claim.pid, tenure.claim.started) == mine

    def kill(self) -> None:
        """Kill the process and its process group."""
        self.process.kill()
        if self.process.pid:
            with suppress(ProcessLookupError):  # it has no process group of its own yet
                os.killpg(self.process.pid, signal.SIGKILL)

    def await_death(self) -> None:
        """Kill the process, and return when it is gone. If the fork server was killed, its children die a bit later."""
        pid = self.process.pid or 0
        while self.ticks is not None and attempt.process_start(pid) == self.ticks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def how_it_died(self, stopping: bool, log: object) -> tuple[State, Reason, str]:
        """The state, reason and detail of a process that did not record its end.

        `stopping`: the whole launch ends. `log`: the run's log file.
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
