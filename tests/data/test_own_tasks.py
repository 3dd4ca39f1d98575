"""A data set and a task of a user's own, in a study and without an edit of the suite."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.data import cards, prepared
from suite.data.extent import extent
from suite.data.needs import needs
from suite.errors import UserError
from suite.files import study
from suite.grid.expand import load_grid
from suite.launch import snapshot
from suite.store.store import Store

CARD = """\
name: waves
title: Two kinds of waves
source: made here
licence: none
citation: none
prepare: my_data:waves
tasks:
  waves: {inputs: values, metric: accuracy, classes: 2}
  heights: {inputs: values, metric: spread, direction: min, evaluate: my_data:spread}
variants:
  original:
    about: two waves
    get: it is made
    download_mb: 0
    prepared_mb: 0.1
    files: {numbers: {path: numbers.txt}}
    options: {step: {about: a step, default: 1.0}}
"""
CODE = """\
import numpy as np

from suite.data.prepared_types import Facts, Prepared


def waves(source, view):
    base = float(source.path("numbers").read_text()) + source.options["step"]
    arrays = {}
    for split in ("train", "val", "test"):
        kind = np.arange(20) % 2
        arrays[f"{split}/x"] = np.sin(np.outer(1 + kind, np.arange(16)))[..., None].astype(np.float32) * base
        arrays[f"{split}/y"] = kind.astype(np.int64) if view == "waves" else kind.astype(np.float32)
    return Prepared(Facts(16, channels=1, classes=2 if view == "waves" else None), arrays)


def spread(outputs, targets):
    return (outputs.squeeze(-1) - targets).abs().max()
"""
GRID = """\
name: mine
base: {{task: {task}, train.epochs: 1, train.batch_size: 5, model.layers: 1, model.features: 4, ssm.state_size: 2}}
axes: {{ssm.init: [lin]}}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A study with a data set and two tasks; its grids are waves.yaml and heights.yaml."""
    folder = tmp_path / "my study"
    for name in ("datasets", "grids"):
        (folder / name).mkdir(parents=True)
    (folder / "datasets/waves.yaml").write_text(CARD)
    (folder / "my_data.py").write_text(CODE)
    (folder / "numbers.txt").write_text("1.0\n")
    for task in ("waves", "heights"):
        (folder / f"grids/{task}.yaml").write_text(GRID.format(task=task))
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    yield folder
    forget()


def forget() -> None:
    """As a new process is: no card is read, and no module imported."""
    cards.load.cache_clear()
    sys.modules.pop("my_data", None)


def identity(folder: Path, task: str = "waves") -> str:
    forget()
    run, = load_grid(folder / f"grids/{task}.yaml").runs
    return run.run_id


def test_a_grid_names_the_task_and_finds_the_data(mine: Path) -> None:
    run, = load_grid(mine / "grids/waves.yaml").runs
    assert (run.config.data.name, run.config.train.select) == ("waves", "max val/accuracy")
    assert run.config.data.options == {"step": 1.0} and len(run.config.data.name_source) == 16
    data = prepared.load(run.config.data, "waves")
    assert (data.classes, data.count("val"), data.length) == (2, 20, 16)


def test_card_and_function_belong_to_the_id_and_to_the_key(mine: Path) -> None:
    first = identity(mine)
    card, code = mine / "datasets/waves.yaml", mine / "my_data.py"
    card.write_text("# a remark\n" + CARD.replace("title: Two kinds", "title: Three kinds"))
    assert identity(mine) == first
    code.write_text(CODE.replace("np.sin", "np.cos"))
    second = identity(mine)
    data = load_grid(mine / "grids/waves.yaml").runs[0].config.data
    assert second != first and prepared.load(data, "waves").arrays["val/x"][0, 0, 0] == 2
    code.write_text(CODE)
    assert identity(mine) == first
    data = load_grid(mine / "grids/waves.yaml").runs[0].config.data
    assert prepared.load(data, "waves").arrays["val/x"][0, 0, 0] == 0
    card.write_text(CARD.replace("metric: spread, direction: min", "metric: spread, direction: max"))
    assert identity(mine) == first != identity(mine, "heights")


def test_the_size_of_own_data_is_a_guess_until_they_are_prepared_and_no_code_of_theirs_is_imported(mine: Path) -> None:
    [run] = load_grid(mine / "grids/heights.yaml").runs
    sys.modules.pop("my_data", None)
    before, [need] = extent(run.config.data, "heights"), needs([run.config])
    assert not before.sure and need.to_prepare and "my_data" not in sys.modules
    data = prepared.load(run.config.data, "heights")
    after, [need] = extent(run.config.data, "heights"), needs([run.config])
    assert after.sure and not need.to_prepare and need.disk_bytes == 0
    assert (after.length, after.counts["train"]) == (data.length, data.count("train"))


def test_a_run_whose_data_were_edited_after_the_plan_is_refused(mine: Path) -> None:
    from suite.train.trajectory import load

    run, = load_grid(mine / "grids/waves.yaml").runs
    (mine / "my_data.py").write_text(CODE.replace("np.sin", "np.cos"))
    forget()
    with pytest.raises(UserError, match="the data set waves is not the one that the run was planned with"):
        load(run.config)


@pytest.mark.parametrize(("task", "shown"), [("waves", "accuracy"), ("heights", "spread")])
def test_it_trains_and_is_reported(mine: Path, tmp_path: Path, task: str, shown: str, one_thread: None,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    grid = str(mine / f"grids/{task}.yaml")
    (mine / "reports/tables").mkdir(parents=True)
    layout = "name: t\ngrid: mine\nrows: ssm.init\ncolumns: [{label: all, digits: 2}]\n"
    (mine / "reports/tables/t.yaml").write_text(layout)
    assert main([grid, "--executor", "debug", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert f"validation {shown}" in told and re.search(r"lin +\d+\.\d\d", told), told


@pytest.mark.parametrize(("old", "new", "message"), [
    ("inputs: values, metric: accuracy, classes", "inputs: values, classes",
     "waves.yaml:8: tasks.waves.metric: this key is missing"),
    ("classes: 2", "direction: max", "waves.yaml:8: tasks.waves: accuracy needs `classes`; rmse must not have them"),
    (", evaluate: my_data:spread", "", "tasks.heights: the metric spread needs `evaluate: module:function`"),
    ("prepare: my_data:waves\n", "", "waves.yaml: the card names no function that prepares the data"),
    ("  waves: {inputs", "  scifar: {inputs", "tasks.scifar: 'scifar' is a task of the suite"),
    ("name: waves", "name: wave", "waves.yaml:1: name: the file is named waves.yaml"),
])
def test_a_card_that_is_not_right_is_told_by_line(mine: Path, old: str, new: str, message: str) -> None:
    assert CARD.count(old) == 1
    (mine / "datasets/waves.yaml").write_text(CARD.replace(old, new))
    with pytest.raises(UserError, match=re.escape(message)):
        load_grid(mine / "grids/waves.yaml")


def test_what_does_not_fit_is_told(mine: Path) -> None:
    path = mine / "grids/waves.yaml"
    path.write_text(GRID.format(task="wafes"))
    with pytest.raises(UserError, match=r"waves.yaml:2: task: 'wafes' is not allowed here\n.*did you mean 'waves'"):
        load_grid(path)
    path.write_text(GRID.format(task="waves"))
    (mine / "datasets/waves.yaml").write_text(CARD.replace("classes: 2", "classes: 3"))
    forget()
    run, = load_grid(path).runs
    with pytest.raises(UserError, match="the task waves has 3 classes in the card, but in Facts 2"):
        prepared.load(run.config.data, "waves")
    (mine / "datasets/waves.yaml").write_text(CARD.replace("my_data:waves", "my_data:wave"))
    forget()
    with pytest.raises(UserError, match="my_data"):
        load_grid(path)


def test_a_data_set_of_the_suite_s_name(mine: Path) -> None:
    (mine / "datasets/cifar10.yaml").write_text(CARD.replace("name: waves", "name: cifar10"))
    with pytest.raises(UserError, match=r"datasets/cifar10.yaml: there is another data set 'cifar10': "):
        load_grid(mine / "grids/waves.yaml")


def test_jobs_of_a_cluster_get_card_and_function(mine: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run, = load_grid(mine / "grids/waves.yaml").runs
    place = snapshot.freeze(store.root, [run.config])
    copy, = (place / study.COPIES.name).iterdir()
    assert (place / "my_data.py").read_text() == CODE and snapshot.place(store.root, [run.config]) == place
    assert (copy / "datasets/waves.yaml").read_text() == CARD
    study.clear()
    forget()
    monkeypatch.setattr(study, "COPIES", copy.parent)
    study.add([copy])
    monkeypatch.syspath_prepend(str(place))
    (mine / "my_data.py").unlink()
    again = RunConfig.build({"task": "waves"})
    assert again.data.name_source == run.config.data.name_source
    assert prepared.load(again.data, "waves").count("train") == 20


def test_the_command_data_knows_those_of_the_folder_that_it_is_called_in(mine: Path, monkeypatch: pytest.MonkeyPatch,
                                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(mine)
    assert main(["data", "prepare", "waves"]) == 0
    told = capsys.readouterr().out
    assert "waves original for waves: train 20, val 20, test 20" in told and "for heights" in told
    assert main(["data", "list", "waves"]) == main(["data", "check", "waves"]) == 0


@pytest.mark.slow
def test_processes_of_runs_find_them(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(mine / "grids/heights.yaml"), "--store", str(tmp_path / "runs"), "--out",
                 str(tmp_path / "out")]) == 0
    assert "validation spread" in capsys.readouterr().out
