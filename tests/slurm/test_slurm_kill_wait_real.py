"""On a real SLURM with KillWait 0: SIGKILL comes at once after SIGTERM, so that only the signal before the time limit
leaves time for a checkpoint."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from fake_runner import Ear, all_well, grid

from suite.job.compute import Compute
from suite.launch import batch, slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.store.folder import checkpoints
from suite.store.store import Store

pytestmark = pytest.mark.slurm
TESTS = Path(__file__).parents[1] / "support"
LIMIT_S = 240.0


@pytest.fixture
def no_mercy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The cluster with KillWait 0, and afterwards as it was."""
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    file = Path(os.environ["SUITE_SLURM_DIR"]) / "slurm.conf"
    before = file.read_text()
    try:
        file.write_text(re.sub(r"(?m)^KillWait=.*$", "KillWait=0", before))
        subprocess.run(["scontrol", "reconfigure"], check=True)
        yield
    finally:
        file.write_text(before)
        subprocess.run(["scontrol", "reconfigure"], check=True)


def submit(store: Store, pause: float, seed: int, checkpoint_s: float, **settings: int) -> None:
    slurm.launch(grid(1, first=seed), Options(store.root, Compute(checkpoint_s=checkpoint_s)), Ear(),
                 ("fake_training:training", {"pause": pause}),
                 cluster=Cluster(**({"memory": "1500MB", "time": 30} | settings)), canaries=False)


def label_of(store: Store) -> str:
    return f"{batch.job_of(store.root, batch.all_of(store.root)[0].name)}_0"


def restart_when_it_runs(store: Store, until: float) -> None:
    """From a restart on, the controller looks at time limits every 30 s: so the signal comes some 32 s after the start
    of the job, and once: 30 s later the job is so young again that its end is far away."""
    while slurm.slurm_cli.state_of(label_of(store)) != "RUNNING" and time.monotonic() < until:
        time.sleep(0.1)
    subprocess.run([TESTS.parent / "slurm_cluster", "restart", os.environ["SUITE_SLURM_DIR"]], check=True)
    while subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_no_checkpoint_is_lost(no_mercy: None, tmp_path: Path) -> None:
    timed, cancelled = Store(tmp_path / "timed"), Store(tmp_path / "cancelled")
    [slow], [run] = grid(1), grid(1, first=1)
    until = time.monotonic() + LIMIT_S
    submit(timed, 1.2, 0, 1000.0, time=1, signal_s=9)  # no checkpoint but the one that the signal asks for
    restart_when_it_runs(timed, until)
    submit(cancelled, 0.5, 1, 0.0)
    while len(checkpoints(cancelled.folder(run.run_id))) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    label = label_of(cancelled)
    subprocess.run(["scancel", label], check=True)
    reached = max(step for step, _ in checkpoints(cancelled.folder(run.run_id)))
    while slurm.slurm_cli.state_of(label) and time.monotonic() < until:
        time.sleep(0.2)
    assert max(step for step, _ in checkpoints(cancelled.folder(run.run_id))) >= reached
    submit(cancelled, 0.0, 1, 0.0)
    for store, one in ((cancelled, run), (timed, slow)):
        while store.state(one.run_id).name != "done" and time.monotonic() < until:
            time.sleep(0.3)
        all_well(store, [one])
    assert cancelled.state(run.run_id).attempts == 2
    log = "".join(path.read_text() for path in (timed.root / "slurm/logs").glob("*.out"))
    record = timed.provenance(slow.run_id)
    assert record is not None and len(record.attempts) >= 2 and record.attempts[0].to_step
    assert all(after.from_step == before.to_step for before, after in pairwise(record.attempts))
    assert "stopped by SIGUSR2; SLURM state: RUNNING" in log and "killed" not in log
