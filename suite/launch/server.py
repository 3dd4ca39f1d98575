"""The fork server of the standard library, with everything imported before it forks the first run."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.util import get_temp_dir
from pathlib import Path
from types import ModuleType
from typing import Any

from suite.errors import UserError
from suite.files import study
from suite.launch import child, preload

TRIES = 5
# Freed memory stays with its process, in large pages. By default, glibc returns a large array to the system and fetches
# it again page by page: with two runs at a time, a step took 1.44 times as long on SC, 1.33 on BIDMC and 1.04 on
# sCIFAR. For one run, the difference was within the noise. SC needs a fifth more memory. The last two settings turn off
# caches of small blocks, which fragment the free memory.
KEPT = ("glibc.malloc.hugetlb=1", "glibc.malloc.mmap_max=0", f"glibc.malloc.trim_threshold={2**40}",
        "glibc.malloc.tcache_count=0", "glibc.malloc.mxfast=0")
SOCKET = "listener-12345678"  # as long as the names that multiprocessing gives to its sockets
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - multiprocessing makes a folder of its own there
GONE = 255  # exit code that multiprocessing reports if the server was killed


def check_system() -> None:
    """Raises UserError on systems other than Linux, where processes do not die with their parent."""
    if sys.platform != "linux":
        raise UserError(f"the local executor needs Linux, but this is {sys.platform}", "--executor",
                        "use --executor debug, which runs one after the other in this process")


def start(orders: Mapping[Path, str], *args: Any) -> tuple[ForkServerProcess, Connection]:
    """Fork a process that calls `child.main(orders, …)`. Returns it and the connection on which it sends its states.

    Starts the server if it is not running. Raises UserError if the server dies TRIES times.
    """
    _choose_socket_folder()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["suite.launch.preload"])
    gpu, training = args
    for left in reversed(range(TRIES)):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=child.main, args=(orders, gpu, sender, training, study.folders()),
                                  name=f"run {next(iter(orders)).name}", daemon=False)
        try:
            with _environment():
                process.start()
            return process, receiver
        except (OSError, EOFError) as error:  # the server was killed
            receiver.close()
            if not left:
                raise UserError(f"the fork server does not start: {error}", "", "see its messages above") from error
        finally:
            sender.close()
    raise RuntimeError("unreachable")


@cache
def _choose_socket_folder() -> None:
    """Make multiprocessing create its folder for sockets at a short path.

    The path of a socket has at most about 100 bytes, but TMPDIR of a job may be longer. Raises UserError if no folder
    can be used.
    """
    before = tempfile.tempdir
    try:
        for folder in (None, *SHORT_FOLDERS):  # None: as TMPDIR says
            with suppress(OSError):
                tempfile.tempdir = before if folder is None else folder
                if _holds_sockets(Path(tempfile.gettempdir())):
                    get_temp_dir()
                    return
    finally:
        tempfile.tempdir = before
    raise UserError("no folder for temporary files can hold sockets: their paths are too long, or they are not "
                    "writable", "TMPDIR", "set it to a folder with a short path: export TMPDIR=/tmp")


def _holds_sockets(folder: Path) -> bool:
    """Returns whether multiprocessing can make a socket in a folder there."""
    with tempfile.TemporaryDirectory(prefix="pymp-", dir=folder) as place:
        path = Path(place) / SOCKET
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(path))
        except OSError:  # the path is too long, or the file system has no sockets
            return False
    return True


@contextmanager
def _environment() -> Iterator[None]:
    """Set the environment in which a process, and if needed the server, is started.

    It has the suite's import path. NumPy's linear algebra uses one thread, so that results do not depend on the number
    of CPUs. The main module is hidden, since a child would import it again, which is slow and runs that script.
    """
    root = str(Path(preload.__file__).resolve().parents[2])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    values = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "OPENBLAS_NUM_THREADS": "1",
              "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", ":".join(KEPT)),
              preload.RUNNER: str(os.getpid())}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
