"""A number for every plan: where each speed is from, how it is scaled, and what is said of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.plan import operations, speed_test
from suite.plan.estimate import rough
from suite.plan.forecast import Forecast, Origin, Place, forecast
from suite.plan.operations import Device
from suite.plan.plan import make_plan
from suite.plan.speeds import shipped
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
EPYC = shipped().devices["AMD EPYC (AVX512)"].pass_seconds or math.nan
H100 = "NVIDIA H100 80GB HBM3"
GRID = """
name: g
base: {task: scifar, data.variant: jpeg, model.bidirectional: true, train.epochs: 10}
axes: {size: {usual: {}, wide: {model.features: 256}}}
seeds: {range: 3}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "g.yaml").write_text(GRID)
    return tmp_path


def cpu(times: float = 1.0, threads: int = 1) -> Place:
    """A CPU that is slower than that of the shipped speeds, by this factor."""
    return Place(Device.CPU, "", threads, lambda: times * EPYC)


def never() -> float:
    raise AssertionError("the speed test is not needed")


def of(grid: Grid, place: Place, **sources: Any) -> Forecast:
    return forecast(make_plan([grid], Store(Path("runs"))), place, **sources)


def test_a_shipped_speed_of_the_same_shape_is_scaled_by_this_machines_speed_alone() -> None:
    grid = load_grid(Path("g.yaml"))
    found, slow = of(grid, cpu()), of(grid, cpu(2.0))
    usual = grid.runs[0].config.shape
    kept = next(one for one in shipped().speeds if one.shape == usual)
    assert found.speeds[usual].seconds == kept.seconds and found.speeds[usual].origin is Origin.SHIPPED
    assert found.speeds[usual].source == "results/table3a-scifar-epoch1, results/table3b-scifar-epoch1"
    assert slow.seconds == pytest.approx(2 * found.seconds)
    assert of(grid, cpu(threads=4)).seconds == pytest.approx(found.seconds / 4**0.7)
    assert found.origins == {Origin.SHIPPED: 3, Origin.SHIPPED_SCALED: 3}


def test_a_wider_model_takes_longer_and_all_times_add_up() -> None:
    grid = load_grid(Path("g.yaml"))
    found = of(grid, cpu())
    usual, wide = (found.speeds[run.config.shape] for run in (grid.runs[0], grid.runs[3]))
    assert 2 < wide.seconds / usual.seconds < 4  # transforms and arrays twice, products four times
    assert found.seconds == pytest.approx(30 * (usual.seconds + wide.seconds))
    assert found.longest == (grid.runs[3].run_id, 10 * wide.seconds)
    assert (found.seed_runs, found.seed) == (2, pytest.approx(found.seconds / 3))
    assert found.at(1) == found.seconds and found.at(6) == found.longest[1] and found.at(2) == found.seconds / 2
    assert 2.0 <= found.factor <= 2.5


def test_the_store_comes_first_then_a_probe_and_neither_needs_the_speed_test() -> None:
    grid = load_grid(Path("g.yaml"))
    usual, wide = grid.runs[0].config.shape, grid.runs[3].config.shape
    place = Place(Device.CPU, "", 1, never)
    found = of(grid, place, known={usual: 5.0}, probed={usual: 7.0, wide: 11.0})
    assert (found.speeds[usual].seconds, found.speeds[usual].origin) == (5.0, Origin.STORE)
    assert (found.speeds[wide].seconds, found.speeds[wide].origin) == (11.0, Origin.PROBE)
    assert found.seconds == 30 * 5 + 30 * 11


def test_other_shapes_of_this_store_come_before_shipped_speeds() -> None:
    grid = load_grid(Path("g.yaml"))
    usual, wide = grid.runs[0].config, grid.runs[3].config
    found = of(grid, cpu(), known={usual.shape: 10.0}).speeds[wide.shape]
    counted = [operations.seconds_per_epoch(one, Device.CPU) for one in (usual, wide)]
    assert found.origin is Origin.STORE_SCALED and found.seconds == pytest.approx(10 * counted[1] / counted[0])


def test_every_run_of_every_grid_has_a_number_on_a_processor_and_on_a_gpu() -> None:
    grids = [load_grid(path) for path in sorted((ROOT / "grids").glob("*.yaml"))]
    made = make_plan(grids, Store(Path("runs")))
    for place in (cpu(), Place(Device.GPU, H100, 1, None)):
        found = forecast(made, place)
        assert found.each.keys() == {run.run_id for run in made.runs}
        assert all(0.001 < seconds < 1e9 for seconds in found.each.values())
        assert all(1 <= speed.factor <= 15 for speed in found.speeds.values())
    assert {Origin.SHIPPED_SCALED, Origin.COUNTED, Origin.EXPECT} <= found.origins.keys()


def test_a_gpu_is_as_fast_as_the_kept_runs_which_shared_it_and_another_one_is_less_sure() -> None:
    kept = next(one for one in shipped().speeds if one.device == H100)
    assert kept.at_once == 4 and kept.source == "results/spo2-epoch27"
    grid = load_grid(ROOT / "grids/first-epochs-spo2.yaml")
    shared, alone, other = (of(grid, Place(Device.GPU, name, 1, None, jobs)).speeds[kept.shape]
                            for name, jobs in ((H100, 4), (H100, 1), ("NVIDIA A100", 1)))
    assert shared.seconds == kept.seconds and kept.seconds / 4 < alone.seconds == kept.seconds / 2
    assert alone.factor == 3.0 and other.factor == 4.0


@pytest.mark.parametrize("name", ["ssm", "transformer", "convnet", "inception", "resnet18", "xresnet50"])
def test_products_are_those_that_torch_counts(name: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from suite.train.step_bench import noise
    from suite.train.trainer import Trainer

    config = RunConfig.build({"task": "scifar", "model.name": name, "model.features": 16, "model.layers": 4,
                              "model.bidirectional": name in ("ssm", "transformer"), "train.batch_size": 2})
    trainer = Trainer(config, noise(config), torch.device("cpu"))
    with FlopCounterMode(display=False) as counter:
        trainer.train_step()
    attention = 4 * 3 * 4 * 2 * 1024**2 * 16 if name == "transformer" else 0  # which torch does not count on a CPU
    assert counter.get_total_flops() == pytest.approx(operations.step_of(config).products - attention, rel=0.2)


def test_the_speed_test_runs_once_on_a_machine_and_never_for_status(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[float] = []
    monkeypatch.setattr(speed_test, "measure", _counted(speed_test.measure, calls))
    assert main(["status", "g.yaml"]) == 0
    assert not calls and not (folder / "cache").exists()
    assert main(["plan", "g.yaml"]) == 0 and main(["plan", "g.yaml", "--seeds", "1"]) == 0
    assert len(calls) == 1 and 1e-4 < calls[0] < 1
    [kept] = (folder / "cache/speeds").iterdir()
    kept.write_text("{}")
    assert main(["plan", "g.yaml"]) == 0 and len(calls) == 2, "a damaged file is no number"
    assert "estimated time: " in capsys.readouterr().out


def test_the_speed_test_runs_once_in_a_plan_if_its_result_cannot_be_kept(folder: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    monkeypatch.setattr(speed_test, "measure", _counted(lambda: 0.01, calls))
    monkeypatch.setattr(speed_test, "cache_file", lambda name: None)
    assert main(["plan", "g.yaml"]) == 0 and len(calls) == 1


def _counted(measure: Callable[[], float], calls: list[float]) -> Callable[[], float]:
    def call() -> float:
        calls.append(measure())
        return calls[-1]
    return call


def test_json_keeps_its_keys_and_has_the_estimate_the_data_and_what_is_expected(
        folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "g.yaml").write_text(GRID + "expect: {minutes: 7}\n")
    assert main(["plan", "g.yaml", "--json", "--jobs", "2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"grids", "counts", "shared", "until", "price", "excluded", "runs", "data_missing"} <= told.keys()
    assert told["price"] == {"slot_seconds": 0, "known": 0, "unknown": 6}  # what runs have told, as before
    found = told["estimate"]
    assert found["slots"] == 2 and found["wall_seconds"] == pytest.approx(found["slot_seconds"] / 2)
    assert found["seed_runs"] == 2 and found["longest_run"] in {run["id"] for run in told["runs"]}
    assert set(found["runs"]) == {"shipped speeds of the same shape", "shipped speeds, scaled by counted operations"}
    assert all({"seconds", "origin", "factor", "source"} == one.keys() for one in found["shapes"].values())
    assert told["data"][0]["name"] == "cifar10" and told["expect"]["g"]["minutes"] == 7
    assert main(["plan", "g.yaml"]) == 0
    assert "  g expects at most 7 minutes\n" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "told"), [
    (42.4, "42 s"), (35 * 60, "35 min"), (3.46 * 3600, "3.5 h"), (31.2 * 3600, "31 h"), (424 * 3600, "420 h"),
    (2345 * 3600, "2,300 h"), (112_345 * 3600, "110,000 h")])
def test_a_time_that_is_known_within_a_factor_has_two_digits(seconds: float, told: str) -> None:
    assert rough(seconds) == told


def test_on_a_cluster_gpu_hours_are_told_and_runs_longer_than_a_job(cluster: Fake, folder: Path,
                                                                    capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "g.yaml").write_text(GRID.replace("train.epochs: 10", "train.epochs: 1000"))
    assert main(["plan", "g.yaml", "--executor", "slurm", "--gpus-per-job", "1", "--time", "60"]) == 0
    out = capsys.readouterr().out
    assert " GPU hours in all)\n" in out and "6 at a time on GPUs, within a factor of 4" in out
    assert "warning: 6 runs need up to " in out and "but the time limit is 60:00 min" in out
