"""From a fresh clone and an empty home folder to a table, with the three commands that a new user types."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins import bare_machine

GRID = "grids/table3a.yaml"
SMALL = ["--only", "method=S4D-Lin", "--seeds", "1", "--set", "model.layers=1", "--set", "model.features=8", "--set",
         "ssm.state_size=8"]


class User:
    """Types commands in the clone, without variables of this machine."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self.variables = folder, variables

    def types(self, *words: str, status: int = 0) -> str:
        done = subprocess.run([sys.executable, "run_grid.py", *words], cwd=self.folder, env=self.variables,
                              capture_output=True, text=True, timeout=300)
        assert "Traceback" not in done.stderr and done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with bare_machine(tmp_path) as (folder, variables):
        yield User(folder, variables)


@pytest.mark.slow
def test_a_new_user_comes_from_a_clone_to_the_table(user: User) -> None:
    plan = user.types("plan", GRID)
    assert "would run: 144" in plan and "bidmc original, for bidmc_spo2 only 1.1 GB), a few minutes to prepare" in plan
    assert f"\n  python run_grid.py data prepare {GRID}\n" in plan
    assert " h, 2 at a time, within a factor of " in plan or " h, 1 at a time, within a factor of " in plan

    refused = user.types(GRID, *SMALL, status=2)
    assert "only with --download: cifar10 original (144 MB), speech_commands original (2 MB), bidmc original" in refused
    command = f"data prepare {GRID} --set model.layers=1 --set model.features=8 --set ssm.state_size=8 --only "
    assert f"`python run_grid.py {command}method=S4D-Lin --seeds 1` downloads and prepares them" in refused
    assert not (user.folder / "runs").exists()

    part = user.types("data", "prepare", GRID, "--only", "task=SC")
    assert "downloading 2 MB for speech_commands original" in part and "cifar10" not in part and "bidmc" not in part
    prepared = user.types("data", "prepare", GRID)
    assert "downloading 144 MB for cifar10 original from the Hugging Face hub: uoft-cs/cifar10" in prepared
    assert "cifar10 original for scifar: train 200, val 5,000, test 50" in prepared
    assert "BIDMC32SpO2_TRAIN.ts" in prepared and "BIDMC32HR" not in prepared
    assert prepared.endswith(f"all data of these runs are prepared; to start them: python run_grid.py {GRID}\n")
    assert "data: available" in user.types("plan", GRID)
    assert "downloading" not in user.types("data", "prepare", GRID)

    run = user.types(GRID, *SMALL, "--until", "epoch=1", "--threads", "1", "--gpus", "none")
    assert "[3/3] " in run and "validation accuracy" in run and " at epoch 1 of 200, n=1" in run
    assert (user.folder / "reports" / "table3a.md").exists()
