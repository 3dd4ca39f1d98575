"""The imports of the fork server before it forks, so that a run starts in milliseconds.

The server leaves the terminal's session, so that Ctrl-C reaches only the runner. It dies with the runner. It ignores
the signals that SLURM sends to all processes of a job, which are for the runner and the runs.
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
RUNNER = "SUITE_RUNNER"  # environment variable: the runner's process id
FEW = "SUITE_FEW_RUNS"  # environment variable: if set, the server does not import torch's compiler
COMPILER = "torch._dynamo"
MODULES = ("torch", COMPILER, "suite.job.job", "suite.train.trainer", "suite.data.prepared", "suite.ssm.kernels")


def die_with(parent: int) -> None:
    """Make the kernel kill this process when its parent process, of id `parent`, dies. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)  # the parent died before the call


def warm() -> None:
    """Import everything, and cache what is the same for all runs. Raises whatever an import raises."""
    for name in MODULES:
        if name != COMPILER or FEW not in os.environ:
            importlib.import_module(name)

    machine.versions()
    machine.cpu()
    gc.collect()
    gc.freeze()  # so that a child's garbage collector does not touch, and thereby copy, memory from before the fork


if str(os.getppid()) == os.environ.get(RUNNER):
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    die_with(os.getppid())
    warm()
