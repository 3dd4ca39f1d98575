"""`status` and its live table: the metric so far, keys, logs, and nothing written."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from suite.cli.main import main
from suite.cli.progress import Progress
from suite.cli.snapshot import Snapshots
from suite.cli.watch import View, picture
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.plan.plan import make_plan
from suite.store import attempt
from suite.store.folder import encode_rows
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
BEAT = Beat(epoch=2, step=250, epochs=6, steps_per_epoch=100, seconds_per_step=0.6)
ACCURACIES = [0.25, 0.312, 0.288]


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample, train.epochs: 6}\n"
                              "axes: {ssm.init: [lin, inv]}\nseeds: {range: 2}\n")
    return load_grid(Path("g.yaml"))


def under_way(grid: Grid) -> attempt.Attempt:
    """The first run has finished three epochs and is in its fourth; the second has stopped after one."""
    for run, values in ((grid.runs[0], ACCURACIES), (grid.runs[1], ACCURACIES[:1])):
        folder = Store(Path("runs")).add(run.config)
        (folder / "metrics.jsonl").write_bytes(encode_rows(
            [{"epoch": i + 1, "step": i, "val/accuracy": value} for i, value in enumerate(values)]))
        (folder / "log.txt").write_text("the first line\nthe \x1b[31mlast line\n")
    own = attempt.claim(Store(Path("runs")).folder(grid.runs[0].run_id))
    assert own is not None
    own.beat(BEAT)
    return own


def test_status_shows_the_newest_metric_and_the_best(grid: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    under_way(grid)
    assert main(["status", "g.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "lin seed 0, validation accuracy 28.80 %, best 31.20 at epoch 2: held by process" in shown
    assert "lin seed 1, validation accuracy 25.00 %, best 25.00 at epoch 1\n" in shown
    assert main(["status", "g.yaml", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert runs[0]["standing"]["best"] == {"value": 31.2, "epoch": 2} and runs[2]["standing"] is None


def test_progress_shows_them_too(grid: Grid) -> None:
    under_way(grid)
    store, out = Store(Path("runs")), io.StringIO()
    progress = Progress(make_plan([grid], store), 1, Console(file=out, width=200), store=store)
    stopped = grid.runs[1]
    progress.started(stopped)
    progress.progress(stopped, Beat(epoch=1, step=100, epochs=6, steps_per_epoch=100))
    assert progress.bars.tasks[1].fields["text"] == "epoch 2/6, 25.00 %, best 25.00 at epoch 1"
    progress.ended(stopped, RunState("done", 6))
    assert "[1/3] lin seed 1: done, validation accuracy 25.00 %, best 25.00 at epoch 1, ETA" in out.getvalue()


def drawn(looks: Snapshots, view: View, height: int = 20) -> list[str]:
    """The picture as lines of a terminal."""
    console = Console(file=io.StringIO(), width=170, height=height)
    console.print(picture(looks, view, {}, console))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_the_table_is_sorted_by_any_column_either_way(grid: Grid) -> None:
    under_way(grid)
    looks, view = Snapshots([grid], Store(Path("runs")), None), View()
    table = drawn(looks, view)
    assert re.split(r"\s{2,}", table[1].strip()) == ["state ▲", "epoch", "metric", "best", "speed", "ETA", "device",
                                                     "owner", "run"]
    assert re.match(r"claimed  3/6\s+28.80 %  31.20 at 2\s+60 s/epoch\s+3:30 min\s+process \d+ on \S+\s+lin seed 0",
                    table[2])
    assert [line.split()[0] for line in table[2:6]] == ["claimed", "partial", "todo", "todo"]
    view.press("reverse")
    assert [line.split()[0] for line in drawn(looks, view)[2:6]] == ["todo", "todo", "partial", "claimed"]
    for _ in range(8):
        view.press("sort")
    assert [line.split()[-1] for line in drawn(looks, view)[2:6]] == ["1", "0", "1", "0"]
    assert len(drawn(looks, view, height=8)) <= 8, "no higher than the terminal"


def test_a_log_is_opened_and_closed_and_holds_no_commands_for_the_terminal(grid: Grid) -> None:
    under_way(grid)
    looks, view = Snapshots([grid], Store(Path("runs")), None), View()
    drawn(looks, view)
    for key in ("down", "up", "log"):
        assert view.press(key)
    shown = drawn(looks, view)
    assert "lin seed 0, claimed" in shown[0] and "the first line" in shown[1]
    assert "the  [31mlast line" in shown[2] and shown[3].startswith("q back")
    assert view.press("quit") and "state" in drawn(looks, view)[1] and not view.press("quit")


def test_a_file_that_has_not_changed_is_not_read_again(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way(grid)
    looks, read = Snapshots([grid], Store(Path("runs")), None), []
    drawn(looks, View())
    rows = Store.rows
    monkeypatch.setattr(Store, "rows", lambda store, run_id: read.append(run_id) or rows(store, run_id))
    drawn(looks, View())
    assert not read
    with (Path("runs") / grid.runs[0].run_id / "metrics.jsonl").open("ab") as file:
        file.write(encode_rows([{"epoch": 4, "step": 4, "val/accuracy": 0.5}]))
    assert "50.00 %" in drawn(looks, View())[2] and read == [grid.runs[0].run_id]


def test_on_a_terminal_keys_sort_and_end_it_and_nothing_is_written(grid: Grid) -> None:
    under_way(grid)
    before = {path: path.stat().st_mtime_ns for path in sorted(Path("runs").rglob("*"))}
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, str(ROOT / "run_grid.py"), "status", "g.yaml", "--watch"],
                               stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": "170", "LINES": "30"})
    os.close(theirs)

    def until(words: str) -> None:
        shown, end = "", time.monotonic() + 60
        while words not in shown:
            assert time.monotonic() < end, shown
            if select.select([ours], [], [], 0.5)[0]:
                shown += os.read(ours, 65_536).decode(errors="replace")

    try:
        until("state ▲")
        os.write(ours, b"s")
        until("epoch ▲")
        os.write(ours, b"l")
        until("back to table")
        os.write(ours, b"qq")
        until("stopped watching; the runs continue")
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert {path: path.stat().st_mtime_ns for path in sorted(Path("runs").rglob("*"))} == before


def test_without_a_terminal_it_says_so_and_prints_lines(grid: Grid) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run_grid.py"), "status", "g.yaml", "--watch"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, "g: 4 runs: 4 todo\n")
    assert done.stderr == ("not a terminal: printing the status at each change instead of a live table\n")
