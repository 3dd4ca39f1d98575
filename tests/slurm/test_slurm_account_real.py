"""On a real SLURM that enforces accounts (slurmdbd): an account that is not the user's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.cli.main import main
from suite.launch import batch, slurm_cli

pytestmark = pytest.mark.slurm
START = Path(__file__).parents[1] / "slurm_accounts"
GRID = "name: pair\nbase: {task: scifar, data.variant: sample, train.epochs: 4}\n" \
    "axes: {ssm.init: [lin, inv, real]}\nseeds: [0]\n"


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    folder = tmp_path / "accounts"
    try:
        status = subprocess.run([START, "start", folder], timeout=240).returncode
        if status == 4:
            pytest.skip("slurmdbd or mariadb is not here, and cannot be installed")
        assert status == 0
        monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield
    finally:
        subprocess.run([START, "stop", folder], check=True, timeout=60)


def test_a_refused_account(accounts: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    where = [str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs")]
    cluster = ["--executor", "slurm", "--gpus-per-job", "0", "--account"]
    assert main(["run", *where, *cluster, "nobody"]) == 2
    told = capsys.readouterr().err
    assert "sbatch refused the jobs: " in told and "Invalid account" in told and "Traceback" not in told
    assert "nothing was submitted" in told and "your accounts are: good" in told
    assert batch.all_of(tmp_path / "runs") == []
    assert main(["status", *where]) == 0
    assert "pair: 3 runs: 3 todo" in capsys.readouterr().out
    assert main(["run", *where, *cluster, "good"]) == 0
    assert len(slurm_cli.squeue([one.name for one in batch.all_of(tmp_path / "runs")])) == 4  # and their canary
    assert main(["cancel", *where]) == 0
