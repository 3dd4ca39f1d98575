"""A job of a cluster as its node sees it: which batch it may do, when it gives up, what is said of killed runs.

And what a plan says of its time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.cli.slurm import slots, too_long
from suite.errors import UserError
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.job.stop import Stop
from suite.launch import batch, node, slurm, slurm_cli
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.plan import estimate
from suite.plan.plan import make_plan
from suite.store import attempt, provenance
from suite.store.records import Beat, Origin
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
GRID = "name: pair\nbase: {task: scifar, data.variant: sample, train.epochs: 4}\n" \
    "axes: {ssm.init: [lin, inv]}\nseeds: [0, 1]\n"


@pytest.fixture
def made(cluster: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> node.Node:
    """A job of two runs that fail as soon as they start."""
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    store = Store(tmp_path / "runs")
    slurm.launch(grid(2), Options(store.root), Ear(), ("fake_training:training", {"fault": "user"}),
                 cluster=Cluster(runs_per_job=2, time=30), canaries=False)
    record = store.root / "slurm" / f"{batch.all_of(store.root)[0].name}.json"
    return node.Node(record, node.Place("100", 0, 0))


def killed(made: node.Node, run_id: str) -> None:
    """An attempt of this job that ended without a word."""
    assert attempt.claim(made.store.folder(run_id), job=made.place.label)


def test_a_job_that_another_has_replaced_does_nothing(made: node.Node, caplog: pytest.LogCaptureFixture) -> None:
    other = node.Node(made.record, node.Place("99", 0, 0))
    with Stop() as stop:
        assert other.work(stop) == node.OK
    assert "job 99 does not own this batch; job 100 does" in caplog.text
    assert [made.store.state(run_id).name for run_id in made.ids] == ["todo", "todo"]


def test_a_job_without_slurm_or_a_record_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    assert node.main(["run", str(tmp_path / "none.json")]) == node.FAILED
    assert "not a job of a SLURM array" in caplog.text
    (tmp_path / "bad.json").write_bytes(atomic.seal({"x": 1})[:-9])
    with pytest.raises(UserError, match="not a record of a batch"):
        batch.read(tmp_path / "bad.json")


def test_a_job_that_is_started_again_without_progress_gives_up(made: node.Node) -> None:
    for restarts in range(node.GIVE_UP_AFTER):
        one = node.Node(made.record, node.Place("100", 0, restarts))
        assert not one.stalled(one.progress())
        one.remember(one.progress())
    with (made.record.parent / "logs" / "100_0.starts").open("a") as file:
        file.write('{"half a li\n')
    last = node.Node(made.record, node.Place("100", 0, 3))
    killed(last, last.ids[0])
    with Stop() as stop:
        assert last.work(stop) == node.FAILED
    for run_id, attempts in zip(last.ids, (2, 1), strict=True):
        state = made.store.state(run_id)
        assert (state.name, state.reason, state.attempts) == ("failed", "killed", attempts)
        assert "was started 3 times without progress" in state.detail
    assert "started again (requeued, preempted" in (made.store.folder(last.ids[0]) / "attempts/0001.end").read_text()
    (made.store.folder(made.ids[0]) / f"checkpoint-{7:09d}-{'0' * 16}.pt").write_bytes(b"")
    assert not last.stalled(last.progress())


@pytest.mark.parametrize(("words", "state", "reason", "again"), [
    ("srun: error: node7: task 0: Killed", "RUNNING", "killed", True),
    ("srun: error: node7: task 0: Killed", "COMPLETING", "killed", False),
    ("slurmstepd: error: Step 1.0 exceeded memory limit (9 > 8), being killed", "RUNNING", "oom", False),
    ("slurmstepd: error: *** STEP 1.0 ON n CANCELLED AT 2026 DUE TO TIME LIMIT ***", "COMPLETING", "timeout", False),
])
def test_what_is_said_after_a_job_was_killed(made: node.Node, cluster: Fake, monkeypatch: pytest.MonkeyPatch,
                                             words: str, state: str, reason: str, again: bool) -> None:
    monkeypatch.setattr(slurm_cli, "state_of", lambda label: state)
    made.remember(made.progress())
    killed(made, made.ids[0])
    (made.record.parent / "logs" / "100_0_0_log.out").write_text(f"{words}\n")
    assert made.after(137) == 137
    told = made.store.state(made.ids[0])
    assert (told.name, told.reason) == ("failed", reason) and told.detail.startswith("job 100_0: ")
    assert made.store.state(made.ids[1]).name == "todo" and bool(cluster.lines("requeued")) == again


def test_a_job_that_dies_before_it_can_note_its_start_is_not_requeued_for_ever(
        made: node.Node, cluster: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_cli, "state_of", lambda label: "RUNNING")
    codes = [node.Node(made.record, node.Place("100", 0, restarts)).after(139) for restarts in range(3)]
    assert codes == [139, 139, node.FAILED] and len(cluster.lines("requeued")) == 2
    assert made.store.state(made.ids[0]).reason == "killed"


def test_a_run_that_failed_in_this_job_is_not_tried_again_when_it_is_requeued(made: node.Node) -> None:
    first, second = made.ids
    owner = attempt.claim(made.store.folder(first))
    assert owner is not None
    owner.end("failed", "error", "x")
    assert [run.run_id for run in made.runs()] == [second]


def test_ctrl_c_ends_the_waiting_and_touches_no_job(cluster: Fake, tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    command = [sys.executable, "run_grid.py", "run", str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs"),
               "--executor", "slurm", "--wait"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, tests may begin without
    waiting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 60
    while all("--states=all" in line for line in cluster.lines("squeue.calls")) and time.monotonic() < until:
        time.sleep(0.1)  # those are looks for what was just submitted
    waiting.send_signal(signal.SIGINT)
    told = waiting.communicate(timeout=30)[1]
    assert waiting.returncode == 130 and "the jobs keep running" in told and "submitted job 101: 4 jobs, 4 runs" in told
    assert not cluster.lines("cancelled") and len(cluster.lines("queue")) == 5


def test_the_first_minute_of_a_run_tells_the_time_of_the_others(cluster: Fake, tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    grids, store = [load_grid(tmp_path / "pair.yaml")], Store(tmp_path / "runs")
    plan = make_plan(grids, store)
    assert plan.estimate == estimate.Estimate(0.0, 0, 4) and not too_long(plan, Cluster())
    owner = attempt.claim(store.add(plan.runs[0].config))
    assert owner is not None
    owner.beat(Beat(epoch=0, step=9, epochs=4, steps_per_epoch=100, seconds_per_step=9.0))
    owner.end("partial", "interrupted", "x")
    plan = make_plan(grids, store)
    assert plan.estimate == estimate.Estimate(4 * 4 * 900.0, 4, 0)
    assert slots(plan, Cluster(max_parallel=2)) == 2
    assert too_long(plan, Cluster(time=90)) == []
    told, = too_long(plan, Cluster(time=30))
    assert told.startswith("4 runs need up to 60:00 min, but the time limit is 30:00 min")
    told, = too_long(plan, Cluster(time=90, runs_per_job=2))
    assert told.startswith("2 jobs need up to 2:00 h, but the time limit is 90:00 min")
    assert too_long(plan, Cluster(time=90, runs_per_job=2, side_by_side=2)) == []


@pytest.mark.usefixtures("copied")
def test_the_warning_is_shown(cluster: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    store = Store(tmp_path / "runs")
    run = load_grid(tmp_path / "pair.yaml").runs[0]
    owner = attempt.claim(store.add(run.config))
    assert owner is not None
    owner.beat(Beat(epoch=0, step=9, epochs=4, steps_per_epoch=100, seconds_per_step=9.0))
    owner.end("partial", "interrupted", "x")
    command = [str(tmp_path / "pair.yaml"), "--store", str(store.root), "--executor", "slurm", "--time", "30"]
    assert main(["plan", *command]) == 0
    assert "warning: 4 runs need up to 60:00 min" in capsys.readouterr().out
    assert main(["run", *command]) == 0
    assert "warning: 4 runs need up to 60:00 min" in capsys.readouterr().err
    record = json.loads((store.root / "slurm" / f"{batch.all_of(store.root)[0].name}.json").read_text())
    assert record["minutes"] == 30 and os.path.lexists(record["code"])
