"""The process of one run, or of a stack of runs. It is forked from the server, does one job, sends the states of the
runs to its runner, and exits."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Mapping, Sequence
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

Outcome = TypeAdapter(dict[str, RunState])  # the message of a child: states by run id


def main(orders: Mapping[Path, str], gpu: int | str | None, outcome: Connection, training: Training | None,
         studies: Sequence[Path] = ()) -> None:
    """Do the job of these orders (JSON, by run folder), and send the states of the runs to `outcome`. Stdout and stderr
    go to the log of the first run. In a stack, the messages of each run go to its own log."""
    study.add(studies)
    for number in (signal.SIGTERM, signal.SIGUSR2):  # the server ignores these
        signal.signal(number, signal.SIG_DFL)
    try:
        _redirect(next(iter(orders)) / "log.txt")
        to_stdout()
        states = _work({folder: Order.from_json(order) for folder, order in orders.items()}, gpu, training)
    except OSError as error:  # before the run started: e.g. the log cannot be written, or no process can be made
        state = RunState(State.TODO, reason=Reason.START, detail=one_line(atomic.explain(error) or error))
        states = {folder.name: state for folder in orders}
    outcome.send_bytes(Outcome.dump_json(states))


def _work(orders: Mapping[Path, Order], gpu: int | str | None, training: Training | None) -> dict[str, RunState]:
    from suite.launch import preload

    if os.getpid() == preload.SERVER:
        preload.warm()  # raises the error of the import that failed in the server
        raise RuntimeError("the fork server has not imported what runs need")
    preload.die_with(preload.SERVER)
    os.setsid()
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if gpu is None else str(gpu)  # CUDA reads it when it starts, later
    from suite.job import job

    with Stop(*job.SIGNALS) as stop:
        folder, order = next(iter(orders.items()))
        if not order.stack:
            return {folder.name: job.run(folder, order, training, stop)}
        from suite.job import stacked

        return stacked.run(orders, training, stop)


def received(connection: Connection) -> dict[str, RunState]:
    """Returns the states that a child has sent, by run id. Empty if it died before it sent them."""
    try:
        return Outcome.validate_json(connection.recv_bytes()) if connection.poll() else {}
    except (EOFError, OSError):
        return {}


def _redirect(log: Path) -> None:
    """Append stdout and stderr to a file, which must not be a symbolic link.

    The encoding is UTF-8 in every locale: a run must not fail because of a character that it prints.
    """
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
