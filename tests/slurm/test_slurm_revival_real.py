"""On a real SLURM: jobs that are killed (SIGKILL) with all that could say so, under `--wait`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fake_runner import Ear, all_well, grid, owner

from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.launch import batch, queue, shell, slurm
from suite.launch.cluster import Cluster
from suite.launch.options import Launched, Options
from suite.store import attempt
from suite.store.folder import checkpoints
from suite.store.store import Store

pytestmark = pytest.mark.slurm
TESTS = Path(__file__).parents[1] / "support"
LIMIT_S = 240.0


@dataclass
class Scene:
    """Somebody waits for runs, in a thread."""

    store: Store
    runs: list[GridRun]
    kill: Callable[[Scene, str], None]
    settings: dict[str, int] = field(default_factory=dict)
    checkpoint_s: float = 0.0
    kills: int = 1
    ear: Ear = field(default_factory=Ear)
    ended: Launched | None = None
    killed: list[str] = field(default_factory=list)

    def wait(self) -> None:
        made = Cluster(memory="1500MB", time=30, **self.settings)
        options = Options(self.store.root, Compute(checkpoint_s=self.checkpoint_s))
        self.ended = slurm.launch(self.runs, options, self.ear, ("fake_training:training", {"pause": 0.2}),
                                  cluster=made, canaries=False, wait=True)

    def disturb(self) -> None:
        """Kill each job of the first run, as often as it is to be, once the run is under way."""
        run_id = self.runs[0].run_id
        tenure = attempt.latest(self.store.folder(run_id))
        ready = tenure is not None and (checkpoints(self.store.folder(run_id)) or self.checkpoint_s)
        if len(self.killed) < self.kills and ready and owner(self.store, run_id) and tenure.job not in self.killed:
            self.killed.append(tenure.job)
            self.kill(self, tenure.job)


def kill_all(scene: Scene, label: str) -> None:
    """The shell first, which would have the job started again; nobody has time for a checkpoint or a word."""
    run = owner(scene.store, scene.runs[0].run_id)
    environment = Path(f"/proc/{run}/environ").read_text().split("\0")
    told = next(line.partition("=")[2] for line in environment if line.startswith(f"{shell.SHELL}="))
    for pid in (int(told.split()[0]), parent(parent(run)), parent(run), run):
        os.kill(pid, signal.SIGKILL)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def cancel(scene: Scene, label: str) -> None:
    subprocess.run(["scancel", "--signal=KILL", label], check=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    root = tmp_path_factory.mktemp("killed")
    made = {"once": Scene(Store(root / "once"), grid(2), kill_all, {"runs_per_job": 2}),
            "always": Scene(Store(root / "always"), grid(1), kill_all, checkpoint_s=1000.0, kills=9),
            "cancelled": Scene(Store(root / "cancelled"), grid(1), cancel)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.setattr(queue, "EVERY_S", 2.0)
        threads = [threading.Thread(target=scene.wait) for scene in made.values()]
        for thread in threads:
            thread.start()
        until = time.monotonic() + LIMIT_S
        while any(thread.is_alive() for thread in threads):
            assert time.monotonic() < until, [scene.ear.messages for scene in made.values()]
            for scene in made.values():
                scene.disturb()
            time.sleep(0.2)
    return made


def test_a_killed_job_starts_again_with_all_its_runs(scenes: dict[str, Scene]) -> None:
    scene = scenes["once"]
    all_well(scene.store, scene.runs)
    assert scene.ear.messages[1].startswith(f"job {scene.killed[0]} was killed; ") and len(scene.ear.messages) == 3
    assert scene.store.state(scene.runs[0].run_id).attempts == 2 and len(batch.all_of(scene.store.root)) == 2


def test_a_run_whose_jobs_are_always_killed_is_given_up(scenes: dict[str, Scene]) -> None:
    scene = scenes["always"]
    state = scene.store.state(scene.runs[0].run_id)
    assert state.label == "failed: killed" and len(scene.killed) == 3
    assert f"killed 3 times without progress, the last one was job {scene.killed[-1]}" in state.detail


def test_a_job_that_somebody_cancels_with_sigkill_stays_cancelled(scenes: dict[str, Scene]) -> None:
    scene = scenes["cancelled"]
    assert len(batch.all_of(scene.store.root)) == 1 and scene.ended is not None
    assert scene.ended.states[scene.runs[0].run_id].name in ("partial", "failed") and scene.ended.waiting
