"""InceptionNet of table 11: InceptionTime (Fawaz et al. 2020), as used for electrocardiograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from suite.config.run_config import RunConfig
from suite.models.cnn import CNN, ConcatHead, convolution, he_normal, normed

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

KERNELS = (39, 19, 9)  # 40 and its half and quarter, made odd
EVERY = 3  # modules per shortcut


class InceptionNet(CNN):
    """`model.layers` modules (6 in the table) of 4 x `model.features` channels, with a shortcut around every three."""

    def __init__(self, config: RunConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self.body = Body(self.channels, config.model.features, config.model.layers)
        self.head = ConcatHead(config, 4 * config.model.features, self.outputs)
        he_normal(self)


class Body(nn.Module):
    """(batch, channels, length) to (batch, 4 features, length)."""

    def __init__(self, channels: int, features: int, depth: int) -> None:
        super().__init__()
        wide = 4 * features
        self.chain = nn.ModuleList(Module(wide if index else channels, features) for index in range(depth))
        self.shortcuts = nn.ModuleList(normed(wide if index else channels, wide, 1, relu=False)
                                       for index in range(depth // EVERY))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the modules in order. After a shortcut comes a ReLU."""
        kept = x
        for index, module in enumerate(self.chain):
            x = module(x)
            if index % EVERY == EVERY - 1:
                kept = x = F.relu(x + self.shortcuts[index // EVERY](kept))
        return x


class Module(nn.Module):
    """A bottleneck and three kernels of different lengths, in parallel with max pooling; then batch norm and ReLU."""

    def __init__(self, inputs: int, features: int) -> None:
        super().__init__()
        self.bottleneck = convolution(inputs, features, 1)
        self.kernels = nn.ModuleList(convolution(features, features, kernel) for kernel in KERNELS)
        self.beside = nn.Sequential(nn.MaxPool1d(3, stride=1, padding=1), convolution(inputs, features, 1))
        self.norm = nn.BatchNorm1d(4 * features)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, length) to (batch, 4 features, length)."""
        narrow = self.bottleneck(x)
        return F.relu(self.norm(torch.cat([*(kernel(narrow) for kernel in self.kernels), self.beside(x)], dim=1)))
