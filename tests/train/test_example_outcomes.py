"""Outcomes by example of a training: they agree with the metrics, outlive a stop, and nothing waits for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import small, waves
from test_train import CPU, DROPPED, run, through_file

from suite.config.outcomes import Outcomes, best_epoch
from suite.data import cards
from suite.train.classical_fit import Fit
from suite.train.scores import Scores
from suite.train.trainer import Trainer

COUNTS = {"train": 18, "val": 17, "test": 21}
KINDS: dict[str, dict[str, Any]] = {"accuracy": {}, "rmse": {"task": "bidmc_hr"}}

pytestmark = pytest.mark.usefixtures("one_thread")


def alike(one: Outcomes, other: Outcomes) -> bool:
    return one.keys() == other.keys() and all(
        one[epoch].keys() == other[epoch].keys()
        and all((one[epoch][name] == other[epoch][name]).all() for name in one[epoch]) for epoch in one)


def made(kind: str) -> Trainer:
    data = waves(COUNTS, classes=None if kind == "rmse" else 4)
    return Trainer(small(**DROPPED, **KINDS[kind], train__epochs=4, train__evaluate=["val", "test"]), data, CPU)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_of_the_best_and_the_last_epoch_and_give_the_metrics(kind: str) -> None:
    trainer = made(kind)
    while not trainer.finished:
        if trainer.advance() is None:
            continue
        best = best_epoch(trainer.rows, str(trainer.config.train.select))
        assert set(trainer.outcomes) == {best, trainer.epoch}
        for epoch, entries in trainer.outcomes.items():
            row = trainer.rows[epoch - 1]
            assert {name: len(values) for name, values in entries.items()} == {"val": 17, "test": 21}
            for name, values in entries.items():
                if kind == "accuracy":
                    assert values.dtype == bool and values.mean() == row[f"{name}/accuracy"]
                else:
                    assert values.dtype == np.float16
                    root = math.sqrt(np.mean(values.astype(float) ** 2))
                    assert root == pytest.approx(row[f"{name}/rmse"], rel=5e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_trajectory_ends_with_the_same_outcomes(kind: str) -> None:
    whole, walker = made(kind), made(kind)
    rows = run(whole)
    for _ in range(4 * 4 - 1):
        walker.advance()
        resumed = made(kind)
        resumed.restore(through_file(walker.state()))
        assert alike(resumed.outcomes, walker.outcomes)
        assert run(resumed) == rows and alike(resumed.outcomes, whole.outcomes)


def test_a_checkpoint_from_before_goes_on_without_its_best_epoch() -> None:
    walker = made("accuracy")
    whole = made("accuracy")
    rows = run(whole)
    for _ in range(3 * 4):
        walker.advance()
    state = through_file(walker.state())
    del state["outcomes"]
    resumed = made("accuracy")
    resumed.restore(state)
    assert resumed.outcomes == {} and run(resumed) == rows
    assert set(resumed.outcomes) == {4}


@pytest.mark.parametrize(("task", "classes"), [("scifar", 4), ("bidmc_hr", None)])
def test_no_batch_waits_for_the_device(task: str, classes: int | None) -> None:
    """The meta device has no values: to read one is an error."""
    meta = torch.device("meta")
    scores = Scores(cards.task(task), meta)
    for _ in range(3):
        y = torch.zeros(5, device=meta, dtype=torch.int64 if classes else torch.float32)
        scores.add(torch.zeros(5, classes or 1, device=meta), y, torch.zeros((), device=meta))
    with pytest.raises((RuntimeError, NotImplementedError)):
        scores.means(15)


def test_a_classical_fit_keeps_them_too() -> None:
    config = small(task="bidmc_hr", model__name="ridge", train__epochs=1, train__evaluate=["val"])
    data = waves(COUNTS, classes=None, task="bidmc_hr")
    fit = Fit(config, data, CPU)
    row = fit.advance()
    root = math.sqrt(np.mean(fit.outcomes[1]["val"].astype(float) ** 2))
    assert root == pytest.approx(row["val/rmse"], rel=5e-4)
    again = Fit(config, data, CPU)
    again.restore(through_file(fit.state()))
    assert alike(again.outcomes, fit.outcomes)
