"""Runs that cannot even start: long paths for sockets, and a store that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.errors import UserError
from suite.launch import local, server

ROOT = Path(__file__).parents[2]
GRID = "name: g\nbase: {task: scifar, data.variant: sample}\naxes: {ssm.init: [lin, inv]}\n"
LISTEN = ("import multiprocessing.connection as c; from suite.launch import server; server._choose_socket_folder(); "
          "print(c.Listener(family='AF_UNIX').address); import tempfile; print(tempfile.gettempdir())")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "g.yaml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("length", [10, 100, 220])
def test_sockets_have_a_short_folder_however_long_tmpdir_is(tmp_path: Path, length: int) -> None:
    place = tmp_path / ("x" * length)
    place.mkdir()
    done = subprocess.run([sys.executable, "-c", LISTEN], capture_output=True, text=True, check=False,
                          env=os.environ | {"TMPDIR": str(place), "PYTHONPATH": str(ROOT)})
    address, temporary = done.stdout.splitlines()
    assert len(address) < 108 and temporary == str(place)  # other files stay where TMPDIR says
    assert not [*place.iterdir()]


def test_without_a_folder_for_sockets_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_holds_sockets", lambda folder: False)
    server._choose_socket_folder.cache_clear()
    with pytest.raises(UserError, match="set it to a folder with a short path"):
        server._choose_socket_folder()


def test_where_nothing_could_run_the_status_is_1_and_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                              capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise UserError("no sockets here", "TMPDIR", "set it")

    monkeypatch.setattr(server, "start", fail)
    assert main(["g.yaml"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("todo: start failed: lin seed 0 (") and "and 1 more: TMPDIR: no sockets here, set it" in out
    assert "2 runs could not start" in out and (folder / "reports/g.md").exists()


@pytest.mark.parametrize("command", [["plan"], ["status"], ["run"], ["report"], ["cancel"], ["gc"], ["freeze"]])
def test_a_store_that_is_a_dangling_link_is_a_sentence(folder: Path, command: list[str],
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "runs").symlink_to(folder / "purged/scratch")
    assert main([*command, "g.yaml"]) == 2
    assert f"error: runs: is a link to {folder}/purged/scratch, which does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run", "--until", "epoch=1"], ["report"], ["theory"], ["figures"]])
def test_a_folder_for_reports_that_cannot_be_one_is_told_first(folder: Path, command: list[str],
                                                               monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(local, "launch", lambda *_: pytest.fail("it started"))
    (folder / "link").symlink_to(folder / "gone")
    (folder / "file").touch()
    grids = ["g.yaml"] if command[0] in ("run", "report") else []
    assert main([*command, *grids, "--out", "link"]) == 2
    assert f"error: link: is a link to {folder}/gone, which does not exist\n" in capsys.readouterr().err
    assert main([*command, *grids, "--out", "file"]) == 2
    assert "error: file: is a file, and must be a folder\n" in capsys.readouterr().err


def test_below_a_dangling_link_no_store_can_be_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "link").symlink_to(folder / "gone")
    assert main(["run", "g.yaml", "--store", "link/runs"]) == 2
    assert f"error: link: is a link to {folder}/gone, which does not exist\n" in capsys.readouterr().err
