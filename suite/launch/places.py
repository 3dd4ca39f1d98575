"""Chooses where the runs of a launch are computed: on which GPUs or on the CPU, and how many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from suite import machine
from suite.config.fields import CLASSICAL
from suite.errors import MachineFault
from suite.files.counted import counted
from suite.launch import gpus
from suite.launch.gpus import Chosen
from suite.launch.options import Gpu
from suite.store.folder import checkpoints
from suite.store.records import Provenance
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

MOST = 4  # runs at a time on a GPU: with more, each takes longer
CONTEXT = 600 * 10**6  # bytes that CUDA takes for each process
SPARE = 1.25  # factor on the memory that a run of this shape used: libraries may choose other algorithms


@dataclass(frozen=True)
class Places:
    """Where runs are computed: `jobs` at a time, on each of `gpus` if there are any, and `cpu_jobs` of the runs
    `on_cpu`.

    only: the GPUs that a run may use, if not all. waiting: runs that began on a device that is not available, with its
    name. lines: messages for the user. model: the model of the first GPU.
    """

    jobs: int
    gpus: tuple[Gpu, ...] = ()
    cpu_jobs: int = 0
    on_cpu: frozenset[str] = frozenset()
    only: Mapping[str, tuple[Gpu, ...]] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    model: str = ""

    @property
    def at_once(self) -> int:
        """The total number of runs at a time."""
        return self.jobs * max(1, len(self.gpus)) + self.cpu_jobs


@dataclass(frozen=True)
class Began:
    """The device on which a run began: its model, and whether it is a CPU. The run's last bits depend on it."""

    device: str
    on_cpu: bool


def find(runs: Sequence[GridRun], store: Store, asked: tuple[Gpu, ...] | None, jobs: int | None,
         threads: int) -> Places:
    """Choose where to compute these runs. `asked`: GPUs, () for the CPU, None for free GPUs or otherwise the CPU.

    Raises UserError if a requested GPU is missing, or if there are GPUs but none is free.
    """
    began = {run.run_id: one for run in runs if (one := began_on(store, run.run_id)) is not None}
    auto = asked is None
    cpu_only = {run.run_id for run in runs if run.config.model.name in CLASSICAL
                or (run.config.kind == "bench" and run.config.bench.device == "cpu")}
    kept = {run_id for run_id, one in began.items() if one.on_cpu} if auto else set()
    if auto and runs and {run.run_id for run in runs} <= cpu_only | kept:
        chosen = Chosen(why="these runs began on the CPU" if kept else "these runs use the CPU")
    else:
        chosen = gpus.free() if asked is None else gpus.named(asked) if asked else Chosen(why="--gpus none")
    if any(run.config.kind == "bench" for run in runs):  # a measurement runs alone
        chosen = Chosen(chosen.gpus[:1] if auto else chosen.gpus, chosen.cards, chosen.why)
    only = _same_model(began, chosen) if auto else {}
    waiting = {run_id: began[run_id].device for run_id, homes in only.items() if not homes}
    lines = [_waits(device, count) for device, count in Counter(waiting.values()).items()]
    lines += [] if auto else _moved(began, chosen)
    ready = [run for run in runs if run.run_id not in waiting]
    peaks = _peaks(ready, store)
    cores = max(1, machine.usable_cpus() // threads)
    if not chosen.gpus:
        count, line = _on_cpu(jobs, cores, peaks, chosen.why)
        return Places(count, waiting=waiting, lines=(line, *lines))
    on_cpu = frozenset(run.run_id for run in ready if run.run_id in cpu_only | kept)
    each, line = _on_gpus(jobs, cores, chosen, peaks)
    beside = max(1, cores - each * len(chosen.gpus)) if on_cpu else 0
    if beside:
        lines.append(f"{counted(len(on_cpu), 'run uses', 'runs use')} the CPU or began on it: {beside} at a time, "
                     "in addition")
    model = next((chosen.cards[gpu].name for gpu in chosen.gpus if gpu in chosen.cards), "")
    return Places(each, chosen.gpus, beside, on_cpu, {key: homes for key, homes in only.items() if homes}, waiting,
                  (line, *lines), model)


def began_on(store: Store, run_id: str) -> Began | None:
    """Returns where a run began, or None for a run without a checkpoint, which may start on any device."""
    try:
        if not checkpoints(store.folder(run_id)):
            return None
    except OSError:
        return None
    known = (store.provenance(run_id) or Provenance()).environment
    device = str(known.get("device") or "")
    return Began(device, device.startswith(str(known.get("cpu")))) if device else None


def _same_model(began: Mapping[str, Began], chosen: Chosen) -> dict[str, tuple[Gpu, ...]]:
    """Returns the GPUs on which each run that began on a GPU may continue: those of the same model."""
    return {run_id: tuple(gpu for gpu in chosen.gpus if gpu in chosen.cards and chosen.cards[gpu].name == one.device)
            for run_id, one in began.items() if not one.on_cpu}


def _waits(device: str, count: int) -> str:
    return (f"{counted(count, 'run')} began on {device}: waiting for a free one, so that results are bit-identical "
            "(--gpus N or none moves such runs to another device, and their records note it)")


def _moved(began: Mapping[str, Began], chosen: Chosen) -> list[str]:
    """Returns a message if `--gpus` moves runs to another device than the one on which they began."""
    here = {card.name for card in chosen.cards.values()}
    moved = [one for one in began.values() if one.on_cpu == bool(chosen.gpus) or (here and one.device not in here)]
    if not moved:
        return []
    return [f"{counted(len(moved), 'run')} began on {', '.join(sorted({one.device for one in moved}))}: continued on "
            "another device because of --gpus. Their last bits may differ, and their records note it"]


@dataclass(frozen=True)
class Peaks:
    """The peak memory, in bytes, of runs of these shapes on a GPU and on the machine. 0 if unknown."""

    device: float = 0.0
    host: float = 0.0


def _peaks(runs: Sequence[GridRun], store: Store) -> Peaks:
    """Returns the peaks of recorded attempts at these runs. Unknown if one of the shapes has no record."""
    wanted = {run.config.shape: run.run_id for run in runs}
    device: dict[str, float] = {}
    host: dict[str, float] = {}
    there = set(store.run_ids()) if wanted else set()
    for run in runs:
        record = store.provenance(run.run_id) if run.run_id in there else None
        for attempt in record.attempts if record else ():
            shape = run.config.shape
            device[shape] = max(device.get(shape, 0.0), (attempt.peak_device_memory_mb or 0.0) * 2**20)
            host[shape] = max(host.get(shape, 0.0), (attempt.peak_memory_mb or 0.0) * 2**20)
    return Peaks(*(max(known.values()) if wanted and known.keys() == wanted.keys() and all(known.values()) else 0.0
                   for known in (device, host)))


def _on_cpu(jobs: int | None, cores: int, peaks: Peaks, why: str) -> tuple[int, str]:
    """Returns runs at a time, and a message. Raises MachineFault if a single run does not fit into memory."""
    memory = machine.memory()
    if memory is not None and peaks.host > memory.total:
        raise MachineFault(f"a run of this kind used {machine.gigabytes(int(peaks.host))} of memory, but this machine "
                           f"has {machine.gigabytes(memory.total)}", "memory", "reduce train.batch_size, add "
                           "--recompute, or use a larger machine")
    fitting = max(1, int(memory.free / (SPARE * peaks.host))) if memory is not None and peaks.host else cores
    count = jobs or min(cores, fitting)
    reason = f", since each used up to {machine.gigabytes(int(peaks.host))} of memory" \
        if not jobs and fitting < cores else ""
    return count, f"on the CPU ({why}): {count} at a time{reason}"


def _on_gpus(jobs: int | None, cores: int, chosen: Chosen, peaks: Peaks) -> tuple[int, str]:
    """Returns runs at a time on each GPU, and a message."""
    names = ", ".join(chosen.cards[gpu].words if gpu in chosen.cards else f"GPU {gpu}" for gpu in chosen.gpus)
    if jobs:
        return jobs, f"on {names}: {jobs} at a time on each"
    if not peaks.device or len(chosen.cards) < len(chosen.gpus):
        return 1, f"on {names}: 1 at a time on each, since their memory use is not known yet (--jobs N sets the number)"
    least = min(chosen.cards[gpu].free for gpu in chosen.gpus)
    needs = SPARE * peaks.device + CONTEXT
    each = max(1, min(MOST, int(least / needs), cores // len(chosen.gpus)))
    return each, (f"on {names}: {each} at a time on each, with up to {machine.gigabytes(int(needs))} of "
                  f"the {machine.gigabytes(least)} free")
