"""The process of one run: forked from the warm server, it does one job, tells its runner the outcome, and ends."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from suite.files import atomic, study
from suite.job.log import to_stdout
from suite.job.order import Order
from suite.job.stop import Stop
from suite.store.state import Reason, RunState, State, one_line

if TYPE_CHECKING:
    from suite.train.trajectory import Training

Outcome = TypeAdapter(RunState)  # what a child sends


def main(folder: str, order: str, gpu: int | str | None, outcome: Connection, training: Training | None,
         studies: Sequence[Path] = ()) -> None:
    """Do the job that `order` (JSON) asks for, with stdout and stderr in the run's log, and send the state."""
    study.add(studies)
    for number in (signal.SIGTERM, signal.SIGUSR2):  # which its server lives through
        signal.signal(number, signal.SIG_DFL)
    try:
        _redirect(Path(folder) / "log.txt")
        to_stdout()
        state = _work(Path(folder), Order.from_json(order), gpu, training)
    except OSError as error:  # before the run began: the log cannot be written, or there are no more processes
        state = RunState(State.TODO, reason=Reason.START, detail=one_line(atomic.explain(error) or error))
    outcome.send_bytes(Outcome.dump_json(state))


def _work(folder: Path, order: Order, gpu: int | str | None, training: Training | None) -> RunState:
    from suite.launch import preload

    if os.getpid() == preload.SERVER:
        preload.warm()  # raises what made this import fail in the server
        raise RuntimeError("the fork server has not imported what it should")
    preload.die_with(preload.SERVER)
    os.setsid()
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if gpu is None else str(gpu)  # read when CUDA starts, which is later
    from suite.job import job

    with Stop(*job.SIGNALS) as stop:
        return job.run(folder, order, training, stop)


def received(connection: Connection) -> RunState | None:
    """What a child has sent, None if it died without a word."""
    try:
        return Outcome.validate_json(connection.recv_bytes()) if connection.poll() else None
    except (EOFError, OSError):
        return None


def _redirect(log: Path) -> None:
    """Append stdout and stderr to a file, which must not be a symbolic link.

    It is UTF-8 whatever the locale is: a run must not fail for a sign that it prints.
    """
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
