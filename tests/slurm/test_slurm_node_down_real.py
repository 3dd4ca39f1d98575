"""On a real SLURM: slurmd is killed in the middle of a run, its node is taken for dead, and slurmd comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runner import Ear, all_well, grid

from suite.job.compute import Compute
from suite.launch import slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.store.records import Beat
from suite.store.store import Store

pytestmark = pytest.mark.slurm
TESTS = Path(__file__).parents[1]
LIMIT_S = 120.0


def until(true: Callable[[], bool], told: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, told()
        time.sleep(0.2)


def test_a_run_outlives_the_kill_of_slurmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "support"))
    place = Path(os.environ["SUITE_SLURM_DIR"])
    store, runs = Store(tmp_path / "runs"), grid(1)
    run_id = runs[0].run_id
    slurm.launch(runs, Options(store.root, Compute(checkpoint_s=0.0)), Ear(),
                 ("fake_training:training", {"pause": 0.3}), cluster=Cluster(memory="1500MB", time=30), canaries=False)
    log = store.root / "slurm/logs"

    def said() -> str:
        return "".join(path.read_text() for path in log.glob("*.out"))

    until(lambda: ((store.state(run_id).progress or Beat()).step or 0) > 4, said)
    os.kill(int((place / "pid/slurmd").read_text()), signal.SIGKILL)
    node = subprocess.run(["sinfo", "-h", "-N", "-o", "%N", "-p", "main"], capture_output=True, text=True, check=True)
    # What SLURM does by itself after SlurmdTimeout, 300 s. It requeues the job.
    subprocess.run(["scontrol", "update", f"nodename={node.stdout.strip()}", "state=down", "reason=test"], check=True)
    until(lambda: "SLURM state: PENDING" in said(), said)  # nobody but the job itself is there to end it
    assert "the batch shell of this job has ended" in said() and store.state(run_id).name == "partial"
    time.sleep(6)  # from now on it may start at once when the node is back, where the old order to end it arrives late
    subprocess.run([TESTS / "slurm_cluster", "start", place], check=True)
    until(lambda: store.state(run_id).name == "done", said)
    all_well(store, runs)
    record = store.provenance(run_id)
    assert record is not None and len(record.attempts) == 2 and record.attempts[1].from_step > 4
    assert {one.job for one in record.attempts} == {record.attempts[0].job}
