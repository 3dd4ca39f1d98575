"""Measurements as runs: planned, run, stored and shown like trainings, on the machine that they were planned for."""

import json
from pathlib import Path

import pytest
import torch

from suite import bench, provenance
from suite.cli import main
from suite.config import RunConfig
from suite.errors import UserError

GRID = """
name: small
base: {kind: bench, ssm.state_size: 4, model.features: 2, bench.repeats: 2}
axes:
  kernel: {power sum: {bench.kernel: power_sum}, softmax: {bench.kernel: softmax}, DPLR: {bench.kernel: dplr}}
  L: {"16": {bench.length: 16}, "64": {bench.length: 64}}
"""


@pytest.mark.slow
def test_a_grid_of_measurements_goes_the_way_of_all_grids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(GRID)
    assert main(["small.yaml"]) == 0
    capsys.readouterr()
    assert main(["status", "small.yaml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"done": 6}
    cells = json.loads(Path("reports/small.cells.json").read_text())["cells"]
    assert len(cells) == 6 and all(cell["mean"] > 0 for cell in cells)
    assert "Measured on" in Path("reports/small.md").read_text()
    assert Path("reports/figures/small-curves.png").stat().st_size > 1000
    result = json.loads(next(Path("runs").glob("*/result.json")).read_text())
    assert {"blocked/ms", "naive/ms", "naive/ratio"} <= result["rows"][0].keys()
    with pytest.raises(SystemExit):
        main(["small.yaml", "--jobs", "x"])
    assert main(["small.yaml", "--jobs", "2", "--set", "bench.repeats=3"]) == 2
    assert "one job at a time" in capsys.readouterr().err


def test_a_measurement_is_refused_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    built = RunConfig.build({"kind": "bench"})
    with pytest.raises(UserError, match="runs on the processor"):
        bench.Measurement(built, torch.device("meta"))
    monkeypatch.setattr(provenance, "machine", lambda: "1 core of something else")
    with pytest.raises(UserError, match="something else"):
        bench.Measurement(built, torch.device("cpu"))
