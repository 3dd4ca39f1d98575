"""The packages that `doctor` looks for are those that the project asks for, each in a suitable version."""

from __future__ import annotations

import importlib.metadata
import os
import pwd
import tomllib
from pathlib import Path

import pytest

from suite.cli import doctor
from suite.cli.main import main

DECLARED = ["numpy", "never-heard-of>=1", "pydantic<2", 'pytest; extra == "dev"', 'winreg; sys_platform == "win32"']


def findings() -> dict[str, str]:
    return {one.text.split()[0].rstrip(":"): one.mark.value for one in doctor._python()}


def test_packages_are_those_of_the_installed_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: DECLARED if name == "s4d-suite" else None)
    assert findings() == {"Python": "ok", "numpy": "ok", "never-heard-of": "MISSING", "pydantic": "MISSING"}
    texts = [one.text for one in doctor._python()]
    assert "never-heard-of: pip install -c constraints.txt never-heard-of" in texts
    assert any(text.startswith("pydantic 2") and "(<2 is needed)" in text for text in texts)


def test_a_clone_that_is_not_installed_is_read_from_its_project_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)
    monkeypatch.setattr(importlib.metadata, "requires", absent)
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    assert len(declared) > 10
    assert [*findings()] == ["Python", *(name.partition(">")[0] for name in declared)]


def test_it_runs_on_systems_without_cpu_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert [one.mark for one in doctor._torch() if "threads by default" in one.text] == ["ok"]


def test_without_a_home_folder_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    """As in a container whose user is in no list of users."""
    def unknown(_: object) -> object:
        raise KeyError

    for name in ("HOME", "SUITE_CACHE", "SUITE_DATA", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert main(["doctor", "--store", str(tmp_path)]) == 1
    assert ("\n  MISSING  SUITE_CACHE: there is no home folder for the prepared data; name a folder: "
            "export SUITE_CACHE=/…\n") in capsys.readouterr().out
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    assert main(["doctor", "--store", str(tmp_path)]) == 0
    assert "\n  cifar10 original            144 MB" in capsys.readouterr().out
