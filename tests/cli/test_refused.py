"""A command that is refused starts nothing, and leaves no record of a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.cli.main import USAGE, main

GRID = "name: g\nbase: {task: scifar, data.variant: sample}\naxes: {ssm.init: [lin]}\nseeds: [0]\n"


@pytest.mark.parametrize("options", [
    ["--cuda-graphs"], ["--executor", "slurm", "--jobs", "3"], ["--executor", "slurm", "--cluster", "nowhere.yaml"],
    ["--partition", "gpu"]])
def test_what_is_refused_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str],
                                          capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text(GRID)
    assert main(["run", "g.yaml", *options]) == USAGE
    assert capsys.readouterr().err.startswith("error: ")
    assert not Path("runs").exists()


def test_commands_are_functions_that_python_can_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    from suite.cli.compute_requests import PlanRequest
    from suite.cli.plan import plan
    from suite.grid.expand import load_grid

    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text(GRID)
    assert plan([load_grid(Path("g.yaml"))], PlanRequest()) == 0
    assert "would run: 1" in capsys.readouterr().out
