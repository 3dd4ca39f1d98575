"""ConvNet of table 11: four stages of residual blocks with long kernels, each stage twice as wide, a quarter as long.

With doubling and pooling between the four stages it has 26.3M parameters (table: 26.2M). Taken literally, the
description has them at the end of each stage, which gives 26.9M: see `reports/tables/table11`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from suite.config.run_config import RunConfig
from suite.models.cnn import CNN

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

KERNEL, STAGES, POOL = 25, 4, 4


class ConvNet(CNN):
    """Convolution to `model.features` channels, four stages of `model.layers` blocks, mean over time, Linear."""

    def __init__(self, config: RunConfig, data: TaskData) -> None:
        super().__init__(config, data)
        width = config.model.features
        parts: list[nn.Module] = [PadToPower(), nn.Conv1d(self.channels, width, KERNEL, padding=KERNEL // 2)]
        for stage in range(STAGES):
            if stage:
                parts.append(nn.Conv1d(width, 2 * width, 1))
                parts.append(nn.AvgPool1d(POOL))
                width *= 2
            parts += [ResidualBlock(width, config.model.dropout) for _ in range(config.model.layers)]
        self.body = nn.Sequential(*parts)
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, self.outputs))


class ResidualBlock(nn.Module):
    """x + dropout(GELU(Conv1d(BN(x)))), on (batch, width, length)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(nn.BatchNorm1d(width), nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2),
                                    nn.GELU(), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, length) to the same."""
        changed: Tensor = self.change(x)
        return x + changed


class PadToPower(nn.Module):
    """Pads with zeros at the end, to the next power of two: 16384 for a second at 16 kHz, 8192 at 8 kHz."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, length). At least 256 steps, so that each stage has at least one."""
        length = max(1 << (x.shape[-1] - 1).bit_length(), POOL ** STAGES)
        return F.pad(x, (0, length - x.shape[-1]))
