"""Facts about this computer: versions of packages, processor, GPUs, memory. Light to import."""

from __future__ import annotations

import os
import platform
import resource
import sys
from functools import lru_cache
from pathlib import Path, PurePosixPath

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


def usable_cpus(root: Path = Path("/")) -> int:
    """The number of CPUs that this process may use, at least 1: a container or a job may have a part of their time.

    On systems that do not tell, as macOS, the number of all CPUs. `root` is where the system's folders are.
    """
    return max(1, min(_cores(), int(_quota(root))))


def _cores() -> int:
    """The number of CPUs that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _quota(root: Path) -> float:
    """How many CPUs' time the control groups of this process leave to it. Each group on the way to the top may have a
    quota: in `cpu.max`, or in the older version in two files."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    quotas = [2.0**20]  # more than any machine has
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        top = root / "sys/fs/cgroup" / (controllers if "cpu" in controllers.split(",") else "")
        if not controllers or "cpu" in controllers.split(","):
            inner = PurePosixPath(path.strip("/"))
            quotas += filter(None, (_quota_of(top / group) for group in (inner, *inner.parents)))
    return min(quotas)


def _quota_of(group: Path) -> float | None:
    """The quota of one control group; None if it has none, or is not seen from here."""
    try:
        if (group / "cpu.max").is_file():
            used, period = (group / "cpu.max").read_text().split()
        else:
            used, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(used) / float(period) if float(used) > 0 and float(period) > 0 else None
    except (OSError, ValueError):  # ValueError: `max`
        return None


def machine() -> str:
    """A fingerprint of what a measurement depends on: processor, cores, and GPUs where the driver tells them."""
    cards = sorted(path.read_text() for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for text in cards for line in text.splitlines() if line.startswith("Model")]
    gpus = [line.partition(":")[2].strip() for line in lines]
    return ", ".join([f"{_cores()} cores of {cpu()}", *gpus])


def peak_memory_mb() -> float:
    """The most memory that this process has used, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
