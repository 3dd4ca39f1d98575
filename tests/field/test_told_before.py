"""What `run` would refuse is told before anything starts: names, missing data, a folder for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.data import cache
from suite.errors import UserError
from suite.launch import local

ROOT = Path(__file__).parents[2]
GRID = "name: g\nbase: {task: scifar, data.variant: sample}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "g.yaml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("name", ["g", "G"])
@pytest.mark.parametrize("verb", ["plan", "run", "report"])
def test_two_grids_of_one_name_are_refused_before_anything_starts(folder: Path, verb: str, name: str,
                                                                  monkeypatch: pytest.MonkeyPatch,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(local, "launch", lambda *_: pytest.fail("it started"))
    (folder / "h.yaml").write_text(GRID.replace("name: g", f"name: {name}"))
    assert main([verb, "g.yaml", "h.yaml"]) == 2
    assert "g.yaml, h.yaml: two of the grids are named 'g'" in capsys.readouterr().err
    assert not (folder / "runs").exists() and not (folder / "reports").exists()


def test_plan_tells_missing_data_and_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SPEECH_COMMANDS", raising=False)
    monkeypatch.setenv("SUITE_DATA", str(folder / "nothing"))
    (folder / "h.yaml").write_text("name: h\nbase: {task: sc_ar, data.variant: original}\nseeds: {range: 2}\n")
    assert main(["plan", "h.yaml", "g.yaml"]) == 0
    out = capsys.readouterr().out
    assert "data: 2.4 GB to download (speech_commands original 2.4 GB), a few minutes to prepare, " in out
    assert "\n  python run_grid.py data prepare h.yaml g.yaml\n" in out
    assert main(["plan", "h.yaml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"grids", "counts", "price", "runs", "excluded"} <= told.keys()
    assert [(one["name"], one["variant"]) for one in told["data_missing"]] == [("speech_commands", "original")]
    assert main(["run", "h.yaml"]) == 2  # which says the same
    assert "speech_commands" in capsys.readouterr().err
    assert main(["plan", "g.yaml", "--json"]) == 0 and json.loads(capsys.readouterr().out)["data_missing"] == []


def test_without_a_home_folder_the_command_for_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("SUITE_CACHE", raising=False)
    with pytest.raises(UserError, match="no home folder.*\n    name a folder: export SUITE_CACHE="):
        cache.folder()
    monkeypatch.setenv("SUITE_CACHE", "/prepared")
    assert cache.folder() == Path("/prepared")


def test_a_user_without_a_name_gets_a_number(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = ("import getpass, os, pwd, runpy, sys\n"
            "def unknown(uid): raise KeyError('getpwuid(): uid not found')\npwd.getpwuid = unknown\n"
            f"sys.argv = ['run_grid.py', 'plan', 'g.yaml']; sys.path.insert(0, {str(ROOT)!r})\n"
            "from suite.cli.main import main\n"
            "status = main()\nassert getpass.getuser() == str(os.getuid())\nsys.exit(status)\n")
    env = {name: value for name, value in os.environ.items()
           if name not in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "SUITE_CACHE")}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
    assert "1 runs" in capfd.readouterr().out
