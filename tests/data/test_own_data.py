"""A data set of a user's own: what no training could use is refused when it is prepared, by split and row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import pytest

from suite.cli.main import main
from suite.config.run_config import RunConfig, choices
from suite.data import cards, checks, families
from suite.data.prepared import load
from suite.data.prepared_types import Facts, Prepared
from suite.data.tasks import TASKS
from suite.errors import UserError

CARD = """
name: waves
title: waves
source: made here
licence: none
citation: none
tasks: [scifar, listops]
variants:
  original: {about: two waves, get: made when asked for, download_mb: 0, prepared_mb: 0.1}
"""
Change = Callable[[dict[str, np.ndarray]], object]


def put(name: str, at: Any, value: Any) -> Change:
    return lambda arrays: arrays[name].__setitem__(at, value)


def turn(name: str, change: Callable[[np.ndarray], Any]) -> Change:
    return lambda arrays: arrays.__setitem__(name, change(arrays[name]))


class Waves(ModuleType):
    """A family whose arrays a test can spoil."""

    VIEWS = {"scifar": "values", "listops": "tokens"}
    facts = {"values": Facts(4, channels=1, classes=2), "tokens": Facts(3, vocabulary=5, classes=2)}

    def __init__(self) -> None:
        super().__init__("waves_family")
        self.spoil: Change = lambda arrays: None

    def prepare(self, source: Any, view: str) -> Prepared:
        arrays = {f"{split}/y": np.arange(6) % 2 for split in checks.SPLITS}
        if view == "values":
            arrays |= {f"{split}/x": np.ones((6, 4, 1), np.float32) for split in checks.SPLITS}
        else:
            arrays |= {f"{split}/documents": np.arange(6) % 3 for split in checks.SPLITS}
            arrays |= {"tokens": np.arange(6) % 5, "starts": np.array([0, 3, 4, 6])}
        self.spoil(arrays)
        return Prepared(self.facts[view], arrays)


@pytest.fixture
def waves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waves]:
    """The data set waves, its card, and an empty cache."""
    made = Waves()
    monkeypatch.setattr(cards, "CARDS", tmp_path)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "waves.yaml").write_text(CARD)
    monkeypatch.setitem(sys.modules, "waves_family", made)
    monkeypatch.setitem(families.FAMILIES, "waves", "waves_family")
    cards.load.cache_clear()
    yield made
    cards.load.cache_clear()


def prepare(task: str = "scifar") -> int:
    return main(["data", "prepare", "waves", "--variant", "original", "--task", task])


VALUES: list[tuple[Change, str]] = [
    (put("val/y", 0, 9), ", val: row 0 has the label 9; labels are 0 to 1, as `classes` is 2\n"),
    (put("test/y", 2, -1), ", test: row 2 has the label -1"),
    (turn("val/y", lambda y: y + 0.5), ", val: y is float64 of shape (6,), not int64"),
    (put("train/x", (3, 1, 0), np.nan), ", train: row 3 has a value of x that is not a finite float32: nan\n"),
    (put("val/x", (5, 0, 0), -np.inf), ", val: row 5 has a value of x that is not a finite float32: -inf\n"),
    (turn("val/x", lambda x: x * np.float64(1e39)),
     ", val: row 0 has a value of x that is not a finite float32: 1e+39"),
    (turn("val/x", lambda x: x[:4]), ", val: 4 rows of x and 6 of y"),
    (turn("test/x", lambda x: x[:, :3]), ", test: x has the shape (6, 3, 1), not (n, 4, 1)"),
    (turn("test/x", lambda x: x.astype(str)), ", test: a value of x is <U32, not a number"),
    (turn("val/y", list), ": not NumPy arrays: val/y"),
    (lambda arrays: arrays.pop("val/x"), ": no array val/x; there are test/x, "),
    (lambda arrays: arrays.update(offset=np.zeros((1, 1))), ": there is an array offset, but offset and scale"),
    (lambda arrays: arrays.update(offset=np.zeros(1), scale=np.ones(1)), ": offset has the shape (1,), not (4"),
    (lambda arrays: arrays.update(offset=np.zeros((1, 1)), scale=np.full((1, 1), np.inf)), ": row 0 has a"),
]
TOKENS: list[tuple[Change, str]] = [
    (put("tokens", 3, 5), ": document 1 has the token 5; tokens are 0 to 4, as `vocabulary` is 5"),
    (put("tokens", 5, -1), ": document 2 has the token -1"),
    (turn("tokens", lambda tokens: tokens * 1.0), ": `tokens` is float64 of shape (6,), not a one-dimensional"),
    (turn("starts", lambda starts: starts[:3]), ": `starts` does not increase from 0 to the number of tokens, 6"),
    (put("starts", 1, 5), ": `starts` does not increase"),
    (turn("starts", lambda starts: np.array([0, 4, 4, 6])), ", train: row 0 has 4 tokens; 1 to 3 are allowed"),
    (turn("starts", lambda starts: np.array([0, 3, 3, 6])), ", train: row 1 has 0 tokens"),
    (put("val/documents", 4, 3), ", val: row 4 names the document 3; there are 3"),
    (turn("val/documents", lambda rows: rows[:0]), ", val: 0 rows of documents and 6 of y"),
]


@pytest.mark.parametrize(("task", "spoil", "text"), [("scifar", *case) for case in VALUES]
                         + [("listops", *case) for case in TOKENS])
def test_values_that_nothing_can_use_are_refused(waves: Waves, tmp_path: Path, task: str, spoil: Change, text: str,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    waves.spoil = spoil
    assert prepare(task) == 2
    told = capsys.readouterr().err
    assert f"data set waves, variant original{text}" in told
    assert "\n    " in told and not [*(tmp_path / "cache").glob("waves*")]


def test_good_data_of_either_kind_are_kept(waves: Waves) -> None:
    assert prepare("scifar") == prepare("listops") == 0


def test_facts_that_do_not_fit_the_task(waves: Waves, capsys: pytest.CaptureFixture[str]) -> None:
    waves.facts = {"values": Facts(4, channels=1), "tokens": Facts(4)}
    waves.spoil = lambda arrays: arrays.update({f"{split}/y": np.ones(6, np.float32) for split in checks.SPLITS})
    assert prepare() == 2
    assert "the task scifar is measured by accuracy, but `classes` is None" in capsys.readouterr().err
    assert prepare("listops") == 2
    assert "Facts need either `channels` or `vocabulary`" in capsys.readouterr().err


def test_what_a_family_raises_is_told_with_its_place(waves: Waves, capsys: pytest.CaptureFixture[str]) -> None:
    def lacks(arrays: dict[str, np.ndarray]) -> None:
        raise KeyError("val_x is not a file in the archive")
    waves.spoil, waves.__file__ = lacks, __file__
    assert prepare() == 2
    told = capsys.readouterr().err
    assert "data set waves, variant original: its family fails: KeyError: 'val_x is not a file in the archive'" in told
    assert f"({__file__}, line " in told


def test_memory_that_is_short_is_no_mistake_of_the_data(waves: Waves) -> None:
    waves.spoil = mock.Mock(side_effect=MemoryError("no room"))
    with pytest.raises(MemoryError):
        prepare()
    with pytest.raises(UserError, match="returned tuple, not Prepared"):
        checks.check((), "here")  # type: ignore[arg-type]


def test_check_finds_values_that_were_kept_before_they_were_looked_at(waves: Waves,
                                                                      capsys: pytest.CaptureFixture[str]) -> None:
    waves.spoil = put("val/y", 0, 9)
    with mock.patch.object(checks, "check"):
        assert prepare() == 0
    assert main(["data", "check", "waves"]) == 1
    assert "DAMAGED: data set waves, variant original, val: row 0 has the label 9" in capsys.readouterr().out


def test_a_card_of_an_unknown_task_is_told_what_to_write(waves: Waves, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "waves.yaml").write_text(CARD.replace("[scifar, listops]", "[waves]"))
    assert main(["data", "list"]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/waves.yaml:7: tasks: 'waves' is not a task of the suite" in told
    assert "task: scifar, data.name: waves. allowed: scifar, sc_ar" in told and "declare it in the card" in told
    (tmp_path / "waves.yaml").write_text(CARD)
    cards.load.cache_clear()
    waves.VIEWS = {"waves": "values"}
    assert main(["data", "prepare", "waves"]) == 2
    assert "waves_family: VIEWS: 'waves' is not a task" in capsys.readouterr().err


def test_a_grid_chooses_an_own_data_set_as_the_readme_says(waves: Waves, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs/your-ablation.md"
    assert "`task: scifar, data.name: waves` in the grid" in page.read_text(encoding="utf-8")
    for card in (Path(__file__).parents[2] / "datasets").glob("*.yaml"):  # of the runs whose speeds are known
        (tmp_path / card.name).write_bytes(card.read_bytes())
    (tmp_path / "mine.yaml").write_text("name: mine\nbase: {task: scifar, data.name: waves}\nseeds: [0]\n")
    assert main(["plan", str(tmp_path / "mine.yaml"), "--store", str(tmp_path / "runs")]) == 0
    config = RunConfig.build({"task": "scifar", "data.name": "waves"})
    assert load(config.data, config.task).classes == 2
    assert choices("task") == ["none", *TASKS]
