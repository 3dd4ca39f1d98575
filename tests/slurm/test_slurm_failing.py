"""On a cluster: once too many runs of a kind have failed in an array, the jobs that come later leave theirs alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.job.stop import Stop
from suite.launch import batch, failed_starts, node, slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import provenance
from suite.store.records import Origin
from suite.store.state import State
from suite.store.store import Store


def test_a_kind_of_which_too_many_fail_is_stopped(cluster: Fake, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    store, runs = Store(tmp_path / "runs"), grid(4)
    slurm.launch(runs, Options(store.root, max_failures=2), Ear(), ("fake_training:training", {"fault": "error"}),
                 cluster=Cluster(time=30), canaries=False)
    made = batch.all_of(store.root)[0]
    assert made.max_failures == 2 and len(made.tasks) == 4
    for task in range(4):
        with Stop() as stop:
            job = node.Node(store.root / "slurm" / f"{made.name}.json", node.Place("100", task, 0))
            assert job.work(stop) == (node.FAILED if task < 2 else node.OK)
    states = [store.state(run_id) for run_id in made.runs]
    assert [state.name for state in states] == [State.FAILED] * 2 + [State.TODO] * 2
    told = {state.start.words for state in states[2:] if state.start}
    assert told == {f"last start failed: too many runs of its kind have failed in this array: 2 of "
                    f"scifar, ssm, vandermonde; --max-failures sets the limit (job 100_{task})"
                    for task in (2, 3)}
    submitted = Submitted(store)
    failed_starts.note(submitted, store.states(made.runs), {}, pytest.fail)  # nothing is added to what the job said


def test_debug_needs_no_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "grids/quickstart.yaml", "--executor", "debug", "--max-failures", "2", "--store",
                 str(tmp_path / "runs")]) == 2
    assert "--max-failures: --executor debug always stops at the first failure" in capsys.readouterr().err
