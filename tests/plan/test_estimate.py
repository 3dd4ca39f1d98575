"""What the first minute of a run tells: the time of others of its shape, the time that is left, what is too long."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from suite.cli.main import main
from suite.cli.progress import Progress
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.plan.plan import make_plan
from suite.store import attempt
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store

BEAT = Beat(epoch=0, step=25, epochs=3, steps_per_epoch=100, seconds_per_step=0.6)  # an epoch takes a minute


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample, train.epochs: 3}\n"
                              "axes: {size: {small: {model.features: 8}, large: {model.features: 64}}}\n"
                              "seeds: {range: 3}\n")
    return load_grid(Path("g.yaml"))


def under_way(grid: Grid) -> attempt.Attempt:
    """The first run of the grid has computed for a while."""
    own = attempt.claim(Store(Path("runs")).add(grid.runs[0].config))
    assert own is not None
    own.beat(BEAT)
    return own


def test_a_run_under_way_tells_the_time_of_those_of_its_shape(grid: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "g.yaml", "--jobs", "2"]) == 0
    assert "  6 runs: from shipped speeds, scaled by counted operations" in capsys.readouterr().out
    own = under_way(grid)
    assert main(["plan", "g.yaml", "--jobs", "2", "--only", "size=small"]) == 0
    told = capsys.readouterr().out  # two more runs of three minutes, in two slots
    assert "would run: 2\n" in told and "warning" not in told
    assert "estimated time: 3 min, 2 at a time, within a factor of 1.3 (6 min in all)\n" in told
    assert "  2 runs: from past runs of the same shape\n" in told
    assert main(["plan", "g.yaml", "--timeout", "2.5", "--only", "size=small"]) == 0
    assert "warning: 2 runs need up to 3:00 min each, more than --timeout allows" in capsys.readouterr().out
    assert main(["status", "g.yaml", "--only", "size=small"]) == 0
    told = capsys.readouterr().out  # 2:45 min of one run, and 6 min of two others, one at a time
    assert "active runs need about 2:45 min more" in told
    assert "all runs need about 8:45 min more, 1 at a time" in told
    own.end("partial", "interrupted")
    assert main(["plan", "g.yaml", "--only", "size=small", "--jobs", "1"]) == 0
    assert "estimated time: 9 min, 1 at a time" in capsys.readouterr().out


def test_a_launch_says_once_for_each_shape_what_does_not_end_in_time(grid: Grid) -> None:
    made = make_plan([grid], Store(Path("runs")))
    out = io.StringIO()
    with Progress(made, 2, Console(file=out, width=300), timeout_s=60.0) as progress:
        for run in made.todo[:3]:
            progress.started(run)
            progress.progress(run, BEAT)
        assert "warning" not in out.getvalue(), "its speed is not sure yet"
        progress.began = dict.fromkeys(progress.began, time.monotonic() - 10)
        for _ in range(3):
            for run in made.todo[:3]:
                progress.progress(run, BEAT)
    told = out.getvalue()
    assert told.count("warning") == 2 and "small seed 0 needs about 2:45 min more, but --timeout leaves 50 s" in told
    with Progress(made, 2, Console(file=out, width=300), timeout_s=600.0) as progress:
        progress.started(made.todo[0])
        progress.began = dict.fromkeys(progress.began, time.monotonic() - 100)
        progress.progress(made.todo[0], BEAT)
    assert out.getvalue() == told, "ten minutes are enough"


def test_what_tells_no_seconds_a_step_is_timed_by_its_end(grid: Grid) -> None:
    made = make_plan([grid], Store(Path("runs")))
    progress = Progress(made, 1, Console(file=io.StringIO()))
    progress.started(made.todo[0])
    progress.began[made.todo[0].run_id] -= 60
    progress.ended(made.todo[0], RunState("done", 3))
    assert progress.bars.tasks[0].fields["text"] == "1/6 runs, ETA 5:00 min"


def test_a_run_that_another_launch_gave_up_counts_from_then_on(grid: Grid) -> None:
    own = under_way(grid)
    made = make_plan([grid], Store(Path("runs")), until=2)
    [held] = [run for run in made.runs if run not in made.todo]
    own.end("partial", "interrupted")
    progress = Progress(made, 2, Console(file=io.StringIO()))
    progress.ended(held, made.states[held.run_id])
    progress.progress(made.todo[0], BEAT)
    assert progress.bars.tasks[0].fields["text"].startswith("0/5 runs"), "not ours, so not counted"
    progress.started(held)
    progress.progress(held, BEAT)
    total, bar = progress.bars.tasks
    assert total.fields["text"].startswith("0/6 runs") and total.total == 12
    assert bar.fields["text"] == "epoch 1/2" and bar.total == 2
