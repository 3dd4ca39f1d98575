"""Ridge, Random Forest and boosting as runs: they learn, repeat to the bit, and refuse what they cannot do."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import small, waves

from suite import models
from suite.config.fields import CLASSICAL
from suite.config.rules import violations
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.models import classical
from suite.report.published.papers import load_published
from suite.report.tables.layout_files import Placed, load_layout
from suite.train import trajectory
from suite.train.classical_fit import Fit
from suite.train.mode import Mode

CPU = torch.device("cpu")
GRIDS = Path(__file__).parents[2] / "grids"
SSMS, CNNS = ("S4-LegS", "S4D-LegS", "S4D-Lin"), ("InceptionNet", "ResNet-18", "XResNet-50", "ConvNet")
LEARNT = ("Ridge Regression", "Random Forest", "Boosting")
DATA = waves({"train": 120, "val": 30, "test": 30}, classes=None, task="bidmc_hr")


def config(name: str, **more: Any) -> RunConfig:
    fields = {"task": "bidmc_hr", "model__name": name, "train__epochs": 1, "train__evaluate": ["val", "test"]}
    return small(**fields | more)


@pytest.mark.parametrize("name", CLASSICAL)
def test_it_learns_and_repeats_to_the_bit(name: str) -> None:
    if name == "xgboost":
        pytest.importorskip("xgboost")
    data = replace(DATA, arrays={split: (v, v[:, 3, 0] * 10 + 97, None)  # what any of them can learn
                                 for split, (v, _, _) in DATA.arrays.items()})
    fits = [Fit(config(name), data, CPU) for _ in range(2)]
    one, two = (fit.advance() for fit in fits)
    assert {k: v for k, v in one.items() if "time" not in k} == {k: v for k, v in two.items() if "time" not in k}
    mean = Fit(config("mean"), data, CPU).advance()
    assert mean["val/rmse"] == pytest.approx(data.arrays["val"][1].std().item(), rel=0.1)
    assert one["val/loss"] == pytest.approx(one["val/rmse"] ** 2) and {"time/train", "time/eval"} <= one.keys()
    assert name == "mean" or one["test/rmse"] < 0.9 * mean["test/rmse"] and one["train/loss"] < one["val/loss"]
    assert fits[0].finished
    exact = {"mean": 1, "ridge": data.arrays["train"][0][0].numel() + 1}
    assert fits[0].parameters == exact.get(name, fits[0].parameters) and fits[0].parameters > (name != "mean")
    again = Fit(config(name), data, CPU)
    again.restore(fits[0].state())
    assert again.rows == fits[0].rows and again.finished and again.parameters == fits[0].parameters


def test_a_job_takes_it() -> None:
    made = trajectory.Training().make(config("ridge"), DATA, CPU, Mode.EAGER, False)
    assert isinstance(made, Fit)


@pytest.mark.parametrize("change, where", [
    ({"config": {"train__epochs": 2}}, "train.epochs"), ({"device": torch.device("meta")}, "--gpus"),
    ({"config": {"train__evaluate": ["val", "val@4"]}, "data": {"rate_hz": 8}}, "train.evaluate"),
    ({"data": {"classes": 4}}, "model.name")])
def test_what_it_cannot_do_names_the_field(change: dict[str, Any], where: str) -> None:
    with pytest.raises(UserError) as error:
        Fit(config("ridge", **change.get("config", {})), replace(DATA, **change.get("data", {})),
            change.get("device", CPU))
    assert str(error.value).startswith(f"{where}: ")


def test_without_the_extra_xgboost_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def none(name: str, *more: Any, **kw: Any) -> Any:
        if name == "xgboost":
            raise ImportError("No module named 'xgboost'")
        return real(name, *more, **kw)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(UserError, match=r"(?s)^model.name: XGBoost cannot be imported.*s4d-suite\[xgboost\]"):
        Fit(config("xgboost"), DATA, CPU).advance()


def test_the_grid_s_rules(tmp_path: Path) -> None:
    assert not violations(RunConfig.build({"task": "bidmc_hr", "model.name": "ridge", "train.epochs": 1}))
    path = tmp_path / "g.yaml"
    path.write_text("name: g\naxes: {task: [bidmc_hr, sc_bi], model.name: [ridge, ssm]}\nbase: {train.epochs: 1}\n")
    grid = load_grid(path)
    assert len(grid.runs) == 3 and "vital signs" in str(grid.excluded[0])
    path.write_text("name: g\naxes: {task: [bidmc_hr], model.name: [ridge]}\nbase: {train.epochs: 20}\n")
    with pytest.raises(UserError, match="train.epochs must be 1"):
        load_grid(path)


def test_the_grid_of_all_models() -> None:
    for profile in ("mini", "paper"):
        grid = load_grid(GRIDS / "baselines.yaml", profile)
        names = {(run.labels["task"], run.config.model.name) for run in grid.runs}
        assert len(grid.runs) == 144 and len(grid.excluded) == 4
        assert {name for task, name in names if task == "SC (Bi.)"} == set(models.MODELS)
        assert {name for task, name in names if task == "HR"} == {*models.MODELS, *CLASSICAL} - {"xgboost"}
    tables = {run.run_id for n in ("10", "11") for run in load_grid(GRIDS / f"table{n}.yaml").runs}
    shared = {(run.labels["task"], run.labels["method"]) for run in grid.runs if run.run_id in tables}
    assert {method for task, method in shared if task == "HR"} == {*SSMS, "LSTM", "Transformer", *LEARNT}
    assert {method for task, method in shared if task == "SC (Bi.)"} == {*SSMS, *CNNS}


def test_the_layout_of_all_models_fits_its_grid() -> None:
    path = GRIDS.parent / "reports/tables/baselines.yaml"
    placed = load_layout(path, load_grid(GRIDS / "baselines.yaml"), load_published())
    assert isinstance(placed, Placed) and len(placed.layout.columns) == 8


def test_windows_are_whole() -> None:
    fit = Fit(config("ridge"), DATA, CPU)
    x, y = fit._windows(fit.evaluations[0])
    assert x.shape == (30, 48) and y.dtype == np.float64


def test_boosting_without_scikit_learns_private_list_counts_what_is_allowed() -> None:
    x = np.random.default_rng(0).standard_normal((200, 3))
    fitted = classical.estimator("boosting", 0, 1).fit(x, x[:, 0])
    count = classical.parameters("boosting", fitted)
    del fitted._predictors
    assert 0 < count <= classical.parameters("boosting", fitted) == 100 * 61
