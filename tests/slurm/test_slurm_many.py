"""Thousands of runs: what a look at the queue costs grows with the runs, whatever the size of their jobs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.launch import slurm
from suite.launch.cluster import Cluster
from suite.launch.observation import observe, remarks
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import provenance
from suite.store.records import Origin
from suite.store.state import RunState
from suite.store.store import Store

COUNT, PER_JOB = 60, 30


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose states were read from files, as often as they were."""
    found: list[str] = []
    states = Store.states

    def counted(store: Store, run_ids: Iterable[str]) -> dict[str, RunState]:
        ids = list(run_ids)
        found.extend(ids)
        return states(store, ids)

    monkeypatch.setattr(Store, "states", counted)
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    return found


@pytest.mark.parametrize("begins", [True, False])
def test_the_runs_of_a_job_are_looked_up_once(cluster: Fake, tmp_path: Path, looked_up: list[str],
                                              begins: bool) -> None:
    store, runs = Store(tmp_path / "runs"), grid(COUNT)
    slurm.launch(runs, Options(store.root), Ear(), cluster=Cluster(runs_per_job=PER_JOB), canaries=False)
    for task in range(COUNT // PER_JOB):
        cluster.state(f"100_{task}", "RUNNING" if begins else "")
        (store.root / f"slurm/logs/100_{task}_0_log.out").write_text("" if begins else "ImportError: no torch\n")
    states = store.states([run.run_id for run in runs])
    looked_up.clear()
    submitted = Submitted(store)
    found = observe(submitted, states)
    assert remarks(submitted, found) == []
    told = [note for note in found.notes.values() if note.endswith("is starting")] if begins else \
        [run_id for run_id, state in found.states.items() if state.label == "todo: start failed"]
    assert len(told) == COUNT and len(looked_up) == COUNT
