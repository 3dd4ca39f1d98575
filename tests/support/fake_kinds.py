"""A training whose runs of one kernel fail as soon as they start."""

from __future__ import annotations

from functools import partial
from typing import Any

from fake_training import FakeTrainer, backend, load

from suite.config.run_config import RunConfig
from suite.train.trajectory import Training


def make(config: RunConfig, data: Any, *more: Any, bad: str = "", **how: Any) -> FakeTrainer:
    fault = {"fault": "user", "at": 0} if config.ssm.kernel == bad else {}
    return FakeTrainer(config, data, *more, **how, **fault)


def training(bad: str) -> Training:
    return Training(load=load, make=partial(make, bad=bad), backend=backend)
