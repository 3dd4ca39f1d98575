"""Common parts of the convolutional networks of table 11.

They take values, (batch, length, channels), of any length, and ignore the sampling interval: at half the rate the same
weights see every second sample. `model.features` is the width, and `model.layers` the depth of networks of variable
depth. Norm, mixing, direction and decoder are fixed for each network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from suite.config.run_config import RunConfig
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.data.prepared import TaskData


class CNN(nn.Module):
    """A body from (batch, channels, length) to (batch, features, steps), and a head from there to (batch, outputs)."""

    def __init__(self, config: RunConfig, data: TaskData) -> None:
        """Raises UserError if the task has tokens."""
        super().__init__()
        if data.channels is None:
            raise UserError(f"{config.model.name} takes values, but the inputs of {data.task} are tokens", "model.name",
                            "choose ssm, lstm or transformer for this task")
        self.channels: int = data.channels
        self.outputs = 1 if data.classes is None else data.classes
        self.body: nn.Module = nn.Identity()
        self.head: nn.Module = nn.Identity()

    def forward(self, x: Tensor, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """Logits (batch, classes), or (batch, 1) for regression. `lengths` and `rate` are ignored."""
        scores: Tensor = self.head(self.body(x.transpose(1, 2)))
        return scores


class ConcatHead(nn.Sequential):
    """Mean and maximum over time, concatenated; batch norm, dropout, Linear. (batch, width, length) to outputs."""

    def __init__(self, config: RunConfig, width: int, outputs: int) -> None:
        """Raises UserError for batches of one example, for which a batch norm cannot be trained."""
        if config.train.batch_size < 2:
            raise UserError(f"{config.model.name} has a batch norm over examples", "train.batch_size", "at least 2")
        super().__init__(ConcatPool(), nn.BatchNorm1d(2 * width), nn.Dropout(config.model.dropout),
                         nn.Linear(2 * width, outputs))


class ConcatPool(nn.Module):
    """(batch, width, length) to (batch, 2 width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Mean, then maximum."""
        return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=-1)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv1d:
    """A convolution without bias, padded by (kernel - 1) // 2 on both sides: an odd kernel keeps the length."""
    return nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, bias=False)


def normed(inputs: int, outputs: int, kernel: int, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm, and, with `relu`, ReLU."""
    parts: list[nn.Module] = [convolution(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs)]
    return nn.Sequential(*parts, nn.ReLU()) if relu else nn.Sequential(*parts)


def he_normal(network: nn.Module) -> None:
    """Initialize the weights of every convolution from He's normal distribution."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
