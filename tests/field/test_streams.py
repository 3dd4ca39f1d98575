"""Output that cannot be written as it is: closed, full, of another encoding, of no width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from suite.cli import streams

ROOT = Path(__file__).parents[2]
SHOW = ("from suite.cli import streams; streams.prepare(); import os, subprocess, sys; print('a \\u2191'); "
        "print('b \\u2191 \\udcff', file=sys.stderr); sys.exit(subprocess.call([sys.executable, '-c', "
        "'import os; [os.fstat(n) for n in range(3)]']))")


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of it; `$PYTHON` is this interpreter."""
    env = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "SHOW": SHOW} | variables
    return subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, errors="replace",
                          check=False)


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_the_shell_has_closed_is_open_for_us_and_for_what_we_start(closed: str) -> None:
    assert shell(f'"$PYTHON" -c "$SHOW" {closed}').returncode == 0


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii:strict"},
                                       {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_sign_that_the_encoding_lacks_is_replaced(variables: dict[str, str]) -> None:
    done = shell('"$PYTHON" -c "$SHOW"', **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a ?\n", "b ? ?\n")


def test_a_full_stderr_costs_nothing() -> None:
    assert shell('"$PYTHON" -c "$SHOW" 2>/dev/full').stdout == "a ↑\n"


@pytest.mark.parametrize(("columns", "kept"), [
    ("0", False), ("3", False), ("-5", False), ("x", False), ("²", False), ("9" * 30, False), ("", False),
    ("80", True)])
def test_columns_that_are_no_width_are_forgotten(columns: str, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    streams.prepare()
    assert os.environ.get("COLUMNS") == (columns if kept else None)


def test_a_full_stdout_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample}\n")
    done = shell(f'cd "{tmp_path}"; "$PYTHON" "{ROOT}/run_grid.py" plan g.yaml >/dev/full')
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: the output cannot be written: No space left on device\n")


def test_a_log_takes_every_sign_whatever_the_locale_is(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    code = (f"from suite.launch import child; from pathlib import Path; child._redirect(Path({log!r})); "
            "import sys; print('a \\u2191'); print('b \\udcff', file=sys.stderr)")
    subprocess.run([sys.executable, "-c", code], check=True,
                   env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"})
    assert sorted((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == ["a ↑", "b \\udcff"]


def test_the_suite_of_this_folder_runs_whatever_the_path_says(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/__init__.py").write_text("raise SystemExit('another suite')\n")
    for safe in ("", "1"):
        done = shell(f'"$PYTHON" "{ROOT}/run_grid.py" --version', PYTHONPATH=str(tmp_path), PYTHONSAFEPATH=safe,
                     PYTHONWARNINGS="error")
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("s4d-suite ")
