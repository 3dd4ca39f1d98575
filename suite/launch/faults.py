"""Checks this machine for faults that would make every run fail, once, before any run starts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite import machine
from suite.errors import MachineFault, Problem, nearest
from suite.launch.options import Options
from suite.train.mode import Mode, check_compiler

if TYPE_CHECKING:
    from suite.grid.model import GridRun

BACKEND, BACKENDS = "SUITE_KERNEL_BACKEND", ("blocked", "naive", "keops")
LEAST_DISK, LEAST_MEMORY = 100 * 10**6, 300 * 10**6  # bytes: for checkpoints and logs; for a process with torch
RELEASED = 1_767_225_600.0  # 2026-01-01: if the clock is earlier, it is wrong
DAY_S = 86400.0


def check(runs: Sequence[GridRun], options: Options) -> None:
    """Check this machine for runs with these options. Raises MachineFault with all problems."""
    if not runs:
        return
    problems = [*_clock(), *_disk(options.store), *_memory(), *_backend()]
    if options.compute.mode is Mode.COMPILED:
        try:
            check_compiler()
        except MachineFault as error:
            problems += error.problems
    if problems:
        raise MachineFault(problems)


def _clock() -> Iterator[Problem]:
    """A clock that is before the release of the suite: dates would be wrong, and downloads fail (certificates)."""
    now = time.time()
    try:
        written = Path(__file__).stat().st_mtime
    except OSError:
        written = 0.0
    if now < max(RELEASED, written) - DAY_S:
        shown = time.strftime("%Y-%m-%d", time.localtime(now))
        yield Problem(f"this machine's clock says {shown}, which is before this suite was installed", "clock",
                      "set it, e.g. with `timedatectl set-ntp true`")


def _disk(store: Path) -> Iterator[Problem]:
    """Too little disk space in the store for a checkpoint."""
    folder = next(path for path in (store, *store.absolute().parents) if path.exists())
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # the error is raised when the store is written
    if free < LEAST_DISK:
        yield Problem(f"the disk is full: {machine.gigabytes(free)} are free, but checkpoints need at least "
                      f"{machine.gigabytes(LEAST_DISK)}", str(store), "free some space, or use another store "
                      "(--store)")


def _memory() -> Iterator[Problem]:
    """Too little memory for one process."""
    memory = machine.memory()
    if memory is not None and memory.free < LEAST_MEMORY:
        free, total = machine.gigabytes(memory.free), machine.gigabytes(memory.total)
        yield Problem(f"{free} of {total} of memory are free, but a run needs at least "
                      f"{machine.gigabytes(LEAST_MEMORY)}", "memory", "close other programs, or request more memory "
                      "(docker --memory, salloc --mem)")


def _backend() -> Iterator[Problem]:
    """A kernel back end that is unknown or cannot be compiled on this machine."""
    name = os.environ.get(BACKEND) or BACKENDS[0]
    if name not in BACKENDS:
        yield Problem(f"unknown kernel back end {name!r}", BACKEND, nearest(name, BACKENDS))
    if name != "keops":
        return
    if importlib.util.find_spec("pykeops") is None:
        yield Problem("the back end keops is not installed", BACKEND, f"pip install pykeops, or unset {BACKEND}")
    elif not shutil.which(os.environ.get("CXX", "g++")):
        yield Problem("the back end keops finds no C++ compiler", BACKEND, f"install g++, or unset {BACKEND}")
