"""Figures are the same for everybody, and cost no table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from report_store import SOURCES, fill, make_grid

from suite.report.render import drawing
from suite.report.report import write_report
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
DRAW = ("from suite.report.figures.plot import canvas, saved, style\nimport hashlib\nwith style():\n"
        "    made = canvas(3, 2)\n    made.add_subplot().plot([1, 3, 2])\n"
        "    print(hashlib.sha256(saved(made, 'svg', 'a')).hexdigest())")


def drawn(**variables: str) -> str:
    """The digest of a figure, and whatever else is printed."""
    done = subprocess.run([sys.executable, "-c", DRAW], env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def test_the_users_settings_of_matplotlib_change_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "matplotlibrc"
    broken.write_bytes(b"\xff\xfe\nlines.linewidth: 9\nno such: 1\n")
    wide = tmp_path / ".config/matplotlib"
    wide.mkdir(parents=True)
    (wide / "matplotlibrc").write_text("lines.linewidth: 9\nsavefig.bbox: tight\nbackend: nonsense\n")
    plain = drawn()
    assert len(plain) == 65
    assert drawn(MPLBACKEND="module://matplotlib_inline.backend_inline", MATPLOTLIBRC=str(broken),
                 MPLCONFIGDIR=str(wide)) == plain


def test_a_figure_that_fails_costs_no_table_and_is_tried_again(tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    grid = make_grid()
    store = Store(tmp_path / "runs")
    fill(store, grid)

    def fail(*_: object) -> bytes:
        assert (tmp_path / "out/demo.md").read_bytes() and (tmp_path / "out/demo.tex").read_bytes()  # tables first
        raise RuntimeError("no ink")

    with monkeypatch.context() as changed:
        changed.setattr(drawing, "saved", fail)
        made = write_report([grid], store, tmp_path / "out", SOURCES)
    assert "could not be drawn: RuntimeError: no ink" in " ".join(made.text.split())
    assert ".svg" not in (tmp_path / "out/demo.md").read_text() and (tmp_path / "out/index.html").exists()
    again = write_report([grid], store, tmp_path / "out", SOURCES)
    assert "could not be drawn" not in again.text and [path for path in again.paths if path.suffix == ".svg"]
    assert "could not be drawn" not in (tmp_path / "out/index.html").read_text()
