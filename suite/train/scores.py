"""The results of an evaluation, collected batch by batch on the device: loss, metric, and outcome of each example."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from suite.config import plugin
from suite.config.outcomes import Outcomes, decode, encode
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.data.tasks import Task


class Scores:
    """The sums of one evaluation. They are read from the device only at the end: a read would wait for each batch."""

    def __init__(self, task: Task, device: torch.device) -> None:
        self._task = task
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)  # of losses, and of hits or squared errors
        self._outputs: list[tuple[Tensor, Tensor]] = []  # for a user's own metric
        self._outcomes: list[Tensor] = []

    def add(self, output: Tensor, y: Tensor, loss: Tensor) -> None:
        """Add a batch: outputs (n, classes or 1), targets (n,), and the sum of the losses."""
        self._sums[0] += loss
        if self._task.evaluate:
            self._outputs.append((output, y))
        elif self._task.metric == "accuracy":
            right = output.argmax(dim=-1) == y
            self._sums[1] += right.sum()
            self._outcomes.append(right)
        else:
            errors = output.squeeze(-1).double() - y.double()
            self._sums[1] += errors.square().sum()
            self._outcomes.append(errors.abs().half())

    def means(self, count: int) -> tuple[float, float]:
        """Metric and mean loss over all `count` examples. Raises UserError if a user's function fails."""
        loss, score = (self._sums / count).tolist()
        if self._task.evaluate:
            score = _own_score(self._task.evaluate, self._outputs)
        elif self._task.metric == "rmse":
            score = math.sqrt(score)
        return score, loss

    def outcomes(self) -> np.ndarray | None:
        """Whether each example is right (n,) bool, or its absolute error (n,) float16. None for a user's own metric."""
        return torch.cat(self._outcomes).cpu().numpy() if self._outcomes else None


def to_memory(outcomes: Outcomes) -> Tensor:
    """Outcomes as a tensor of bytes, for a checkpoint."""
    return torch.frombuffer(bytearray(encode(outcomes)), dtype=torch.uint8)


def from_memory(known: Tensor | None) -> Outcomes:
    """The outcomes from `to_memory`. Empty for None, as in checkpoints from before outcomes were kept."""
    return {} if known is None else decode(known.numpy().tobytes())


def _own_score(function: str, outputs: list[tuple[Tensor, Tensor]]) -> float:
    """The value of a user's function for the outputs and targets of a split. Raises UserError if the function fails."""
    try:
        return float(plugin.load(function, "task")(*(torch.cat(parts).cpu() for parts in zip(*outputs, strict=True))))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{function} raised {type(error).__name__}: {error}", "task",
                        "it is called with outputs (n, classes or 1) and targets (n,), and returns a number") from error
