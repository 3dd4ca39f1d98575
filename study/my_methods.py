"""Methods of this study. A grid names one as `model.name: "my_methods:GatedConv"`."""

import torch
from torch import nn


class GatedConv(nn.Module):
    """A convolution over `kernel` steps of time, and another that gates it.

    Takes and gives (batch, length, features). The suite puts it where the state space layer stands, with norm, residual
    and dropout around it.
    """

    def __init__(self, features: int, kernel: int = 9) -> None:
        super().__init__()
        self.conv = nn.Conv1d(features, 2 * features, kernel, padding=kernel // 2)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The layer. `mask` (batch, length, 1) is 0 where a short sequence has ended."""
        value, gate = self.conv((x * mask).transpose(1, 2)).chunk(2, dim=1)
        return (value * torch.sigmoid(gate)).transpose(1, 2)
