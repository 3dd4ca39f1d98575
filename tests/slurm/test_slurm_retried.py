"""Runs that had failed or were cancelled, and wait in the queue once more: what `status` says, and `cancel` does."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.grid.expand import load_grid
from suite.launch import batch, endings, node
from suite.store import attempt, provenance
from suite.store.records import Origin
from suite.store.store import Store

GRID = "name: pair\nbase: {task: scifar, data.variant: sample, train.epochs: 4}\n" \
    "axes: {ssm.init: [lin, inv]}\nseeds: [0]\n"


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    (tmp_path / "pair.yaml").write_text(GRID)
    return [str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs")]


@pytest.fixture
def store(where: list[str]) -> Store:
    """A store in which one run was cancelled and one ran out of memory, and both are submitted again."""
    store = Store(Path(where[2]))
    assert main(["run", *where, "--executor", "slurm", "--no-canary"]) == 0
    ends = [("cancelled", ""), ("failed", "oom")]
    for run, (state, reason) in zip(load_grid(Path(where[0])).runs, ends, strict=True):
        owner = attempt.claim(store.folder(run.run_id))
        assert owner is not None
        owner.end(state, reason, f"it ended so: {state}")
    (Path(where[0]).parent / "slurm" / "queue").write_text("")
    assert main(["retry", *where, "--executor", "slurm", "--no-canary", "--extra", "exclusive"]) == 0
    return store


def test_they_are_shown_as_queued(cluster: Fake, where: list[str], store: Store,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", *where]) == 0
    assert "2 runs: 2 queued" in (told := capsys.readouterr().out) and "job 101_0 waits (Priority)" in told
    cluster.state("101_0", "RUNNING")
    assert main(["status", *where]) == 0
    assert "2 runs: 1 starting, 1 queued" in capsys.readouterr().out
    assert main(["retry", *where, "--executor", "slurm"]) == 0
    assert "1 run is queued with --extra exclusive; `cancel`, then" in capsys.readouterr().err


def test_cancel_ends_their_jobs(cluster: Fake, where: list[str], store: Store,
                                capsys: pytest.CaptureFixture[str]) -> None:
    cluster.state("101_0", "RUNNING")  # and has not begun
    assert main(["cancel", *where]) == 0
    assert "2 cancelled" in capsys.readouterr().out and cluster.lines("cancelled") == ["101_1"]
    newest = batch.all_of(store.root)[-1]
    job = node.Node(store.root / "slurm" / f"{newest.name}.json", node.Place("101", 0, 0))
    assert job.runs() == []  # it passes over what is marked since its submission
    assert main(["status", *where]) == 0
    assert "2 runs: 2 cancelled" in capsys.readouterr().out
    assert main(["cancel", *where]) == 0
    assert "no active run was started by these grids only" in capsys.readouterr().out


def test_a_start_that_fails_is_said_beside_what_they_were(cluster: Fake, where: list[str], store: Store,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    for task in (0, 1):
        (store.root / "slurm" / "logs" / f"101_{task}_0_log.out").write_text("ModuleNotFoundError: no encodings\n")
    cluster.set("queue", "")
    assert main(["status", *where]) == 0
    told = capsys.readouterr().out
    assert "1 cancelled, 1 failed: out of memory" in told
    assert "it ended so: cancelled; last start failed: ModuleNotFoundError: no encodings (job 101_0)" in told
    assert "it ended so: failed; last start failed: ModuleNotFoundError: no encodings (job 101_1)" in told
    for _ in range(2):  # their reasons stay: the same command starts them, as often as it is typed
        assert main(["retry", *where, "--reason", "oom", "--executor", "slurm"]) == 0
        assert "submitted job" in capsys.readouterr().err
        cluster.set("queue", "")


def test_a_job_passes_over_a_run_that_was_cancelled_since_its_submission(cluster: Fake, where: list[str],
                                                                         store: Store) -> None:
    newest = batch.all_of(store.root)[-1]
    one = node.Node(store.root / "slurm" / f"{newest.name}.json", node.Place("101", 0, 0))
    assert [run.run_id for run in one.runs()] == list(newest.tasks[0])
    owner = attempt.claim(store.folder(newest.tasks[0][0]))
    assert owner is not None
    owner.end("cancelled", detail="by `cancel`")
    assert one.runs() == []


def test_without_an_answer_of_the_queue_runs_are_cancelled_by_their_files(
        cluster: Fake, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *where, "--executor", "slurm", "--no-canary"]) == 0
    cluster.set("silent", "slurm_load_jobs error: Unable to contact slurm controller")
    assert main(["cancel", *where]) == 0
    told = capsys.readouterr().out
    assert "the queue cannot be read" in told and "their jobs end when they start" in told
    assert "2 cancelled" in told and not cluster.lines("cancelled")


@pytest.mark.parametrize(("end", "reason"), [
    ("slurm_script: line 40: /home/me/venv/bin/python: No such file or directory", "start"),
    ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0.", "oom")])
def test_retry_finds_what_status_shows_of_jobs_that_died(cluster: Fake, where: list[str], end: str, reason: str,
                                                         monkeypatch: pytest.MonkeyPatch,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has looked at the queue since they died, and so there is no record of it yet."""
    monkeypatch.setattr(endings, "STILL_S", 0.0)
    assert main(["run", *where, "--executor", "slurm", "--no-canary", "--only", "ssm.init=lin"]) == 0
    store = Store(Path(where[2]))
    run = load_grid(Path(where[0])).runs[0]
    if reason == "oom":
        with monkeypatch.context() as patch:
            patch.setattr(attempt, "here", lambda: ("node7", "another boot"))
            assert attempt.claim(store.folder(run.run_id), job="100_0") is not None
    cluster.set("queue", "")
    (store.root / "slurm/logs/100_0_0_log.out").write_text(f"{end}\n")
    capsys.readouterr()
    assert main(["retry", *where, "--executor", "slurm", "--reason", reason]) == 0
    assert "submitted job 101: 1 job, 1 run" in capsys.readouterr().err
