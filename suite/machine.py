"""Facts about this computer: versions of packages, processor, GPUs, memory. Light to import."""

from __future__ import annotations

import os
import platform
import resource
import sys
from functools import lru_cache
from pathlib import Path

PACKAGES = ("torch", "numpy", "scipy", "pandas", "datasets", "pyarrow", "pillow", "pykeops")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of the packages that matter, of those that are installed."""
    import importlib.metadata  # here: it takes a tenth of what `plan` does

    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def cpu() -> str:
    """The model of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
                platform.processor() or platform.machine())


def usable_cpus() -> int:
    """The number of CPUs that this process may use. On systems that do not tell, as macOS, the number of all CPUs."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def machine() -> str:
    """A fingerprint of what a measurement depends on: processor, cores, and GPUs where the driver tells them."""
    cards = sorted(path.read_text() for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for text in cards for line in text.splitlines() if line.startswith("Model")]
    gpus = [line.partition(":")[2].strip() for line in lines]
    return ", ".join([f"{usable_cpus()} cores of {cpu()}", *gpus])


def peak_memory_mb() -> float:
    """The most memory that this process has used, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
