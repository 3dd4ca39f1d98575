"""A classical regression as a run: a trajectory of one step, the fit."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from suite.config.outcomes import ByEntry, Outcomes
from suite.config.rows import Memory, Row
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.models import classical
from suite.train.scores import from_memory, to_memory
from suite.train.trainer import Diverged, Evaluation, evaluation

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

ESTIMATOR = 3  # last number of the seed, different from those in `suite.train.trainer`


class Fit:
    """Has the interface of `suite.train.trainer.Trainer`. Its state is only the row: an interrupted fit begins again.

    Raises UserError for a GPU, several epochs, rates other than that of training, and tasks other than regression.
    """

    steps_per_epoch = 1

    def __init__(self, config: RunConfig, data: TaskData, device: torch.device) -> None:
        name = config.model.name
        if device.type != "cpu":
            raise UserError(f"model.name is {name}, which runs on the CPU", "--gpus", "leave --gpus out")
        if config.train.epochs != 1:
            raise UserError(f"{name} is fitted once, and cannot train for {config.train.epochs} epochs", "train.epochs",
                            "write 1")
        if data.classes is not None or data.channels is None:
            raise UserError(f"{name} supports only the vital-sign tasks, not {data.task}", "model.name",
                            "choose another model")
        self.evaluations = [evaluation(entry, data) for entry in config.train.evaluate]
        if any(entry.rate != 1 for entry in self.evaluations):
            raise UserError(f"{name} has a weight for each sample, so it supports no other rate", "train.evaluate",
                            "leave out the entries with @")
        self.config, self.data = config, data
        self.parameters = 0  # known only after the fit
        self.step = 0
        self.rows: list[Row] = []
        self.outcomes: Outcomes = {}

    @property
    def finished(self) -> bool:
        """Whether it is fitted."""
        return self.step == 1

    def advance(self) -> Row:
        """Fit, evaluate, and return the row, with the keys of `Trainer.advance`. Raises Diverged."""
        from threadpoolctl import threadpool_limits

        name, threads = self.config.model.name, torch.get_num_threads()
        seed = int(np.random.SeedSequence([self.config.seed, ESTIMATOR]).generate_state(1)[0])
        with threadpool_limits(threads):
            began = time.perf_counter()
            x, y = self._windows(Evaluation("train", "train", 1))
            fitted = classical.estimator(name, seed, threads).fit(x, y)
            row: Row = {"epoch": 1, "step": 1, "train/loss": _loss(_errors(fitted, x, y))}
            found: ByEntry = {}
            seconds, began = time.perf_counter() - began, time.perf_counter()
            for entry in self.evaluations:
                errors = _errors(fitted, *self._windows(entry))
                loss, found[entry.name] = _loss(errors), np.abs(errors).astype(np.float16)
                row |= {f"{entry.name}/rmse": math.sqrt(loss), f"{entry.name}/loss": loss}
        if not all(math.isfinite(value) for value in row.values()):
            raise Diverged(f"the errors of {name} are not finite")
        self.parameters = classical.parameters(name, fitted)
        self.outcomes = {1: found}
        self.rows, self.step = [row | {"time/train": seconds, "time/eval": time.perf_counter() - began}], 1
        return dict(self.rows[0])

    def state(self) -> Memory:
        """The row, if it is fitted."""
        return {"step": self.step, "rows": [dict(row) for row in self.rows], "parameters": self.parameters,
                "outcomes": to_memory(self.outcomes)}

    def restore(self, state: Memory) -> None:
        """Restore the row."""
        self.step, self.parameters = state["step"], state["parameters"]
        self.rows = [dict(row) for row in state["rows"]]
        self.outcomes = from_memory(state.get("outcomes"))

    def _windows(self, entry: Evaluation) -> tuple[np.ndarray, np.ndarray]:
        """All windows of a split (n, length x channels) float32, and their targets (n,) float64."""
        batch = self.data.batch(entry.split, np.arange(self.data.count(entry.split)))
        return batch.x.flatten(1).numpy(), batch.y.double().numpy()


def _errors(fitted: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(fitted.predict(x), np.float64) - y


def _loss(errors: np.ndarray) -> float:
    return float(np.mean(errors**2))
