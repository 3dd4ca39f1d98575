"""The option `fresh` of generated tasks: other training examples in each epoch, from the same seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suite.config.run_config import RunConfig
from suite.data.prepared import Batch, load
from suite.data.wanted import wanted
from suite.train.trainer import Trainer

SIZES: dict[str, dict[str, Any]] = {"delay": {"length": 32, "delay": 8},
                                    "mqar1": {"length": 24, "pairs": 3, "vocabulary": 16},
                                    "selcopy": {"length": 40, "marked": 4, "symbols": 16}}
SOME = np.array([3, 0, 11])


def config(task: str, **options: Any) -> RunConfig:
    sizes = SIZES[task] | {"train_count": 20, "test_count": 10} | options
    return RunConfig.build({"task": task} | {f"data.{key}": value for key, value in sizes.items()} | {
        "model.layers": 1, "model.features": 4, "model.decoder": "last", "model.bidirectional": False,
        "ssm.state_size": 4, "train.batch_size": 10, "train.epochs": 3, "optim.warmup_epochs": 0.0})


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.x, b.x) and torch.equal(a.y, b.y)


@pytest.mark.parametrize("task", SIZES)
def test_each_epoch_has_training_examples_of_its_own(task: str) -> None:
    fixed, fresh = (load(config(task, fresh=value).data, task) for value in (False, True))
    epochs = [fresh.batch("train", SOME, epoch=epoch) for epoch in range(3)]
    assert same(epochs[0], fixed.batch("train", SOME)) and same(epochs[2], fresh.batch("train", SOME, epoch=2))
    assert same(fixed.batch("train", SOME), fixed.batch("train", SOME, epoch=2))
    assert all((a.x != b.x).flatten(1).any(1).all() for a, b in zip(epochs, epochs[1:], strict=False))
    for split in ("val", "test"):
        assert same(fresh.batch(split, SOME[1:2], epoch=2), fixed.batch(split, SOME[1:2]))


@pytest.mark.parametrize("task", SIZES)
def test_they_have_the_form_and_the_law_of_the_stored_ones(task: str) -> None:
    data = load(config(task, fresh=True).data, task)
    stored, drawn = data.batch("train", SOME), data.batch("train", SOME, epoch=1)
    assert (drawn.x.shape, drawn.x.dtype, drawn.y.dtype) == (stored.x.shape, stored.x.dtype, stored.y.dtype)
    one = data.batch("train", SOME[1:2], epoch=1)
    assert torch.equal(one.x[0], drawn.x[1]) and torch.equal(one.y[0], drawn.y[1])  # whatever the batch
    if task == "delay":
        assert torch.equal(drawn.y, drawn.x[:, 32 - 1 - 8, 0])
        assert data.batch("train", SOME, rate=2, epoch=1).x.shape == (3, 16, 1)
    else:
        assert drawn.lengths is not None and stored.lengths is not None and torch.equal(drawn.lengths, stored.lengths)
    if task == "mqar1":
        for x, y in zip(drawn.x.tolist(), drawn.y.tolist(), strict=True):
            assert x[1 + 2 * x[:6:2].index(x[-1])] - 8 == y


@pytest.mark.parametrize("task", SIZES)
def test_it_is_a_run_of_its_own_and_changes_no_other(task: str) -> None:
    plain, spelled, fresh = config(task), config(task, fresh=False), config(task, fresh=True)
    assert plain.run_id == spelled.run_id != fresh.run_id and "fresh" not in plain.canonical
    assert plain.shape == spelled.shape and "fresh" not in wanted(plain.data, task).key


def test_a_run_that_was_interrupted_sees_the_same_examples() -> None:
    """Training is to the same bits, in every epoch, from a checkpoint in the middle of the second."""
    asked = config("mqar1", fresh=True)
    data = load(asked.data, "mqar1")
    whole = Trainer(asked, data, torch.device("cpu"))
    while not whole.finished:
        if whole.step == 3:
            kept = whole.state()
        whole.advance()
    after = Trainer(asked, data, torch.device("cpu"))
    after.restore(kept)
    while not after.finished:
        after.advance()
    ours, theirs = whole.model.state_dict(), after.model.state_dict()
    assert whole.step == 6 and all(torch.equal(ours[name], theirs[name]) for name in ours)
