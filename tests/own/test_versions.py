"""What plan, status, why and report say of own code that was edited, and of runs of earlier releases."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.config import plugin
from suite.config.own import with_sources
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.launch import snapshot
from suite.store.attempt import claim
from suite.store.records import Code, Origin
from suite.store.store import Store


def started(config: object) -> str:
    """A run in the store of the working folder that failed, by its id."""
    folder = Store(Path("runs")).add(config)
    owner = claim(folder)
    assert owner is not None
    owner.end("failed", "error", "the weather")
    return folder.name


def edit(name: str, old: str, new: str) -> None:
    path = Path(name)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 0, capsys.readouterr()
    return capsys.readouterr().out


def test_an_edited_helper_makes_another_run_and_plan_says_so(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = started(load_grid(Path("mine.yaml")).runs[1].config)
    edit("my_h.py", "return", "# a comment\n    return")
    out = told(capsys, "plan", "mine.yaml")
    assert "1 todo, 1 failed: error" in out and "earlier" not in out
    edit("my_h.py", "1.0", "1.1")
    out = told(capsys, "plan", "mine.yaml")
    assert "2 todo" in out
    assert "1 run of an earlier version of my_m:Mine is in the store: my_h was edited" in out
    out = told(capsys, "why", "mine.yaml", "Mine")
    assert f"an earlier version of my_m:Mine: {before}  failed: error; since then my_h was edited" in out


def test_runs_of_earlier_releases_are_still_read_and_plan_names_them(mine: Path,
                                                                     capsys: pytest.CaptureFixture[str]) -> None:
    now = load_grid(Path("mine.yaml")).runs[1].config
    before = started(with_sources(now, {"model.name_source": plugin.earlier("my_m:Mine")}))
    assert before != now.run_id
    out = told(capsys, "plan", "mine.yaml")
    assert "1 run of my_m:Mine has an earlier identity" in out and "1 todo, 1 failed: error" in out
    assert "1 todo, 1 failed" in told(capsys, "status", "mine.yaml")
    assert before in told(capsys, "why", "mine.yaml", "Mine")
    told(capsys, "report", "mine.yaml", "--no-figures")
    assert "0/1 failed" in Path("reports/mine.md").read_text()
    told(capsys, "merge", "runs", "other")
    assert Store(Path("other")).state(before).detail == "the weather"
    edit("my_m.py", "// 2", "// 2 + 0")
    out = told(capsys, "plan", "mine.yaml")
    assert "2 todo" in out and "1 run of an earlier version of my_m:Mine is in the store: identified by" in out


def test_looking_at_a_study_runs_none_of_its_code(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_m.py").write_text("open('ran', 'w')\n1 / 0\n")
    assert "2 todo" in told(capsys, "status", "mine.yaml")
    told(capsys, "report", "mine.yaml", "--no-figures")
    told(capsys, "why", "mine.yaml", "Mine")
    assert not Path("ran").exists()
    assert main(["plan", "mine.yaml"]) == 2
    err = capsys.readouterr().err
    assert "mine.yaml:8: model.name: importing 'my_m' raises ZeroDivisionError" in err and "my_m.py:2" in err
    assert "1 / 0" in err and Path("ran").exists()


def test_the_commit_of_own_code_is_recorded(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["init", "-q"], ["add", "my_m.py", "my_h.py"],
                  ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], check=True)
    monkeypatch.setattr(snapshot.provenance, "of_launch", lambda root: Origin(git=None, command=["a test"]))
    edit("my_h.py", "1.0", "1.1")
    configs = [run.config for run in load_grid(Path("mine.yaml")).runs]
    origin = snapshot.origin(Path("runs"), configs)
    assert set(origin.own_code) == {"my_m", "my_h"}
    code = origin.own_code["my_m"]
    assert isinstance(code, Code) and code.dirty and code.commit and code.patch
    assert "+    return 1.1 * x" in (Path("runs") / code.patch).read_text()
    assert Origin.of(atomic.read_sealed(sealed(origin)), "x").own_code["my_h"].commit == code.commit
    assert snapshot.origin(Path("runs"), configs[:1]).own_code == {}


def sealed(origin: Origin) -> Path:
    path = Path("origin.json")
    path.write_bytes(origin.sealed())
    return path
