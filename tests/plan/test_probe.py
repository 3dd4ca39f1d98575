"""`plan --probe`: steps are measured in another process, kept, and what fails is a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.plan import operations
from suite.plan.operations import Device
from suite.plan.probe import probe

SMALL = {"task": "scifar", "data.variant": "sample", "data.pool": 4, "model.layers": 1, "model.features": 8,
         "ssm.state_size": 8}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_what_runs_out_of_memory_is_a_line_and_the_others_are_measured_and_kept() -> None:
    small = RunConfig.build(SMALL)
    huge = RunConfig.build(SMALL | {"model.features": 2**14, "train.batch_size": 5000, "data.pool": 1})
    ridge = RunConfig.build(SMALL | {"model.name": "ridge", "model.layers": 4, "model.features": 128})
    told: list[str] = []
    found = probe([small, ridge, huge, small.with_seed(1)], Device.CPU, "", 1, told.append)
    assert found.keys() == {small.shape}
    assert found[small.shape] > 10 * operations.steps_per_epoch(small) * 1e-5
    assert len(told) == 2 and "memory" in told[0] and told[0].startswith("probe 1 of 2, scifar ssm ")
    assert told[1].endswith(" s per step, over 20 steps")
    assert probe([small], Device.CPU, "", 1, told.append) == found and len(told) == 2, "it is kept"


def test_plan_uses_what_the_probe_has_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "g.yaml").write_text("name: g\nbase: {" + ", ".join(f"{k}: {v}" for k, v in SMALL.items())
                                   + ", train.epochs: 2}\nseeds: {range: 2}\n")
    assert main(["plan", "g.yaml", "--probe", "--jobs", "1"]) == 0
    told = capsys.readouterr()
    assert "probe 1 of 1, scifar ssm " in told.err
    assert "  2 runs: from a probe on this machine\n" in told.out and "within a factor of 1.5" in told.out
    assert not (folder / "runs").exists()
