"""Worker processes: one function, called in several processes with different arguments.

Workers are new processes that use the same copy of the code. A fork is not safe with the threads or the GPU of this
process, and multiprocessing's spawn would run the user's script again. A worker is in a separate process group, so that
Ctrl-C reaches only the parent, which ends its workers. If the parent is killed, they end by themselves.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from suite.errors import UserError

ROOT = Path(__file__).parents[2]
MODULE = "suite.data.workers"
EVERY_S = 0.5  # seconds between a worker's checks that its parent is alive


class Function(Protocol):
    """A function at the top level of a module, which a worker imports by name."""

    __module__: str
    __name__: str

    def __call__(self, *args: Any) -> Any:
        """Arguments and result are pickled."""


@dataclass(frozen=True)
class Worker:
    """A process that waits for arguments, and a pipe to it."""

    process: subprocess.Popen[bytes]
    pipe: Connection

    def give(self, arguments: Sequence[Any]) -> None:
        """Start the next call. Raises OSError if the process has ended."""
        self.pipe.send(tuple(arguments))

    def end(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


def calls(function: Function, work: Sequence[Sequence[Any]], count: int, about: str) -> Iterator[Any]:
    """Call `function` with each element of `work` as arguments, in `count` processes. Yields results when ready.

    No process is left when the iterator ends or is closed. Raises the UserError of a call, or a UserError if a process
    ends early; `about` describes the process in its message.
    """
    left = list(reversed(work))
    workers: list[Worker] = []
    try:
        for _ in range(min(count, len(work))):
            workers.append(start(function))
            workers[-1].give(left.pop())
        busy = {worker.pipe: worker for worker in workers}
        while busy:
            for pipe in wait(list(busy)):
                worker = busy.pop(pipe)  # type: ignore[call-overload]  # its arguments
                result = worker.pipe.recv()
                if isinstance(result, UserError):
                    raise result
                if left:
                    worker.give(left.pop())
                    busy[worker.pipe] = worker
                yield result
    except (EOFError, ConnectionError) as error:
        raise UserError(f"a process {about} ended early", fix="start again: finished parts are kept. A lack of memory "
                        "may be the reason") from error
    finally:
        for worker in workers:
            worker.end()


def start(function: Function) -> Worker:
    """Start a worker process for this function, with this copy of the code."""
    ours, theirs = Pipe()
    with theirs:
        paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        command = [sys.executable, "-P", "-m", MODULE, str(theirs.fileno()), str(os.getpid()), function.__module__,
                   function.__name__]
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                                   stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], process_group=0)
    return Worker(process, ours)


def main(pipe: Connection, parent: int, module: str, name: str) -> None:
    """For each message, the arguments of a call, send the result or UserError, until the parent ends."""
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    function = getattr(importlib.import_module(module), name)
    with suppress(EOFError, ConnectionError):  # the parent has ended
        while True:
            arguments = pipe.recv()
            try:
                result = function(*arguments)
            except UserError as error:
                result = error
            pipe.send(result)


def end_with(parent: int) -> None:
    """End this process as soon as the process `parent` is gone, even in the middle of a call."""
    while os.getppid() == parent:
        time.sleep(EVERY_S)
    os._exit(1)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), int(sys.argv[2]), *sys.argv[3:])
