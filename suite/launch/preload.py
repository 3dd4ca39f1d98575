"""What the fork server imports before it forks, so that a run starts in milliseconds. Nothing here computes.

The server leaves the terminal's session, so that Ctrl-C reaches the runner only, and dies with the runner. The signals
with which SLURM asks all processes of a job to stop are for the runner and the runs: the server lives as long as they.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal

from suite import machine

PR_SET_PDEATHSIG = 1
SERVER = os.getpid()
RUNNER = "SUITE_RUNNER"  # environment variable with the runner's process id
FEW = "SUITE_FEW_RUNS"  # environment variable that is there where a run had better import the compiler itself
COMPILER = "torch._dynamo"
MODULES = ("torch", COMPILER, "suite.job.job", "suite.train.trainer", "suite.data.prepared", "suite.ssm.kernels")


def die_with(parent: int) -> None:
    """From now on the kernel kills this process when its parent, which had that id, dies. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # it died before we asked


def warm() -> None:
    """Import everything, and learn what is the same for all runs. Raises whatever an import raises."""
    for name in MODULES:
        if name != COMPILER or FEW not in os.environ:
            importlib.import_module(name)

    machine.versions()
    machine.cpu()
    gc.collect()
    gc.freeze()  # the collector of a child need not touch, and so copy, what was there before the fork


if str(os.getppid()) == os.environ.get(RUNNER):
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    die_with(os.getppid())
    warm()
