"""Measurements as runs: planned, run, stored and shown like trainings, on the machine that they were planned for."""

import json
from pathlib import Path

import pytest
import torch

from suite import machine
from suite.cli.main import main
from suite.config.rules import violations
from suite.config.run_config import RunConfig
from suite.data.tasks import TASKS
from suite.errors import UserError
from suite.train import measurement, step_bench

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


def test_options_that_do_not_fit_a_measurement_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                             capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(GRID)
    gpu = ["--set", "bench.device=cuda"]
    for words, told in ((["--jobs", "2"], "one job at a time"), (["--compile"], "leave --compile out"),
                        (["--recompute"], "leave --recompute out"), (["--gpus", "0"], "measures cpu"),
                        (gpu, "choose a GPU: --gpus 0"), ([*gpu, "--gpus", "0,1"], "on one GPU"),
                        ([*gpu, "--gpus", "0", "--cuda-graphs"], "leave --cuda-graphs out")):
        assert main(["small.yaml", *words]) == 2
        assert told in capsys.readouterr().err, words
        assert not list(tmp_path.glob("runs/*/attempts/*"))


def test_a_measurement_is_refused_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    built = RunConfig.build({"kind": "bench"})
    for measured, place in (("cpu", "meta"), ("cuda", "cpu")):
        with pytest.raises(UserError, match=f"measures {measured}, but runs on {place}"):
            measurement.Measurement(RunConfig.build({"kind": "bench", "bench.device": measured}), torch.device(place))
    monkeypatch.setattr(machine, "machine", lambda: "1 core of something else")
    with pytest.raises(UserError, match="something else"):
        measurement.Measurement(built, torch.device("cpu"))


def test_a_step_is_measured_with_its_parts_and_the_least_it_could_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(step_bench.SHAPES, "retrieval", (32, None, 98, 2))
    monkeypatch.setitem(step_bench.SHAPES, "bidmc_hr", (32, 2, None, None))
    monkeypatch.setitem(step_bench.SHAPES, "sc_bi", (32, 1, None, 35))
    for task, more in (("retrieval", {}), ("bidmc_hr", {}), ("sc_bi", {"train.evaluate": ("val", "test@8000")})):
        config = RunConfig.build({"kind": "bench", "bench.subject": "step", "task": task, "bench.repeats": 2,
                                  "train.batch_size": 2, "model.features": 4, "model.layers": 1,
                                  "ssm.state_size": 4} | more)
        assert not violations(config) and config.train.select == "min step/ms"
        found = measurement.Measurement(config, torch.device("cpu"))
        row = found.advance()
        parts = [row[f"{part}/ms"] for part in (*step_bench.PARTS, "loader", "other")]
        assert sum(parts) == pytest.approx(row["step/ms"]) and row["fft/ms"] > 0 and row["products/ms"] > 0
        assert row["least/ratio"] == pytest.approx(row["step/ms"] / row["least/ms"]) and row["least/ms"] > 0
        assert set(step_bench.SHAPES) == set(TASKS)


def test_the_least_time_grows_with_the_network_and_not_with_what_it_leaves_out() -> None:
    base = {"kind": "bench", "bench.subject": "step", "task": "scifar"}
    monkey = pytest.MonkeyPatch()
    with monkey.context() as m:
        m.setattr(step_bench, "_product_speed", lambda device, precision: 1e9)
        m.setattr(step_bench, "_transform_speed", lambda device, size: 1e9)
        m.setattr(step_bench, "_bandwidth", lambda device: 1e9)
        one, two, wide, big = (step_bench.least(RunConfig.build(base | more)) for more in (
            {}, {"model.layers": 8}, {"model.mixing": "glu"}, {"ssm.state_size": 256}))
    assert two == pytest.approx(2 * one) and big == one
    # A second output of the mixing costs one more product forward and two backward, of 2 B L H H operations each.
    assert wide - one == pytest.approx(4 * 3 * 2 * 50 * 1024 * 128 * 128 / 1e9)


def test_a_step_needs_a_task_and_a_kernel_has_none() -> None:
    for flat in ({"bench.subject": "step"}, {"task": "scifar"}):
        broken = violations(RunConfig.build({"kind": "bench"} | flat))
        assert [rule.mistake for rule in broken] == [True] and "needs a task" in broken[0].because


def test_the_subject_of_a_measurement_left_the_old_ones_their_ids() -> None:
    assert '"subject"' not in RunConfig.build({"kind": "bench"}).canonical
    assert '"subject":"step"' in RunConfig.build({"kind": "bench", "task": "scifar", "bench.subject": "step"}).canonical
