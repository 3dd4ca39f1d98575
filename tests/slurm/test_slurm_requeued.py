"""Jobs that are started again: not if nothing is left to compute, and with a reason if they cannot begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.job.stop import Stop
from suite.launch import batch, endings, node, queue, slurm, slurm_cli, wait
from suite.launch.cluster import Cluster
from suite.launch.observation import observe
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import attempt, provenance
from suite.store.records import Origin
from suite.store.state import RunState
from suite.store.store import Store

GONE = """\
srun: error: node7: task 0: Exited with exit code 2
/var/spool/slurmd/job00100/slurm_script: line 52: /home/me/venv/bin/python: No such file or directory
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    monkeypatch.setattr(endings, "STILL_S", 0.0)
    monkeypatch.setattr(slurm_cli, "state_of", lambda label: "RUNNING")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def job(store: Store, runs: list[GridRun], compute: Compute | None = None, retry: bool = False,
        canaries: bool = False) -> node.Node:
    """The first job of a submission of these runs."""
    known = {one.name for one in batch.all_of(store.root)}
    slurm.launch(runs, Options(store.root, compute or Compute(), retry=retry), Ear(), ("fake_training:training", {}),
                 cluster=Cluster(runs_per_job=len(runs), time=30), canaries=canaries)
    made = next(one for one in batch.all_of(store.root) if one.name not in known)
    number = batch.job_of(store.root, made.name) or ""
    return node.Node(store.root / "slurm" / f"{made.name}.json", node.Place(number, 0, 0))


def ended(store: Store, run_id: str, *how: str, job: str = "") -> None:
    """An attempt of a job that ended so; without an end, it was killed."""
    owner = attempt.claim(store.folder(run_id), job=job)
    assert owner is not None
    if how:
        owner.end(*how)


def signalled_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes when the last run of a job has just ended."""
    compute = node.Node.compute

    def late(self: node.Node, runs: Sequence[GridRun], stop: Stop) -> dict[str, RunState]:
        states = compute(self, runs, stop)
        stop.asked = 1
        return states

    monkeypatch.setattr(node.Node, "compute", late)


@pytest.mark.parametrize(("compute", "canaries"), [(Compute(), False), (Compute(until=1), False),
                                                   (Compute(checkpoint_s=0.0), True)])
def test_a_signal_in_the_second_in_which_the_last_run_ends(cluster: Fake, store: Store, compute: Compute,
                                                           canaries: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = job(store, grid(3 if canaries else 1), compute, canaries=canaries)
    signalled_late(monkeypatch)
    with Stop() as stop:
        assert made.work(stop) == node.OK
    assert not cluster.lines("requeued") and made.after(140) == node.OK and not cluster.lines("requeued")
    assert store.state(made.ids[0]).label == ("done" if compute == Compute() else "partial")


def test_a_signal_before_a_run_has_ended_is_a_reason_to_start_again(cluster: Fake, store: Store) -> None:
    made = job(store, grid(2))
    ended(store, made.ids[0], "done", job=made.place.label)
    with Stop() as stop:
        stop.asked = 1
        assert made.work(stop) == node.STOPPED
    assert len(cluster.lines("requeued")) == 1


def test_what_retry_has_still_to_begin_is_left(cluster: Fake, store: Store) -> None:
    run, = grid(1)
    job(store, [run])
    ended(store, run.run_id, "failed", "error", "ValueError: bad")
    cluster.set("queue", "")
    made = job(store, [run], retry=True)
    assert made.after(137) == 137 and len(cluster.lines("requeued")) == 1
    ended(store, run.run_id, "failed", "error", "ValueError: bad", job=made.place.label)
    assert made.after(137) == node.FAILED and len(cluster.lines("requeued")) == 1


def test_a_canary_that_was_cancelled_before_it_began(cluster: Fake, store: Store,
                                                     caplog: pytest.LogCaptureFixture) -> None:
    made = job(store, grid(3), canaries=True)
    ended(store, made.ids[0], "cancelled", "", "cancelled before it started")
    with Stop() as stop:
        assert made.work(stop) == node.FAILED
    assert "the other runs of its kind do not start: cancelled cancelled before it started" in caplog.text


def test_a_python_that_is_gone_when_the_job_is_started_again(cluster: Fake, store: Store) -> None:
    first, second = runs = grid(2)
    made = job(store, runs)
    ended(store, first.run_id, "partial", "interrupted", "stopped by SIGUSR2", job=made.place.label)
    log = store.root / "slurm/logs" / f"{made.place.label}_0_log.out"
    said = f"2026-01-01 00:00:00,000 job {made.place.label}{queue.BEGINS}node7, restart 0\n" \
        f"2026-01-01 00:00:09,000 job {made.place.label} will be started again\n"
    log.write_text(f"{said}slurmstepd: error: *** JOB 100 ON node7 CANCELLED AT 2026-01-01 DUE TO JOB REQUEUE ***\n")
    cluster.set("queue", "")
    ids = [run.run_id for run in runs]
    shown = observe(Submitted(store), store.states(ids)).states
    assert {state.label for state in shown.values()} == {"partial", "todo"}
    log.write_text(said + GONE)
    one, other = observe(Submitted(store), store.states(ids)).states.values()
    reason = "the Python interpreter of the submission cannot be started on the node (No such file or directory): " \
        "/home/me/venv/bin/python"
    assert one.label == "partial: start failed" and other.label == "todo: start failed"
    assert one.detail == other.detail == f"last start failed: {reason} (job {made.place.label})"
    ear = Ear()
    watching = wait.Watching(Submitted(store, queue.Queue(every_s=0.0)), Options(store.root), ear, {})
    watching.begin(runs)
    watching.look()
    assert not watching.again and not watching.left
    assert ear.messages == [f"job {made.place.label} ended before it started any of its 2 runs: {reason}"]
