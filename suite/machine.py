"""Facts about this machine: versions of packages, CPU, GPUs, memory. Fast to import."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

PACKAGES = ("torch", "numpy", "scipy", "pandas", "datasets", "pyarrow", "pillow", "pykeops")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of the installed packages in `PACKAGES`."""
    import importlib.metadata  # imported here: it takes a tenth of the time of `plan`

    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def cpu() -> str:
    """The model of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    if not found:
        import platform  # it starts a process

        found = platform.processor() or platform.machine()
    return found


def usable_cpus(root: Path = Path("/")) -> int:
    """The number of CPUs that this process may use, at least 1. In a container or a job, their time may be limited.

    On systems without this information, such as macOS, the number of all CPUs. `root`: the system's root folder.
    """
    return max(1, min(_cores(), int(_quota(root))))


def _cores() -> int:
    """The number of CPUs that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _quota(root: Path) -> float:
    """The limit of CPU time, in CPUs, by the control groups of this process: `cpu.max`, or two older files."""
    quotas = filter(None, (_quota_of(group) for group in _groups(root, "cpu")))
    return min([2.0**20, *quotas])  # the first is no limit


def _groups(root: Path, controller: str) -> list[Path]:
    """The folders of the control groups of this process that may have limits, from the innermost to the root."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    found: list[Path] = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        old = controller in controllers.split(",")
        top = root / "sys/fs/cgroup" / (controllers if old else "")
        if old or not controllers:
            inner = PurePosixPath(path.strip("/"))
            found += [top / group for group in (inner, *inner.parents)]
    return found


def _quota_of(group: Path) -> float | None:
    """The quota of a control group. None if it has no quota, or is not visible."""
    try:
        if (group / "cpu.max").is_file():
            used, period = (group / "cpu.max").read_text().split()
        else:
            used, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(used) / float(period) if float(used) > 0 and float(period) > 0 else None
    except (OSError, ValueError):  # ValueError: `max`
        return None


def machine() -> str:
    """A fingerprint of the hardware that benchmarks depend on: CPU, cores, and GPUs if the driver lists them."""
    cards = sorted(path.read_text() for path in Path("/proc/driver/nvidia/gpus").glob("*/information"))
    lines = [line for text in cards for line in text.splitlines() if line.startswith("Model")]
    gpus = [line.partition(":")[2].strip() for line in lines]
    return ", ".join([f"{_cores()} cores of {cpu()}", *gpus])


@dataclass(frozen=True)
class Memory:
    """Memory in bytes: the limit for all processes, and the free part."""

    total: int
    free: int


def memory(root: Path = Path("/")) -> Memory | None:
    """The memory of this machine, or of the container or job of this process. None if it is unknown.

    `root`: the system's root folder.
    """
    try:
        lines = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines() if ":" in line)
        known = [Memory(_kib(lines["MemTotal"]), _kib(lines["MemAvailable"]))]
    except (OSError, KeyError, ValueError):
        return None
    for group in _groups(root, "memory"):
        limit = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
        used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes")
        if limit is not None and used is not None and limit < known[0].total:
            known.append(Memory(limit, max(0, limit - used + _reclaimable(group))))
    return Memory(min(one.total for one in known), min(one.free for one in known))


def oom_kills(root: Path = Path("/")) -> int:
    """The number of processes that the system killed for lack of memory, on this machine or in a container or job."""
    counts = [0]
    for group in _groups(root, "memory"):
        counts += _counts(group / "memory.events", "oom_kill") + _counts(group / "memory.oom_control", "oom_kill")
    return max([*counts, *_counts(root / "proc/vmstat", "oom_kill")])


def gigabytes(size: int) -> str:
    """A size in bytes as text: `12.3 GB`, or `12 MB` below 1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _kib(text: str) -> int:
    return 1024 * int(text.split()[0])


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # ValueError: `max`
        return None


def _counts(file: Path, key: str) -> list[int]:
    """The numbers of a key, in a file with lines `key number`."""
    try:
        return [int(line.split()[1]) for line in file.read_text().splitlines() if line.split()[:1] == [key]]
    except (OSError, ValueError, IndexError):
        return []


def _reclaimable(group: Path) -> int:
    """Bytes of a group that are cached files, which the system drops when memory is short."""
    return sum(_counts(group / "memory.stat", "inactive_file")[:1])


def peak_memory_mb() -> float:
    """The peak memory of this process, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
