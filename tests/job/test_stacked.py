"""Attempts in a stack: each run is stored as if it had been alone, and continues to the same bits within its stack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import small, waves

from suite.config.run_config import RunConfig
from suite.job import stacked
from suite.job.compute import Compute
from suite.job.job import run
from suite.job.log import to_stdout
from suite.job.order import Order
from suite.job.stop import Stop
from suite.store.attempt import ask_to_stop, claim
from suite.store.records import Result
from suite.store.store import Store
from suite.train.mode import Mode
from suite.train.trainer import Trainer
from suite.train.trajectory import Training

COUNTS = {"train": 18, "val": 7}  # 4 steps of 4, in each of 3 epochs
SETTINGS: dict[str, Any] = {"model__norm": "batch", "model__prenorm": True, "model__dropout": 0.2}

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass(frozen=True)
class Disturbed:
    """Makes trainers; one of the runs breaks down in the evaluation of its second epoch."""

    run_id: str = ""
    fault: str = ""

    def __call__(self, config: RunConfig, data: Any, device: torch.device, mode: Mode, recompute: bool) -> Trainer:
        trainer = Trainer(config, data, device, mode, recompute)
        if config.run_id == self.run_id:
            trainer.data = replace(data, count=None) if self.fault == "data" else trainer.data
            if self.fault == "nan":
                with torch.no_grad():
                    next(trainer.model.parameters()).fill_(np.nan)
        return trainer


def training(run_id: str = "", fault: str = "") -> Training:
    return Training(load=lambda config: waves(COUNTS), make=Disturbed(run_id, fault))


def configs() -> list[RunConfig]:
    return [small(**SETTINGS, seed=0), small(**SETTINGS, seed=1, ssm__init="inv"),
            small(**SETTINGS, seed=1, optim__lr=0.002)]


def orders(store: Store, runs: list[RunConfig], compute: Compute | None = None) -> dict[Path, Order]:
    stack = tuple(one.run_id for one in configs())
    return {store.add(one): Order(compute=compute or Compute(checkpoint_s=0.0), stack=stack) for one in runs}


def result(store: Store, config: RunConfig) -> Result:
    found = store.result(config.run_id)
    assert found is not None
    return found


def scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    store = Store(tmp_path_factory.mktemp("undisturbed"))
    states = stacked.run(orders(store, configs()), training())
    assert [state.name for state in states.values()] == ["done"] * 3
    return {one.run_id: result(store, one) for one in configs()}


def test_each_is_stored_as_if_it_had_been_alone(store: Store, undisturbed: dict[str, Result]) -> None:
    for one in configs():
        assert run(store.add(one), Order(), training()).name == "done"
        alone, there = result(store, one), undisturbed[one.run_id]
        assert alone.model_copy(update={"rows": [], "seconds_per_epoch": None}) == there.model_copy(
            update={"rows": [], "seconds_per_epoch": None, "outcomes": alone.outcomes})
        # Batches of 4 in a batch norm make much of last bits; `tests/train/test_stack.py` has the exact comparison.
        assert [row["train/loss"] for row in there.rows] == pytest.approx([row["train/loss"] for row in alone.rows],
                                                                           abs=2e-3)


def test_what_was_stacked_is_recorded_with_each(store: Store) -> None:
    to_stdout()
    stacked.run(orders(store, configs()), training())
    for one in configs():
        record, log = store.provenance(one.run_id), store.log(one.run_id).read_text()
        assert record is not None and record.mixed == []
        assert record.environment["stack"] == " ".join(other.run_id for other in configs())
        assert f"attempt 1 at {one.run_id}" in log and log.count("attempt 1 at") == 1 and "ended: done" in log
        assert log.count("epoch") == 3
    alone = small(**SETTINGS, seed=9)
    run(store.add(alone), Order(), training())
    record = store.provenance(alone.run_id)
    assert record is not None and "stack" not in record.environment


def test_a_stack_that_is_stopped_continues_with_the_same_bits(store: Store, undisturbed: dict[str, Result]) -> None:
    """Stopped after each step, in turns with all runs and with one that is over or cancelled."""
    class Soon(Stop):
        left = 0

        @property
        def asked(self) -> int:  # type: ignore[override]
            self.left -= 1
            return int(self.left < 0)

        @asked.setter
        def asked(self, value: int) -> None:
            pass

    states = {}
    for _ in range(20):
        stop = Soon()
        stop.left = 7  # looked at once by each run before each step
        states = stacked.run(orders(store, configs()), training(), stop)
        if all(state.name == "done" for state in states.values()):
            break
    assert [state.name for state in states.values()] == ["done"] * 3
    for one in configs():
        assert scores(result(store, one).rows) == scores(undisturbed[one.run_id].rows)
        assert result(store, one).mixed == [] and result(store, one).attempts > 2


@pytest.mark.parametrize("fault", ["nan", "data"])
def test_one_that_fails_leaves_the_others_their_bits(fault: str, store: Store, undisturbed: dict[str, Result]) -> None:
    first, *others = configs()
    states = stacked.run(orders(store, configs()), training(first.run_id, fault))
    assert (states[first.run_id].name, states[first.run_id].reason) == (
        "failed", "diverged" if fault == "nan" else "error")
    for one in others:
        assert states[one.run_id].name == "done"
        assert scores(result(store, one).rows) == scores(undisturbed[one.run_id].rows)


def test_a_run_that_others_have_is_left_to_them(store: Store, undisturbed: dict[str, Result]) -> None:
    first, *others = configs()
    stack = orders(store, configs())
    assert claim(store.folder(first.run_id)) is not None
    states = stacked.run(stack, training())
    assert [states[one.run_id].name for one in configs()] == ["claimed", "done", "done"]
    for one in others:
        assert scores(result(store, one).rows) == scores(undisturbed[one.run_id].rows)


def test_one_that_is_cancelled_continues_later_with_its_bits(store: Store, undisturbed: dict[str, Result]) -> None:
    first, *others = configs()
    stack = orders(store, configs())
    stacked.run({folder: order.model_copy(update={"compute": Compute(until=1)}) for folder, order in stack.items()},
                training())
    ask_to_stop(store.folder(first.run_id), 2, "somebody")
    # A heartbeat a millisecond, so that the wish is seen before the run is over.
    states = stacked.run({folder: order.model_copy(update={"beat_s": 0.001}) for folder, order in stack.items()},
                         training())
    assert [states[one.run_id].name for one in configs()] == ["cancelled", "done", "done"]
    states = stacked.run(orders(store, [first]), training())
    assert states[first.run_id].name == "done"
    for one in configs():
        assert scores(result(store, one).rows) == scores(undisturbed[one.run_id].rows)
        assert result(store, one).mixed == []


def test_one_that_leaves_its_stack_is_marked(store: Store) -> None:
    first = configs()[0]
    stacked.run(orders(store, configs(), Compute(until=1)), training())
    assert run(store.folder(first.run_id), Order(), training()).name == "done"
    assert result(store, first).mixed == [f"stack: {' '.join(one.run_id for one in configs())}, then None"]


def test_runs_of_several_shapes_are_no_stack_and_not_to_blame(store: Store) -> None:
    runs = [small(**SETTINGS), small(**SETTINGS, model__features=8)]
    stack = tuple(one.run_id for one in runs)
    states = stacked.run({store.add(one): Order(stack=stack) for one in runs}, training())
    for state in states.values():
        assert (state.name, state.reason) == ("todo", "start")
        assert "these runs cannot be computed as one: members of several shapes" in state.detail
