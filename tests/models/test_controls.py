"""The control of the generated tasks: a kernel that ends before the gap does, which sees nothing of what is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from suite import models
from suite.config.run_config import RunConfig
from suite.data.prepared import TaskData, load
from suite.grid.expand import load_grid
from suite.train.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
GRID = Path(__file__).parents[2] / "grids" / "synthetic.yaml"
GAPS = ("Delay", "Recall", "Padded")


def control(task: str, profile: str = "mini") -> RunConfig:
    run, *_ = load_grid(GRID, profile, only=[f"task={task}", "method=Control"]).runs
    return run.config


def field(config: RunConfig) -> int:
    """Steps that the last output sees."""
    assert config.ssm.kernel_length is not None
    return 1 + config.model.layers * (config.ssm.kernel_length - 1)


def bound(task: str, config: RunConfig) -> float:
    """Steps that do not help, at the end of a sequence."""
    options = config.data.options
    if task == "Recall":
        return options["length"] - 2 * options["pairs"]
    return 0.75 * options["delay"] if task == "Delay" else options["pad_steps"] or 968


@pytest.mark.parametrize("profile", ["mini", "paper"])
@pytest.mark.parametrize("task", GAPS)
def test_its_receptive_field_ends_before_the_gap_does(task: str, profile: str) -> None:
    config = control(task, profile)
    assert field(config) <= bound(task, config)


def small(config: RunConfig) -> TaskData:
    """The data of a control, but fewer."""
    few = {"train_count": 50} | ({} if config.task == "scifar" else {"test_count": 20})
    return load(config.data.model_copy(update=few), config.task)


@pytest.mark.parametrize("task", GAPS)
def test_what_is_asked_has_no_gradient(task: str) -> None:
    config = control(task)
    data = small(config)
    model = models.build(config, data).double().eval()
    embedded: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, given: object, x: torch.Tensor) -> torch.Tensor:
        embedded.append(x.double().detach().requires_grad_())
        return embedded[0]

    model.encoder.register_forward_hook(keep)
    batch = data.batch("val", np.arange(4))
    x = batch.x.double() if batch.x.is_floating_point() else batch.x
    model(x, batch.lengths).square().sum().backward()
    size = embedded[0].grad.abs().amax((0, 2))
    first = data.length - field(config)
    assert float(size[:first].max()) < 1e-13 * float(size.max()) and float(size[first]) > 1e-9 * float(size.max())


@pytest.mark.slow
@pytest.mark.parametrize("task", GAPS)
def test_it_is_at_chance(task: str) -> None:
    """Delay: an RMSE of at least 0.9 times that of predicting 0. Else within 3 points of the second baseline."""
    config = control(task)
    trainer = Trainer(config, load(config.data, config.task), torch.device("cpu"))
    while not trainer.finished:
        row = trainer.advance()
    assert row is not None
    if task == "Delay":
        assert row["test/rmse"] >= 0.45
    else:
        assert row["test/accuracy"] <= (1 / config.data.options["pairs"] if task == "Recall" else 0.1) + 0.03
