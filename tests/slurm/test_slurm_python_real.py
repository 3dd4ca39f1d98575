"""On a real SLURM: jobs whose Python cannot start, as its place is named wrongly, or it was moved after the submission.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.launch import batch, queue, slurm_cli

pytestmark = pytest.mark.slurm
GRID = """\
name: one
base: {task: scifar, data.variant: sample, train.epochs: 1, model.layers: 1, model.features: 8, train.batch_size: 8}
axes: {ssm.init: [lin]}
seeds: [0]
"""
CLUSTER = ["--executor", "slurm", "--gpus-per-job", "0", "--memory", "1500M"]
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Types a command about a grid of one run; its exit status, and what it prints."""
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    monkeypatch.setattr(queue, "EVERY_S", 1.0)
    (tmp_path / "one.yaml").write_text(GRID)

    def typed(verb: str, *words: str) -> tuple[int, str]:
        capsys.readouterr()
        where = [str(tmp_path / "one.yaml"), "--profile", "mini", "--store", str(tmp_path / "runs")]
        report = ["--out", str(tmp_path / "reports")] if verb in ("run", "retry") else []
        status = main([verb, *where, *report, *words])
        told = capsys.readouterr()
        return status, told.out + told.err

    return typed


def test_a_pythonhome_that_holds_no_python(say: Say, tmp_path: Path) -> None:
    reason = "Python cannot start: PYTHONHOME=/nowhere has no Python in it; unset PYTHONHOME"
    status, told = say("run", *CLUSTER, "--setup", "export PYTHONHOME=/nowhere", "--wait")
    [one] = batch.all_of(tmp_path / "runs")
    label = f"{batch.job_of(tmp_path / 'runs', one.name)}_0"
    assert status == 1 and f"job {label} ended before it started its run: {reason}" in told
    for verb, *words in (("status",), ("logs",), ("why", "lin")):
        status, told = say(verb, *words)
        assert status == 0 and f"last start failed: {reason} (job {label})" in told, told
    assert "Fatal Python error" in say("logs")[1]
    assert say("run", *CLUSTER, "--setup", "export PYTHONHOME=/nowhere", "--wait")[0] == 1
    assert f"last start failed, 2 times: {reason} (job " in say("status")[1]
    assert "retry --reason start" in say("run", *CLUSTER, "--wait")[1]  # not without being asked


def test_an_environment_that_was_moved_after_the_submission(say: Say, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
        assert say("run", *CLUSTER, "--extra", "begin=now+2")[0] == 0
    (tmp_path / "venv").rename(tmp_path / "moved")
    [one] = batch.all_of(tmp_path / "runs")
    until = time.monotonic() + 60
    while slurm_cli.squeue([one.name]) and time.monotonic() < until:
        time.sleep(0.3)
    gone = f"cannot be started on the node (No such file or directory): {tmp_path / 'venv/bin/python'} (job "
    for verb, *words in (("status",), ("logs",), ("why", "lin")):
        assert gone in say(verb, *words)[1]
    status, told = say("retry", "--reason", "start", *CLUSTER, "--wait")
    assert status == 0 and "lin seed 0: done" in told


def test_an_environment_that_is_gone_when_the_job_is_started_again(say: Say, tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "venv/lib").symlink_to(Path(sys.prefix) / "lib")  # with all packages, as the job begins
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", tmp_path / "venv")
    longer = ["--set", "train.epochs=20"]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
        assert say("run", *CLUSTER, *longer, "--checkpoint", "0.0001")[0] == 0
    [one] = batch.all_of(tmp_path / "runs")
    label = f"{batch.job_of(tmp_path / 'runs', one.name)}_0"
    until = time.monotonic() + 60
    while not list((tmp_path / "runs" / one.runs[0]).glob("checkpoint-*")) and time.monotonic() < until:
        time.sleep(0.05)
    (tmp_path / "venv").rename(tmp_path / "moved")
    subprocess.run(["scancel", "--signal=USR2", label], check=True)
    while slurm_cli.squeue([one.name]) and time.monotonic() < until:
        time.sleep(0.3)
    told = say("status", *longer)[1]
    assert "1 partial: start failed" in told and f"{tmp_path / 'venv/bin/python'} (job {label})" in told, told
    status, told = say("run", *CLUSTER, *longer, "--wait")
    assert status == 0 and "lin seed 0: done" in told
