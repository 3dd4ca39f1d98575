"""Tokens, pairs and generated images at the sizes of the mini profile: they train, and need no file of the user."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch

from suite.data.prepared import load
from suite.grid.expand import load_grid
from suite.train.trainer import Trainer

ROOT = Path(__file__).parents[2]
LENGTHS = {"listops": 48, "text": 256, "retrieval": 256, "pathfinder": 256, "pathx": 256}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("task", LENGTHS)
def test_trains_on_what_comes_with_the_repository(task: str, cache: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(cache))
    for name in ("SUITE_DATA", "LRA_RELEASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copytree(ROOT / "grids/_profiles", tmp_path / "_profiles")
    (tmp_path / "g.yaml").write_text(f"name: g\nprofile: mini\naxes: {{task: [{task}]}}\nseeds: [0]\n")
    sets = ["data.count=500"] if task.startswith("path") else []
    (run,) = load_grid(tmp_path / "g.yaml", sets=sets).runs
    data = load(run.config.data, task)
    assert data.length <= LENGTHS[task]
    trainer = Trainer(run.config, data, torch.device("cpu"))
    for _ in range(3):
        assert trainer.advance() is None
    batch = data.batch("val", torch.arange(4).numpy())
    logits = trainer.model(batch.x, batch.lengths, 1.0)
    assert logits.shape == (4, data.classes) and math.isfinite(float(logits.detach().sum()))
