"""What messages tell a user to type: the command as it was typed, from a clone, from elsewhere, or installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.data import cards
from suite.files import program, resources

GRID = "name: g\nbase: {task: sc_ar, data.variant: original}\nseeds: [0]\n"


@pytest.mark.parametrize(("called", "name", "typed"), [
    ("run_grid.py", "run_grid.py", "python run_grid.py"),
    ("../a clone/run_grid.py", "run_grid.py", "python '../a clone/run_grid.py'"),
    ("/env/bin/s4d-suite", "s4d-suite", "s4d-suite"), ("s4d-suite.exe", "s4d-suite", "s4d-suite"),
    ("/lib/ipykernel_launcher.py", "run_grid.py", "python run_grid.py")])
def test_the_name_is_the_one_that_was_typed(called: str, name: str, typed: str,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    assert (program.name(), program.typed()) == (name, typed)


def test_a_virtual_environment_that_is_not_activated_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = sys.executable
    for folder in (tmp_path / "other", tmp_path / "my env" / "bin"):
        folder.mkdir(parents=True)
        (folder / "python").symlink_to(real)
    monkeypatch.setattr(sys, "argv", ["run_grid.py"])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "my env"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "my env" / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.chdir(tmp_path)
    assert program.typed() == "'my env/bin/python' run_grid.py"
    assert program.from_anywhere() == f"'{tmp_path}/my env/bin/python' {tmp_path}/run_grid.py"
    monkeypatch.chdir(tmp_path / "other")
    assert program.typed() == f"'{tmp_path}/my env/bin/python' run_grid.py"
    monkeypatch.setenv("PATH", str(tmp_path / "my env" / "bin"))
    assert program.typed() == "python run_grid.py"


def test_every_message_of_the_installed_command_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["/env/bin/s4d-suite"])
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SUITE_DATA", raising=False)
    grid = tmp_path / "g.yaml"
    grid.write_text(GRID)
    assert main(["plan", str(grid)]) == main(["data", "list"]) == main(["plan", str(grid), "--json"]) == 0
    assert main([str(grid)]) == main(["data", "prepare", "bidmc", "--variant", "cut"]) == 2
    assert main(["data", "prepare", "cifar10", "--variant", "original", "--task", "none"]) == 2
    out, err = capsys.readouterr()
    assert "run_grid.py" not in out + err and f"  s4d-suite data prepare {grid}\n" in out
    assert '"command": "s4d-suite data prepare speech_commands --variant original"' in out
    assert f"`s4d-suite data prepare {grid}` downloads and prepares them" in err
    ways = [variant.way for name in cards.names() for variant in cards.load(name).variants.values()]
    assert any("`s4d-suite data prepare" in way for way in ways) and not any("run_grid.py" in way for way in ways)


def test_a_grid_that_was_installed_is_named_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "IN_WHEEL", tmp_path)
    assert resources.shown(tmp_path / "grids" / "table3a.yaml") == "suite:table3a.yaml"
    assert resources.shown(Path("grids/table3a.yaml")) == "grids/table3a.yaml"
    monkeypatch.setattr(sys, "argv", ["/lib/ipykernel_launcher.py"])
    assert program.typed() == "s4d-suite"
