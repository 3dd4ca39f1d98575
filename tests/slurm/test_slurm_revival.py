"""Under --wait, runs whose jobs were killed start again; those that were cancelled or had their chances do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.grid.model import GridRun
from suite.job.stop import Stop
from suite.launch import batch, canary, endings, queue, slurm, wait
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import attempt, provenance
from suite.store.records import Origin
from suite.store.store import Store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "STILL_S", 0.0)
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def watching(store: Store, runs: list[GridRun], ear: Ear, retry: bool = False) -> wait.Watching:
    """Somebody who waits for these runs, which have been submitted."""
    made = wait.Watching(Submitted(store, queue.Queue(every_s=0.0)), Options(store.root, retry=retry), ear, {})
    made.begin(runs)
    return made


def submit(store: Store, runs: list[GridRun], canaries: bool = False, **settings: int) -> None:
    slurm.launch(runs, Options(store.root), Ear(), ("fake_training:training", {}), cluster=Cluster(**settings),
                 canaries=canaries)


def begun(store: Store, run: GridRun, job: str) -> attempt.Attempt:
    """An attempt by a job on another machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt, "here", lambda: ("node7", "another boot"))
        owner = attempt.claim(store.folder(run.run_id), job=job)
    assert owner is not None
    return owner


def left(cluster: Fake, store: Store, label: str, state: str = "", reason: str = "None", log: str = "") -> None:
    """A job leaves the queue; SLURM remembers it in this state ("": no more), and this is the end of its log."""
    number, _, task = label.partition("_")
    name = next(one.name for one in batch.all_of(store.root) if batch.job_of(store.root, one.name) == number)
    cluster.state(label, "")
    with (cluster.folder / "ended").open("a") as file:
        file.write(f"{number}|{task}|{name}|{state}|{reason}\n" if state else "")
    (store.root / "slurm" / "logs" / f"{label}_0_log.out").write_text(f"job {label} begins on node7, restart 0\n{log}")


@pytest.mark.parametrize(("state", "reason", "log"), [
    ("FAILED", "JobLaunchFailure", ""),
    ("NODE_FAIL", "None", ""),
    ("", "", ""),
    ("", "", "slurmstepd: error: *** JOB 100 ON n CANCELLED AT 2026-01-01 DUE TO PREEMPTION ***\n"),
    ("TIMEOUT", "TimeLimit", "slurmstepd: error: *** JOB 100 ON n CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***\n"),
])
def test_a_run_that_was_killed_without_a_word_is_submitted_again(cluster: Fake, store: Store, state: str, reason: str,
                                                                 log: str) -> None:
    run, = runs = grid(1)
    submit(store, runs)
    begun(store, run, "100_0")
    left(cluster, store, "100_0", state, reason, log)
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert one.again == runs and not one.left and not ear.states
    assert ear.messages == ["job 100_0 was killed; submitting 1 run again"]
    submit(store, one.again)
    assert len(cluster.scripts()) == 2


@pytest.mark.parametrize(("state", "log", "ended"), [
    ("CANCELLED", "", "failed: killed"),
    ("", "slurmstepd: error: *** JOB 100 ON n CANCELLED AT 2026-01-01T11:30:55 ***\n", "failed: killed"),
    ("OUT_OF_MEMORY", "", "failed: out of memory"),
    ("", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0.\n", "failed: out of memory"),
])
def test_what_was_cancelled_or_is_out_of_memory_is_not(cluster: Fake, store: Store, state: str, log: str,
                                                       ended: str) -> None:
    run, = runs = grid(1)
    submit(store, runs)
    begun(store, run, "100_0")
    left(cluster, store, "100_0", state, log=log)
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert not one.again and not one.left and ear.states[run.run_id].label == ended


@pytest.mark.parametrize(("state", "again"), [("CANCELLED", False), ("PREEMPTED", True), ("FAILED", True)])
def test_a_run_that_had_time_for_a_checkpoint(cluster: Fake, store: Store, state: str, again: bool) -> None:
    run, = runs = grid(1)
    submit(store, runs)
    begun(store, run, "100_0").end("partial", "interrupted", "stopped by SIGTERM")
    left(cluster, store, "100_0", state)
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert bool(one.again) == again
    assert again or "job 100_0 was cancelled; the same command submits its unfinished runs" in ear.messages


def test_a_run_is_given_up_after_three_jobs_without_progress(cluster: Fake, store: Store) -> None:
    run, = runs = grid(1)
    ear = Ear()
    one = watching(store, [], ear)
    for turn in range(6):
        submit(store, runs)
        one.begin(runs)
        begun(store, run, f"10{turn}_0")
        if turn == 2:  # progress: the count begins again
            (store.folder(run.run_id) / f"checkpoint-{7:09d}-{'0' * 16}.pt").write_bytes(b"")
        left(cluster, store, f"10{turn}_0", "FAILED", "JobLaunchFailure")
        one.look()
        assert (one.again == runs) == (turn < 5), turn
        one.again.clear()
    state = ear.states[run.run_id]
    assert state.label == "failed: killed" and \
        "killed 3 times without progress, the last one was job 105_0" in state.detail


def test_a_failure_that_the_job_has_reported_is_not_repeated(cluster: Fake, store: Store) -> None:
    """It has tried three times by itself."""
    run, = runs = grid(1)
    submit(store, runs)
    begun(store, run, "100_0").end("failed", "killed", "killed by SIGKILL")
    left(cluster, store, "100_0", "FAILED", "NonZeroExitCode")
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert not one.again and ear.states[run.run_id].detail == "killed by SIGKILL"


def test_the_other_runs_of_a_killed_job_start_again_too(cluster: Fake, store: Store) -> None:
    runs = grid(3)
    submit(store, runs, runs_per_job=3)
    begun(store, runs[0], "100_0")
    left(cluster, store, "100_0")
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert one.again == runs and ear.messages == ["job 100_0 was killed; submitting 3 runs again"]


def test_so_do_those_that_it_was_to_try_again_or_to_continue(cluster: Fake, store: Store) -> None:
    runs = grid(4)
    submit(store, runs, runs_per_job=4)
    for run, end in zip(runs[1:], [("cancelled", ""), ("failed", "error"), ("partial", "interrupted")], strict=True):
        begun(store, run, "100_0").end(*end)
    left(cluster, store, "100_0", "CANCELLED")  # that one nobody wants back
    slurm.launch(runs, Options(store.root, retry=True), Ear(), ("fake_training:training", {}),
                 cluster=Cluster(runs_per_job=4), canaries=False)
    begun(store, runs[0], "101_0")
    left(cluster, store, "101_0")
    ear = Ear()
    one = watching(store, runs, ear, retry=True)
    one.look()
    assert one.again == runs and ear.messages == ["job 101_0 was killed; submitting 4 runs again"]


@pytest.mark.parametrize("end", [None, ("partial", "budget")])
def test_what_waits_for_a_killed_canary_starts_again_too(cluster: Fake, store: Store,
                                                         end: tuple[str, str] | None) -> None:
    runs = grid(4)
    submit(store, runs, canaries=True)
    probe, _ = batch.all_of(store.root)
    owner = begun(store, next(run for run in runs if run.run_id == probe.runs[0]), "100_0")
    if end:
        owner.end(*end)
    left(cluster, store, "100_0", "FAILED", "JobLaunchFailure")
    for task in range(4):
        cluster.state(f"101_{task}", "")  # its dependency cannot be satisfied any more
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert one.again == runs and ear.messages == ["job 100_0 was killed; submitting 4 runs again"]


def test_a_kind_that_has_shown_that_it_can_start_needs_no_canary(cluster: Fake, store: Store) -> None:
    runs = grid(4)
    one = slurm.Submission(store, Options(store.root), Ear(), Cluster())
    one.proven.add(canary.kind(runs[0].config))
    with Stop() as stop:
        assert one.submit(runs, stop) == []
    assert [made.kind for made in batch.all_of(store.root)] == [batch.Kind.MAIN]


def test_jobs_that_were_cancelled_while_they_waited_stay_so(cluster: Fake, store: Store) -> None:
    runs = grid(2)
    submit(store, runs)
    cluster.set("queue", "")
    ear = Ear()
    one = watching(store, runs, ear)
    one.look()
    assert not one.again and {state.name for state in ear.states.values()} == {"todo"}
