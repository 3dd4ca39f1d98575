"""What a user sees of a cluster: its file and options, the plan, the status from files with one look at the queue."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from fake_runner import grid
from places import tree
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.launch import batch, queue, slurm
from suite.launch.cluster import Cluster, load, minutes
from suite.launch.observation import observe
from suite.launch.options import Options
from suite.launch.queue import Queue, Submitted, why_ended
from suite.store import attempt, provenance
from suite.store.records import Beat, Origin
from suite.store.store import Store

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "golden" / "plan_slurm.txt"
GRID = """\
name: pair
base: {task: scifar, data.variant: sample, train.epochs: 4, model.layers: 1, model.features: 8}
axes: {ssm.init: [lin, inv, real]}
seeds: [0]
"""
LAB = """\
cluster:
  partition: gpu,long
  account: lab
  constraint: a100
  time: 2-12:00:00
  gpus_per_job: 1
  memory: 16GB
  setup: [module load cuda]
  extra: {qos: long}
"""


@pytest.fixture
def grid_file(tmp_path: Path) -> Path:
    path = tmp_path / "pair.yaml"
    path.write_text(GRID)
    return path


def claimed_elsewhere(folder: Path, job: str) -> attempt.Attempt:
    """An attempt by a job on another machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "here", lambda: ("node7", "another boot"))
        owner = attempt.claim(folder, job=job)
    assert owner is not None
    return owner


def test_the_cluster_file_and_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    made = load(path, {"time": "90", "setup": ["ulimit -c 0"], "extra": {"nice": "5"}, "memory": None})
    assert (made.time, made.memory, made.partition) == (90, "16G", "gpu,long")
    assert made.setup == ("module load cuda", "ulimit -c 0") and made.extra == {"qos": "long", "nice": "5"}
    assert load(None, {}) == Cluster()


@pytest.mark.parametrize(("text", "words"), [
    ("cluster: {time: 1:30}", ["lab.yaml:1: cluster.time", "'1:30' is not a time", "H:MM:SS"]),
    ("cluster:\n  partion: gpu\n", ["lab.yaml:2: cluster.partion", "did you mean 'partition'"]),
    ("cluster:\n  gpus_per_job: many\n  memory: lots\n", ["yaml:2: cluster.gpus_per_job", "yaml:3: cluster.memory"]),
    ("cluster:\n  setup:\n    - a\n    - 3\n", ["lab.yaml:4: cluster.setup.1"]),
    ("cluster:\n  extra: {output: x}\n", ["lab.yaml:2: cluster.extra", "output cannot be used: it is set by the"]),
    ("cluster:\n  extra: {gpus-per-node: 3}\n", ["use the key gpus_per_job"]),
    ("cluster:\n  time: 1\n  signal_s: 90\n", ["lab.yaml:1: --signal-s (signal_s), 90 s, leaves no time before the "
                                              "time limit, 1 min"]),
    ("time: 3\n", ["lab.yaml:1: time: unknown key", "under the key cluster:"]),
    ("cluster: [1]\n", ["lab.yaml:1: cluster", "must be a mapping"]),
])
def test_mistakes_in_the_cluster_file_are_named_by_line_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "lab.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        load(tmp_path / "lab.yaml", {})
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_times() -> None:
    assert [minutes(text) for text in (90, "90", "1:30:00", "1:00:01", "2-00", "1-01:30", "0-00:00:30")] == \
        [90, 90, 90, 61, 2880, 1530, 1]
    for bad in ("", "1:30", 0, True, "0:00:00", "1h", -5, "1:2:3"):
        with pytest.raises(ValueError, match="time"):
            minutes(bad)


def test_the_plan_shows_what_sbatch_would_get(cluster: Fake, grid_file: Path, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("suite.launch.nvidia.cuda_of_torch", lambda: 12)
    (tmp_path / "lab.yaml").write_text(LAB)
    assert main(["plan", str(grid_file), "--store", str(tmp_path / "the runs"), "--executor", "slurm", "--cluster",
                 str(tmp_path / "lab.yaml"), "--runs-per-job", "2", "--max-parallel", "8", "--extra", "nice=5"]) == 0
    text = capsys.readouterr().out.replace(str(tmp_path), "/somewhere")
    text = re.sub(r"code/[0-9a-f]{16}", "code/HASH", re.sub(r"\S+/bin/python\S*", "python", text))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
    assert not (tmp_path / "the runs").exists() and not cluster.scripts()


@pytest.mark.parametrize(("options", "words"), [
    (["--jobs", "2"], "--jobs: only for --executor local"),
    (["--memory", "lots"], "--memory: 'lots' is not a memory size"),
    (["--time", "soon"], "--time: 'soon' is not a time"),
    (["--extra", "array=3"], "--extra: array is set by the suite"),
])
def test_options_that_a_cluster_has_no_use_for(cluster: Fake, grid_file: Path, tmp_path: Path, options: list[str],
                                               words: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(grid_file), "--store", str(tmp_path / "runs"), "--executor", "slurm", *options]
    assert main(command) == 2 and words in capsys.readouterr().err and not cluster.scripts()


def test_run_submits_and_returns_and_status_tells(cluster: Fake, grid_file: Path, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    where = [str(grid_file), "--store", str(tmp_path / "runs")]
    assert main(["run", *where, "--executor", "slurm", "--out", str(tmp_path / "reports")]) == 0
    assert "submitted job 101: 3 jobs, 3 runs" in capsys.readouterr().err and not (tmp_path / "reports").exists()
    runs = load_grid(grid_file).runs
    store = Store(tmp_path / "runs")
    owner = claimed_elsewhere(store.folder(runs[0].run_id), "101_0")
    owner.beat(Beat(epoch=1, step=30, epochs=4, steps_per_epoch=20, seconds_per_step=100.0))
    cluster.state("100_0", "")
    cluster.state("101_0", "RUNNING")
    cluster.state("101_1", "PENDING", "Resources")
    cluster.state("101_2", "DREAMING")
    before = tree(tmp_path / "runs")
    cluster.drop("squeue.calls")
    assert main(["status", *where]) == 0
    told = capsys.readouterr().out
    assert "3 runs: 2 queued, 1 claimed" in told and "job 101_1 waits (Resources)" in told
    assert "job 101_2 is DREAMING" in told and "process" in told and "in job 101_0" in told
    assert f"{runs[0].run_id} needs 83:20 min more, but the time limit of its job is 60:00 min" in told
    assert "all runs need about 5:50 h more, 1 at a time" in told
    assert tree(tmp_path / "runs") == before and len(cluster.lines("squeue.calls")) == 1
    cluster.state("101_0", "")
    assert main(["status", *where, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [run["state"] for run in content["runs"]] == ["lost", "todo", "todo"]
    assert content["runs"][2]["queue"] == "job 101_2 is DREAMING"
    assert main(["plan", *where, "--executor", "slurm"]) == 0
    assert "2 of them are already in the queue" in capsys.readouterr().out
    cluster.set("queue", "")
    assert main(["status", *where]) == 0
    assert "job 101 has left the queue without starting 2 runs: it was cancelled, or see" in capsys.readouterr().out


def test_a_silent_queue_makes_nothing_lost_or_failed(cluster: Fake, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    store, runs = Store(tmp_path / "runs"), grid(2)
    slurm.launch(runs, Options(store.root), Quiet(), canaries=False)
    claimed_elsewhere(store.folder(runs[0].run_id), "100_0")
    cluster.set("silent", "slurm_load_jobs error: Socket timed out on send/recv operation")
    found = observe(Submitted(store), store.states([run.run_id for run in runs]))
    notes = found.notes
    assert [state.name for state in found.states.values()] == ["claimed", "todo"]
    assert "it is unknown whether job 100_0 is alive: slurm_load_jobs error: Socket timed" in notes[runs[0].run_id]
    assert "unknown" in notes[runs[1].run_id]


def test_one_squeue_in_half_a_minute(cluster: Fake) -> None:
    now = [0.0]
    one = Queue(clock=lambda: now[0])
    cluster.set("queue", "5|0|a|RUNNING|None\n5|1|a|PENDING|Priority\n6|0|b|RUNNING|None\n")
    for now[0] in (0.0, 10.0, 29.9):
        assert [job.label for job in one.jobs({"a": ""}) or ()] == ["5_0", "5_1"]
    assert len(cluster.lines("squeue.calls")) == 1 and one.jobs({}) == ()
    cluster.set("queue", "")
    now[0] = 30.0
    assert one.jobs({"a": ""}) == () and len(cluster.lines("squeue.calls")) == 2


def test_the_status_names_the_canary_that_failed(cluster: Fake, grid_file: Path, tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    where = [str(grid_file), "--store", str(tmp_path / "runs")]
    assert main(["run", *where, "--executor", "slurm"]) == 0
    store = Store(tmp_path / "runs")
    probe, main_batch = batch.all_of(store.root)
    owner = attempt.claim(store.folder(probe.runs[0]))
    assert owner is not None
    owner.end("failed", "error", "ValueError: no such file")
    cluster.set("queue", "")
    capsys.readouterr()
    assert main(["status", *where]) == 0
    told = capsys.readouterr().out
    assert (f"the canary {probe.runs[0]} (job 100_0) failed, so 2 runs that depend on it were not started: ValueError: "
            "no such file; fix this, then `retry` starts them") in told
    assert "2 todo" in told and len(main_batch.runs) == 3


def test_slurm_s_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for line, reason in (("slurmstepd: error: Step 7.0 exceeded memory limit (513012 > 409600), being killed", "oom"),
                         ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.", "oom"),
                         ("slurmstepd: error: *** JOB 7 ON n CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***", "timeout"),
                         ("slurmstepd: error: *** STEP 7.0 ON n CANCELLED AT 2026-01-01 ***", "killed"),
                         ("srun: error: n: task 0: Killed", "killed"),
                         ("RuntimeError: out of memory, said a run", "killed")):
        log.write_text(f"2026 a run starts\n{line}\nlast\n")
        assert why_ended(log)[0] == reason, line
    log.write_text("slurmstepd: error: Step 7.0 exceeded memory limit\n2026 job 7_0 begins on n, restart 1\nx\n")
    assert why_ended(log) == ("killed", "")
    assert why_ended(tmp_path / "none") == ("killed", "")
    assert queue.EVERY_S == 30.0


class Quiet:
    """Hears nothing."""

    def started(self, run: object) -> None: ...
    def progress(self, run: object, beat: object) -> None: ...
    def ended(self, run: object, state: object) -> None: ...
    def message(self, text: str) -> None: ...
