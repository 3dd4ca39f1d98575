"""Names that are equal to the eye, and values that are equal as numbers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from suite.errors import UserError
from suite.files.variables import folder_in
from suite.files.yaml import load_yaml, one_form
from suite.grid.expand import load_grid

HEAD = "name: g\nbase: {task: scifar, data.variant: sample}\n"
ACCENTED = "Méthode"
DECOMPOSED = unicodedata.normalize("NFD", ACCENTED)


def labels(tmp_path: Path, text: str, *only: str, axis: str = "m") -> list[str]:
    """The labels of the runs that `--only` leaves, without doubles."""
    (tmp_path / "g.yaml").write_text(HEAD + text, encoding="utf-8")
    return list(dict.fromkeys(run.labels[axis] for run in load_grid(tmp_path / "g.yaml", only=only).runs))


@pytest.mark.parametrize(("asked", "found"), [
    ("1e-3", ["0.001"]), ("0.001", ["0.001"]), (".001", ["0.001"]), ("1E-2", ["0.01"]), ("0.010", ["0.01"])])
def test_numbers_are_compared_as_numbers(tmp_path: Path, asked: str, found: list[str]) -> None:
    text = "axes: {ssm.dt_min: [1e-3, 1e-2]}\n"
    assert labels(tmp_path, text, f"ssm.dt_min={asked}", axis="ssm.dt_min") == found
    for other in ("0.0011", "0.0", "x"):
        with pytest.raises(UserError, match="no run has that value"):
            labels(tmp_path, text, f"ssm.dt_min={other}", axis="ssm.dt_min")


def test_numbers_of_fields_that_are_no_axis_are_numbers_too(tmp_path: Path) -> None:
    text = "axes: {m: {small: {optim.lr: 1e-3}, large: {optim.lr: 1e-2, model.layers: 2}}}\n"
    assert labels(tmp_path, text, "optim.lr=1e-3") == ["small"]
    assert labels(tmp_path, text, "model.layers=2.0") == ["large"]


def test_the_exact_letter_case_comes_first(tmp_path: Path) -> None:
    text = "axes: {m: {a: {ssm.init: lin}, A: {ssm.init: inv}, Bc: {ssm.init: legs}}}\n"
    assert labels(tmp_path, text, "m=a") == ["a"] and labels(tmp_path, text, "m=A") == ["A"]
    assert labels(tmp_path, text, "m=bC", "m=a") == ["a", "Bc"]


def test_set_is_for_the_combinations_that_only_means(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(HEAD + "axes: {m: {a: {ssm.state_size: 2}, A: {ssm.state_size: 4}}}\n")
    grid = load_grid(tmp_path / "g.yaml", sets=["optim.lr=0.5"], only=["m=a"])
    assert [(run.labels["m"], run.config.optim.lr) for run in grid.runs] == [("a", 0.5)]
    assert {run.config.optim.lr for run in grid.left_out} != {0.5}


def test_a_field_is_set_once(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(HEAD)
    with pytest.raises(UserError, match="optim.lr is set twice"):
        load_grid(tmp_path / "g.yaml", sets=["optim.lr=0.5", "optim.lr=0.1"])


def test_names_have_one_form() -> None:
    assert one_form(f"  {DECOMPOSED} \u00a0\u2009 x ") == f"{ACCENTED} x"
    assert one_form("a\nb\t") == "a\nb\t"  # which no label may have


def test_labels_have_one_form_wherever_they_are_written(tmp_path: Path) -> None:
    text = (f"axes:\n  m:\n    '{DECOMPOSED}': {{ssm.init: lin}}\n    'S4D  Inv ': {{ssm.init: inv}}\n"
            "  ssm.state_size: [2, 4]\nexclude: [{when: {m: 'S4D Inv', ssm.state_size: 4}, because: too slow}]\n")
    assert labels(tmp_path, text) == [ACCENTED, "S4D Inv"] and len(load_grid(tmp_path / "g.yaml").runs) == 3
    assert labels(tmp_path, text, f"m={DECOMPOSED}") == labels(tmp_path, text, f"m= {ACCENTED}") == [ACCENTED]


@pytest.mark.parametrize("text", [
    f"axes:\n  m:\n    {ACCENTED}: {{ssm.init: lin}}\n    {DECOMPOSED}: {{ssm.init: inv}}\n",
    "axes:\n  m:\n    a b: {ssm.init: lin}\n    a  b: {ssm.init: inv}\n",
    "axes:\n  m:\n    a b: {ssm.init: lin}\n    'a\u00a0b': {ssm.init: inv}\n",
    "axes:\n  m:\n    a: {ssm.init: lin}\n    'a ': {ssm.init: inv}\n"])
def test_labels_that_look_the_same_are_refused_with_their_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"g\.yaml:6: duplicate key .* \(first defined on line 5\)"):
        labels(tmp_path, text)


def test_a_merge_key_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: 1}\nb: &b {x: 2}\nc:\n  <<: *a\n  <<: *b\n")
    with pytest.raises(UserError, match="a.yaml:5: duplicate key '<<'"):
        load_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize(("value", "path"), [
    ("/data", "/data"), ("~/data", "/home/me/data"), ("$SCRATCH/data", "/scratch/1/data"),
    ("${SCRATCH}/data", "/scratch/1/data"), ("", None), ("  ", None)])
def test_paths_in_variables_are_expanded(value: str, path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/1")
    monkeypatch.setenv("SUITE_DATA", value)
    assert folder_in("SUITE_DATA") == path


@pytest.mark.parametrize(("value", "told"), [("$NO_SUCH/data", "a variable that is not set"),
                                             ("~no-such-user/data", "a home folder that is not known")])
def test_a_path_that_cannot_be_expanded_is_refused(value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_CACHE", value)
    with pytest.raises(UserError, match=told):
        folder_in("SUITE_CACHE")
