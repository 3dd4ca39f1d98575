"""A data set in memory, with the interface of the prepared ones, and a sequence layer that records its calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from suite.config.run_config import RunConfig
from suite.data.prepared import Batch


@dataclass(frozen=True)
class FakeData:
    """`arrays`: for each split (x, y, lengths or None), as the batches of `suite.data` have them."""

    task: str = "scifar"
    length: int = 16
    channels: int | None = 3
    vocabulary: int | None = None
    classes: int | None = 4
    rate_hz: float | None = None
    fingerprint: str = "f" * 64
    variant: str = "sample"
    arrays: dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = field(default_factory=dict)

    def count(self, split: str) -> int:
        return len(self.arrays[split][0])

    def batch(self, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0) -> Batch:
        x, y, lengths = self.arrays[split]
        i = torch.from_numpy(indices)
        return Batch(x[i][:, ::rate], y[i], None if lengths is None else lengths[i])


def waves(counts: dict[str, int], length: int = 16, classes: int | None = 4, **fields: Any) -> FakeData:
    """Noisy sines in 3 channels. The target is the frequency: a class, or a number near 97 where `classes` is None."""
    rng = np.random.default_rng(7)
    arrays = {}
    for split, count in counts.items():
        target = rng.integers(0, classes or 4, count)
        phase = 2 * np.pi * (target[:, None] + 1) * np.arange(length) / length + rng.uniform(0, 6, (count, 1))
        x = np.sin(phase)[:, :, None] + 0.3 * rng.standard_normal((count, length, 3))
        y = torch.from_numpy(target) if classes else torch.from_numpy(97.0 + target).float()
        arrays[split] = (torch.from_numpy(x).float(), y, None)
    return FakeData(length=length, classes=classes, arrays=arrays, **fields)


def small(**changes: Any) -> RunConfig:
    """A configuration of a tiny S4D. Fields by dotted name, with `__` for the dot: `small(model__layers=1)`."""
    flat = {"task": "scifar", "ssm.state_size": 4, "model.features": 6, "model.layers": 2, "train.batch_size": 4,
            "train.epochs": 3} | {key.replace("__", "."): value for key, value in changes.items()}
    with mock.patch("suite.data.cards.resolve", lambda data: {"preparation": 1}):  # FakeData has no card
        return RunConfig.build(flat)


class RunningMean(nn.Module):
    """A causal sequence layer, whose output at t depends on all inputs up to t. Remembers what it was called with."""

    def __init__(self, config: object, features: int, length: int, bidirectional: bool, rng: np.random.Generator):
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(rng.standard_normal(features)).float())
        self.made = (features, length, bidirectional)
        self.calls: list[tuple[torch.Tensor, float]] = []

    def forward(self, u: torch.Tensor, rate: float = 1.0) -> torch.Tensor:
        self.calls.append((u.detach(), rate))
        return self.weight * u.cumsum(dim=1) / u.shape[1]
