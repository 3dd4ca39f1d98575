"""ResNet-18 and XResNet-50 of table 11, in one dimension, with the same width in all four stages.

ResNet: He et al. 2015. XResNet: He et al. 2018, "Bag of tricks": a stem of three convolutions, the stride in the middle
of a bottleneck, average pooling on the shortcut, and the last norm initialized with zeros. The names give the depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from suite.config.run_config import RunConfig
from suite.models.cnn import CNN, ConcatHead, convolution, he_normal, normed

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

BLOCKS_18, BLOCKS_50 = (2, 2, 2, 2), (3, 4, 6, 3)
EXPANSION = 4


class ResNet18(CNN):
    """Kernels of 3; `model.features` channels everywhere (64 in the table)."""

    def __init__(self, config: RunConfig, data: TaskData) -> None:
        super().__init__(config, data)
        width = config.model.features
        blocks = [Residual(nn.Sequential(normed(width, width, 3, stride), normed(width, width, 3, relu=False)),
                           nn.Identity() if stride == 1 else normed(width, width, 1, stride, relu=False))
                  for stride in _strides(BLOCKS_18)]
        self.body = nn.Sequential(normed(self.channels, width, 3, 2), nn.MaxPool1d(3, 2, 1), *blocks)
        self.head = ConcatHead(config, width, self.outputs)
        he_normal(self)


class XResNet50(CNN):
    """Kernels of 5; bottlenecks of `model.features` channels (64 in the table), four times as many between them."""

    def __init__(self, config: RunConfig, data: TaskData) -> None:
        super().__init__(config, data)
        width, half = config.model.features, max(1, config.model.features // 2)
        stem = [normed(self.channels, half, 5, 2), normed(half, half, 5), normed(half, width, 5), nn.MaxPool1d(3, 2, 1)]
        blocks = [_bottleneck(EXPANSION * width if index else width, width, stride)
                  for index, stride in enumerate(_strides(BLOCKS_50))]
        self.body = nn.Sequential(*stem, *blocks)
        self.head = ConcatHead(config, EXPANSION * width, self.outputs)
        he_normal(self)


class Residual(nn.Module):
    """ReLU(change(x) + shortcut(x)), on (batch, width, length)."""

    def __init__(self, change: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.change, self.shortcut = change, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, length) to (batch, new width, new length)."""
        return F.relu(self.change(x) + self.shortcut(x))


def _bottleneck(inputs: int, width: int, stride: int) -> Residual:
    wide = EXPANSION * width
    last = nn.BatchNorm1d(wide)
    nn.init.zeros_(last.weight)
    shortcut: list[nn.Module] = [nn.AvgPool1d(2, ceil_mode=True)] if stride > 1 else []
    if inputs != wide:
        shortcut.append(normed(inputs, wide, 1, relu=False))
    return Residual(nn.Sequential(normed(inputs, width, 1), normed(width, width, 5, stride),
                                  convolution(width, wide, 1), last),
                    nn.Sequential(*shortcut))


def _strides(blocks: tuple[int, ...]) -> Iterator[int]:
    """The stride of each block: 2 in the first block of every stage except the first stage, else 1."""
    for stage, count in enumerate(blocks):
        yield 2 if stage else 1
        yield from [1] * (count - 1)
