"""One small run, what an undisturbed training of it gives, and attempts at it."""

from __future__ import annotations

from pathlib import Path

from fake_training import config, scores, training, undisturbed

from suite.job.compute import Compute
from suite.job.job import run
from suite.job.order import Order
from suite.store.records import Result
from suite.store.state import RunState
from suite.store.store import Store

RUN = config()
ROWS = undisturbed(RUN)
OFTEN = Order(compute=Compute(checkpoint_s=0.0))  # a checkpoint after each step


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def ends_well(folder: Path, order: Order = OFTEN) -> Result:
    """The next attempt finishes the run with the bits of an undisturbed one."""
    state = run(folder, order, training())
    assert (state.name, state.epochs, state.detail) == ("done", 3, "")
    result = Store(folder.parent).result(folder.name)
    assert result is not None and scores(result.rows) == ROWS
    return result


def break_at(folder: Path, step: int, order: Order = OFTEN, fault: str = "error") -> RunState:
    return run(folder, order, training(fault=fault, at=step))
