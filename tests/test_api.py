"""The suite from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import suite
from suite.errors import UserError

ROOT = Path(__file__).parents[1]
STORE = ROOT / "results/quickstart/store"


def test_results_are_one_tidy_table() -> None:
    grid = suite.load_grid(ROOT / "grids/quickstart.yaml")
    frame = suite.results(grid, STORE)
    assert len(frame) == sum(run.config.train.epochs for run in grid.runs) > 100
    assert {"grid", "task", "method", "run_id", "seed", "epoch", "val/accuracy", "ssm.init"} <= set(frame)
    best = frame[frame["task"] == "sCIFAR"].groupby(["method", "seed"])["val/accuracy"].max().groupby("method").mean()
    assert best["S4D-Lin"] > best["S4D-Real"]


def test_a_report_is_made_from_python(tmp_path: Path) -> None:
    made = suite.make_report(suite.load_grid(ROOT / "grids/quickstart.yaml"), STORE, tmp_path, figures=False)
    assert "S4D-Lin" in made.text and all(path.is_file() for path in made.paths)


def test_a_mistake_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("name: g\nbasis: {}\n")
    with pytest.raises(UserError, match="unknown key 'basis'"):
        suite.load_grid(tmp_path / "g.yaml")


def test_importing_the_suite_is_light() -> None:
    code = "import sys, suite; print([m for m in ('torch', 'pandas', 'numpy', 'pydantic', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
