"""A study: a grid and a method of its own, in a folder that is on the import path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GRID = """
name: mine
base: {task: scifar, data.variant: sample, data.pool: 4, data.train_count: 100, train.epochs: 1, train.batch_size: 50,
       model.layers: 1, model.features: 2, ssm.state_size: 2}
axes:
  method:
    S4D: {}
    Mine: {model.name: "my_m:Mine"}
"""
METHOD = """
import torch
from torch import nn
from my_h import scale


class Mine(nn.Module):
    def __init__(self, features, kernel=3):
        super().__init__()
        self.conv = nn.Conv1d(features, features, kernel, padding=kernel // 2)

    def forward(self, x, mask):
        return scale(self.conv((x * mask).transpose(1, 2)).transpose(1, 2))
"""
HELPER = "def scale(x):\n    return 1.0 * x\n"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the study, which is the working folder."""
    for name, text in (("mine.yaml", GRID), ("my_m.py", METHOD), ("my_h.py", HELPER)):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("my_m", "my_h"):
        sys.modules.pop(name, None)
