"""What an attempt works with: its data, and a trajectory restored from the newest intact checkpoint."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.config.run_config import RunConfig
from suite.errors import MachineFault, UserError
from suite.files import atomic
from suite.job import checkpoint
from suite.job.checkpoint import Checkpoint
from suite.job.order import Order
from suite.own import fault
from suite.store import provenance
from suite.store.attempt import Attempt
from suite.store.folder import read_config, read_result, read_rows
from suite.store.records import AttemptRecord, DataRecord, Provenance
from suite.store.store import Store
from suite.train import device
from suite.train.mode import Mode, Steps, steps_of
from suite.train.trajectory import Training, Trajectory

LOG = logging.getLogger(__name__)


@dataclass
class Session:
    """All that an attempt works with. `saved` is the step of the newest intact checkpoint; -1 if none exists."""

    attempt: Attempt
    order: Order
    config: RunConfig
    trajectory: Trajectory
    record: Provenance
    backend: Callable[[], str]
    saved: int = -1


def prepare(attempt: Attempt, order: Order, training: Training) -> Session:
    """Repair the folder, load the data, and restore the trajectory from the newest checkpoint.

    All errors are passed on.
    """
    folder = attempt.folder
    _repair(attempt)
    config = read_config(folder)
    restored = checkpoint.newest(attempt)
    old = Store(folder.parent).provenance(folder.name) or Provenance()
    threads = _threads(config, (restored or old).environment.get("threads"), order)
    steps = steps_of(config, order.compute.mode, order.device, order.compute.recompute)
    place = device.settle(threads, order.device, steps.mode)
    data = _load(config, training)
    trajectory = training.make(config, data, place, steps.mode, order.compute.recompute)
    saved = -1
    if restored is not None:
        trajectory.restore(restored.trainer)
        saved = trajectory.step
    elif read_rows(folder)[0]:  # the run was copied here without its checkpoints
        kept = attempt.set_aside("metrics.jsonl", "earlier")
        LOG.info("no checkpoint has the rows of metrics.jsonl; it is now %s, and the run begins again", kept)
    known = DataRecord(variant=data.variant, fingerprint=data.fingerprint)
    record = _record(attempt, order, steps, old, restored, trajectory, threads, known, training.backend())
    LOG.info("attempt %d at %s from step %d, %s, process %d, %d threads on %s", attempt.number, config.run_id,
             trajectory.step, time.strftime("%Y-%m-%d %H:%M:%S"), os.getpid(), threads, place)
    if steps.why:
        LOG.info("%s", steps.why)
    return Session(attempt, order, config, trajectory, record, training.backend, saved)


def _load(config: RunConfig, training: Training) -> Any:
    """The data. Raises MachineFault if they are not available, which is not the fault of the run."""
    try:
        return training.load(config)
    except fault.OwnError:
        raise
    except UserError as error:
        raise MachineFault(error.problems) from error


def _threads(config: RunConfig, before: object, order: Order) -> int:
    """The number of threads of the run's first attempt, since its bits depend on it."""
    if config.kind == "bench":
        return config.bench.threads
    return before if isinstance(before, int) else order.compute.threads


def _repair(attempt: Attempt) -> None:
    """Rename damaged files. The checkpoints have their content."""
    reads: dict[str, Callable[[Path], object]] = {
        "result.json": read_result, "provenance.json": lambda folder: Provenance.read(folder / "provenance.json")}
    for name, read in reads.items():
        try:
            read(attempt.folder)
        except FileNotFoundError:
            continue
        except atomic.Corrupt as error:
            LOG.warning("%s; it is now %s", error, attempt.set_aside(name))
    problem = read_rows(attempt.folder)[1]
    if problem:
        LOG.warning("%s; it is now %s", problem, attempt.set_aside("metrics.jsonl"))


def _record(attempt: Attempt, order: Order, steps: Steps, old: Provenance, restored: Checkpoint | None,
            trajectory: Trajectory, threads: int, data: DataRecord, backend: str) -> Provenance:
    """The record with this attempt added. A run that begins again drops the environments of earlier attempts."""
    compiled = Mode.COMPILED.value if steps.mode is Mode.COMPILED else False  # CUDA graphs do not change bits
    now = provenance.environment(threads, device.model(order.device), backend, compiled)
    now["data"] = f"{data.variant} {data.fingerprint[:16]}"
    if fused := device.passes(order.device):
        now["passes"] = fused
    if order.stack:
        now["stack"] = " ".join(order.stack)
    first, mixed = (restored.environment, list(restored.mixed)) if restored else (now, [])
    mixed += [change for change in provenance.differences(first, now) if change not in mixed]
    mine = AttemptRecord(number=attempt.number, when=time.strftime("%Y-%m-%d %H:%M:%S %z"), host=os.uname().nodename,
                         from_step=trajectory.step, **order.launch.content())
    if steps.mode is Mode.GRAPHS or steps.why:
        mine = mine.model_copy(update={"cuda_graphs": steps.mode is Mode.GRAPHS, "steps": steps.why})
    attempts = [*old.attempts, mine]
    return Provenance(environment=first, mixed=mixed, code=provenance.code(attempts), data=data,
                      parameters=trajectory.parameters, attempts=attempts)
