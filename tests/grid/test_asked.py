"""What the command line asks for: seeds, patterns, words in any order; and axes that vary in groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.cli.main import main
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.grid.model import Grid

GRID = """\
name: g
base: {task: scifar, data.variant: sample}
axes: {method: {S4D-Lin: {ssm.init: lin}, S4D-Inv: {ssm.init: inv}, Quad: {ssm.init: quad}}}
seeds: [3, 5]
"""
GROUPS = """\
zip:
  - {ssm.dt_min: [1e-4, 1e-3], ssm.dt_max: [0.01, 0.1]}
  - {model.layers: [1, 2, 3], model.features: [8, 16, 32]}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.yaml").write_text(GRID)
    return tmp_path / "g.yaml"


def seeds_of(grid: Grid) -> list[int]:
    return sorted({run.config.seed for run in grid.runs})


def test_seeds_replace_those_of_grid_profile_and_blocks(path: Path) -> None:
    assert seeds_of(load_grid(path)) == [3, 5]
    assert seeds_of(load_grid(path, seeds=4)) == [0, 1, 2, 3] and load_grid(path, seeds=4).changes == ("--seeds 4",)
    path.write_text(GRID + "blocks: [{base: {model.layers: 2}}, {seeds: [7], base: {model.layers: 1}}]\n"
                           "profiles: {tiny: {seeds: [8]}}\n")
    assert seeds_of(load_grid(path)) == [3, 5, 7]
    assert seeds_of(load_grid(path, "tiny", seeds=2)) == [0, 1] and len(load_grid(path, seeds=2).runs) == 12


def test_each_verb_on_grids_takes_seeds(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "g.yaml", "--seeds", "4"]) == main(["status", "--seeds", "4", "g.yaml"]) == 0
    told = capsys.readouterr().out
    assert "3 method × 4 seeds\n12 runs" in told and "12 runs: 12 todo" in told
    assert main(["report", "g.yaml", "--seeds", "1", "--no-figures"]) == 0
    assert "Changed on the command line: --seeds 1" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["plan", "g.yaml", "--seeds", "0"])


@pytest.mark.parametrize(("only", "labels"), [
    ("method=S4D-*", ["S4D-Lin", "S4D-Inv"]), ("method=*i?", ["S4D-Lin"]), ("method=[QR]uad", ["Quad"]),
    ("ssm.init=*in*", ["S4D-Lin", "S4D-Inv"]), ("method=s4d-lin", ["S4D-Lin"])])
def test_only_takes_patterns(path: Path, only: str, labels: list[str]) -> None:
    assert list(dict.fromkeys(run.labels["method"] for run in load_grid(path, only=[only]).runs)) == labels


def test_a_pattern_that_fits_nothing_is_told(path: Path) -> None:
    with pytest.raises(UserError, match=r"--only method=S5\*: no run has that value"):
        load_grid(path, only=["method=S5*"])


def test_a_label_with_marks_of_a_pattern_is_found_by_its_name(path: Path) -> None:
    path.write_text(GRID.replace("Quad:", '"[Quad]":'))
    assert len(load_grid(path, only=["method=[Quad]"]).runs) == 2


def test_groups_of_zip_vary_each_on_its_own(path: Path) -> None:
    path.write_text(GRID + GROUPS)
    grid = load_grid(path)
    assert len(grid.runs) == 3 * 2 * 3 * 2
    assert {(run.config.model.layers, run.config.model.features) for run in grid.runs} == {(1, 8), (2, 16), (3, 32)}
    assert {(run.config.ssm.dt_min, run.config.ssm.dt_max) for run in grid.runs} == {(1e-4, 0.01), (1e-3, 0.1)}


def test_plan_shows_a_group_as_one_factor(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(GRID + GROUPS)
    assert main(["plan", "g.yaml"]) == 0
    assert ("3 method × 2 ssm.dt_min with ssm.dt_max × 3 model.layers with model.features × 2 seeds\n36 runs"
            in capsys.readouterr().out)


@pytest.mark.parametrize(("groups", "message"), [
    ("[{ssm.dt_min: [1e-4, 1e-3], ssm.dt_max: [0.1]}]", "g.yaml:5: zip: the axes of `zip:` differ in length"),
    ("[{model.layers: [1, 2]}, {model.layers: [1, 2]}]", "axis 'model.layers' is defined in both groups of `zip:`"),
    ("[{method: [1, 2]}]", "axis 'method' is defined in both `axes:` and `zip:`"),
    ("[3]", "zip.0: must be a mapping"),
])
def test_groups_that_do_not_fit(path: Path, groups: str, message: str) -> None:
    path.write_text(GRID + f"zip: {groups}\n")
    with pytest.raises(UserError) as caught:
        load_grid(path)
    assert message in str(caught.value)


def test_bundles_of_groups_may_be_nested(path: Path) -> None:
    path.write_text(GRID + "zip: [{size: {S: {model: {layers: 1}}}, name: {s: {ssm: {state_size: 2}}}}]\n")
    assert {run.config.model.layers for run in load_grid(path).runs} == {1}


@pytest.mark.parametrize("words", [
    ["g.yaml", "S4D-Lin", "seed=3"], ["g.yaml", "--store", "runs", "S4D-Lin", "seed=3"],
    ["--store", "runs", "g.yaml", "S4D-Lin", "--set", "model.layers=1", "seed=3"],
    ["g.yaml", "S4D-Lin", "--only", "seed=3"]])
@pytest.mark.parametrize("verb", ["why", "logs"])
def test_words_and_options_in_any_order(path: Path, verb: str, words: list[str],
                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, *words]) == 0
    told = capsys.readouterr().out
    assert "no logs yet" in told if verb == "logs" else "method S4D-Lin\n" in told and told.count("  seed 3") == 1
    assert "seed 5" not in told


def test_null_takes_a_value_out_of_an_extended_axis(path: Path) -> None:
    (path.parent / "h.yaml").write_text("name: h\nextends: g.yaml\n"
                                        "axes: {method: {Quad: null, S4D-Real: {ssm.init: real}}}\n")
    assert load_grid(path.parent / "h.yaml").axes == {"method": ["S4D-Lin", "S4D-Inv", "S4D-Real"]}
    (path.parent / "h.yaml").write_text("name: h\nextends: g.yaml\naxes: {method: {Qaud: null}}\n")
    with pytest.raises(UserError, match="h.yaml:3: axes.method.Qaud"):
        load_grid(path.parent / "h.yaml")
