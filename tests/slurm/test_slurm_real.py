"""A real SLURM (`tests/slurm_cluster run pytest -m slurm`): all is submitted at once, to overlap the waits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, all_well, grid, owner

from suite.errors import UserError
from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.launch import batch, queue, slurm
from suite.launch.cluster import Cluster
from suite.launch.observation import failed_canaries
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import attempt
from suite.store.folder import checkpoints
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store

pytestmark = pytest.mark.slurm
TESTS = Path(__file__).parents[1] / "support"
SMALL = {"memory": "1500MB", "time": 30}
LIMIT_S = float(os.environ.get("SUITE_SLURM_LIMIT_S", "330"))  # for all together; an idle machine needs half of it


@dataclass
class Scene:
    """Runs that were submitted to a store of their own."""

    store: Store
    runs: list[GridRun]
    ear: Ear
    options: Options

    def wait(self, until: Callable[[RunState], bool]) -> list[RunState]:
        """The states, once all of them are so."""
        states: list[RunState] = []
        while time.monotonic() < BEGAN + LIMIT_S:
            states = [self.store.state(run.run_id) for run in self.runs]
            if all(map(until, states)):
                return states
            time.sleep(0.3)
        logs = "\n".join(path.read_text() for path in (self.store.root / "slurm/logs").glob("*.out"))
        raise AssertionError(f"{states}\n{squeue('%A %a %T %r')}\n{logs[-4000:]}")

    def all_well(self) -> None:
        """All runs end, with the bits of an undisturbed training."""
        self.wait(lambda state: state.name == "done")
        all_well(self.store, self.runs)

    @property
    def number(self) -> str:
        """Of the newest array."""
        return batch.job_of(self.store.root, batch.all_of(self.store.root)[-1].name) or ""

    def log(self) -> str:
        return "".join(path.read_text() for path in (self.store.root / "slurm/logs").glob("*.out"))


BEGAN = time.monotonic()


def squeue(form: str, *more: str) -> list[str]:
    done = subprocess.run(["squeue", "-h", "-r", "-o", form, *more], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]


def submit(root: Path, count: int, training: str = "fake_training:training", how: dict[str, Any] | None = None,
           epochs: int = 3, canaries: bool = False, **settings: Any) -> Scene:
    store, ear = Store(root), Ear()
    options = Options(store.root, Compute(checkpoint_s=0.0))
    runs = grid(count, epochs)
    slurm.launch(runs, options, ear, (training, how or {}), cluster=Cluster(**(SMALL | settings)), canaries=canaries)
    return Scene(store, runs, ear, options)


def again(scene: Scene, **settings: Any) -> list[str]:
    ear = Ear()
    slurm.launch(scene.runs, scene.options, ear, ("fake_training:training", {}), cluster=Cluster(**(SMALL | settings)),
                 canaries=False)
    return ear.messages


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """What takes long, or needs others to wait in the queue."""
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    global BEGAN
    BEGAN = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        root = tmp_path_factory.mktemp("a 'store' of 100% \"quotes\"")
        (root / "frozen").mkdir()
        frozen = root / "frozen" / "frozen_training.py"
        frozen.write_text("from fake_training import training as training\n")
        patch.syspath_prepend(str(frozen.parent))
        made = {
            "time": submit(root / "time", 1, how={"pause": 1.7}, time=1, signal_s=15),
            "hang": submit(root / "hang", 1, how={"fault": "hang", "at": 0}, time=1, signal_s=5),
            "error": submit(root / "error", 1, how={"fault": "error", "at": 15}),
            "suicide": submit(root / "suicide", 1, how={"fault": "suicide", "at": 12}),
            "memory": submit(root / "memory", 1, how={"fault": "memory", "at": 12}),
            "canary": submit(root / "canary", 4, how={"fault": "user", "at": 0}, canaries=True),
            "half": submit(root / "half", 6, extra={"begin": "now+40"}),
            "frozen": submit(root / "frozen store", 2, "frozen_training:training", extra={"begin": "now+5"},
                             runs_per_job=2, side_by_side=2),
            # late: they are to be interrupted while they compute, also on a busy machine
            "usr2": submit(root / "usr2", 1, how={"pause": 0.5}),
            "requeue": submit(root / "requeue", 1, how={"pause": 0.5}),
            "supervisor": submit(root / "supervisor", 1, how={"pause": 0.5}),
            "cancelled": submit(root / "cancelled", 1, how={"pause": 0.5}),
            "gpus": submit(root / "gpus", 30, "fake_gpu:training", gpus_per_job=1, partition="gpu", canaries=True),
        }
        frozen.write_text("raise RuntimeError('edited after the submission')\n")
        cancel_half(made["half"])
        disturb(made)
        yield made


def cancel_half(scene: Scene) -> None:
    """Cancel three of six jobs while they wait, and start the runs again."""
    subprocess.run(["scancel", *(f"{scene.number}_{task}" for task in (1, 3, 5))], check=True)
    scene.ear.messages += again(scene, runs_per_job=3)


def disturb(made: dict[str, Scene]) -> None:
    """Interrupt four runs in the middle of an epoch, each in its way."""
    def usr2(scene: Scene, pid: int) -> None:
        subprocess.run(["scancel", "--signal=USR2", f"{scene.number}_0"], check=True)

    def requeue(scene: Scene, pid: int) -> None:
        subprocess.run(["scontrol", "requeue", f"{scene.number}_0"], check=True)

    def supervisor(scene: Scene, pid: int) -> None:
        os.kill(parent(parent(pid)), signal.SIGKILL)

    def cancelled(scene: Scene, pid: int) -> None:
        subprocess.run(["scancel", f"{scene.number}_0"], check=True)

    todo = {"usr2": usr2, "requeue": requeue, "supervisor": supervisor, "cancelled": cancelled}
    while todo:
        assert time.monotonic() < BEGAN + LIMIT_S
        time.sleep(0.2)
        for name in list(todo):
            store, run_id = made[name].store, made[name].runs[0].run_id
            step = (store.state(run_id).progress or Beat()).step or 0
            if step % 10 > 2 and (pid := owner(store, run_id)):
                todo.pop(name)(made[name], pid)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_sbatch_refuses(scenes: dict[str, Scene], tmp_path: Path) -> None:
    for settings, words in (({"gpus_per_job": 5}, "Requested node configuration is not available"),
                            ({"partition": "none"}, "invalid partition specified")):
        with pytest.raises(UserError, match=f"(?i)sbatch refused the jobs: .*{words}"):
            submit(tmp_path / "refused", 2, **settings)
    assert not batch.all_of(tmp_path / "refused")


def test_the_controller_is_restarted_while_jobs_wait(scenes: dict[str, Scene]) -> None:
    waiting = squeue("%A", "--states=PENDING")
    subprocess.run([TESTS.parent / "slurm_cluster", "restart", os.environ["SUITE_SLURM_DIR"]], check=True)
    end = time.monotonic() + 20
    while subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode:
        assert time.monotonic() < end
    assert len(waiting) > 5 and squeue("%A")


def test_usr2_in_mid_epoch(scenes: dict[str, Scene]) -> None:
    scene = scenes["usr2"]
    scene.all_well()
    assert "stopped by SIGUSR2; SLURM state: RUNNING" in scene.log()
    assert attempt.latest(scene.store.folder(scene.runs[0].run_id)).number == 2  # type: ignore[union-attr]


def test_a_plain_requeue_in_mid_epoch(scenes: dict[str, Scene]) -> None:
    scene = scenes["requeue"]
    scene.all_well()
    record = scene.store.provenance(scene.runs[0].run_id)
    assert record is not None and len(record.attempts) == 2 and record.attempts[1].from_step > 0
    assert record.attempts[1].job == f"{scene.number}_0" and record.attempts[1].git.commit


def test_a_job_whose_processes_are_killed_starts_again(scenes: dict[str, Scene]) -> None:
    scene = scenes["supervisor"]
    scene.all_well()
    folder = scene.store.folder(scene.runs[0].run_id)
    assert sorted(attempt.numbers(folder)) == [1, 2]
    assert "exit status 137" in (folder / "attempts/0001.end").read_text()


def test_a_job_that_is_cancelled_stops_and_goes_on_when_asked(scenes: dict[str, Scene]) -> None:
    scene = scenes["cancelled"]
    state, = scene.wait(lambda state: state.name == "partial")
    assert (state.reason, state.attempts) == ("interrupted", 1)
    while squeue("%j", f"--name={batch.all_of(scene.store.root)[0].name}") and time.monotonic() < BEGAN + LIMIT_S:
        time.sleep(0.3)
    assert "to be started again" not in scene.log() and "1 job, 1 run" in again(scene)[-1]
    scene.all_well()


def test_a_run_that_raises(scenes: dict[str, Scene]) -> None:
    scene = scenes["error"]
    state, = scene.wait(lambda state: state.name == "failed")
    assert state.reason == "error"
    assert state.detail.startswith("ZeroDivisionError: division by zero in the tests (fake_training.py:")
    assert "Traceback" in scene.store.log(scene.runs[0].run_id).read_text()
    assert again(scene) == []  # only `retry` runs it again


def test_a_run_that_is_always_killed(scenes: dict[str, Scene]) -> None:
    state, = scenes["suicide"].wait(lambda state: state.name == "failed" and state.attempts == 4)
    assert (state.reason, state.detail) == ("killed", "killed by SIGKILL")


def test_a_run_that_exceeds_its_memory(scenes: dict[str, Scene]) -> None:
    scene = scenes["memory"]
    state, = scene.wait(lambda state: state.name == "failed")
    assert state.reason == "oom" and "exceeded memory limit" in state.detail, state
    assert checkpoints(scene.store.folder(scene.runs[0].run_id))[0][0] == 12


def test_a_canary_that_fails_keeps_the_others_from_starting(scenes: dict[str, Scene]) -> None:
    scene = scenes["canary"]
    probe, main = batch.all_of(scene.store.root)
    while squeue("%j", f"--name={probe.name},{main.name}") and time.monotonic() < BEGAN + LIMIT_S:
        time.sleep(0.3)
    states = scene.store.states([run.run_id for run in scene.runs])
    assert Counter(state.name for state in states.values()) == {"failed": 1, "todo": 3}
    failed = failed_canaries(Submitted(scene.store), states)
    assert list(failed) == probe.runs and "a batch of 50 is more than 3" in failed[probe.runs[0]].detail
    assert max(state.attempts for state in states.values()) == 1


@pytest.mark.parametrize("when", ["before sbatch", "after sbatch"])
def test_a_submission_that_is_killed_half_way(scenes: dict[str, Scene], tmp_path: Path, when: str) -> None:
    name = "slurm.Submission._sbatch" if when == "before sbatch" else "batch.settle"
    code = f"""
import os, signal
from fake_runner import Ear, grid
from suite.job.compute import Compute
from suite.launch import batch, slurm
from suite.launch.options import Options
from suite.launch.cluster import Cluster
from pathlib import Path
{name} = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
slurm.launch(grid(2), Options(Path({str(tmp_path / "runs")!r}), Compute(checkpoint_s=0.0)), Ear(),
             ("fake_training:training", {{}}), cluster=Cluster(**{SMALL!r}, runs_per_job=2), canaries=False)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    scene = Scene(Store(tmp_path / "runs"), grid(2), Ear(), Options(tmp_path / "runs", Compute(checkpoint_s=0.0)))
    told = again(scene, runs_per_job=2)
    names = [one.name for one in batch.all_of(scene.store.root)]
    waiting = squeue("%j", f"--name={','.join(names)}")
    assert len(waiting) <= 1 and len(names) == (2 if when == "before sbatch" else 1)
    assert ("submitted job" in told[-1]) == (when == "before sbatch")
    scene.all_well()
    assert [scene.store.state(run.run_id).attempts for run in scene.runs] == [1, 1]


def test_the_code_of_jobs_is_that_of_their_submission(scenes: dict[str, Scene]) -> None:
    scene = scenes["frozen"]
    scene.all_well()
    one, = batch.all_of(scene.store.root)
    assert one.at_once == 2 and one.tasks == (tuple(run.run_id for run in scene.runs),)
    record = scene.store.provenance(scene.runs[0].run_id)
    assert record is not None and record.code != "no commit"


def test_half_of_the_jobs_are_cancelled(scenes: dict[str, Scene]) -> None:
    scene = scenes["half"]
    first, *told, second = scene.ear.messages
    assert "6 jobs, 6 runs" in first and "1 job, 3 runs" in second
    queued, changed = sorted(told, key=len)
    assert queued == "3 runs are already in the queue" and changed.startswith("3 runs are queued with --extra begin=")
    assert batch.all_of(scene.store.root)[-1].runs == [scene.runs[task].run_id for task in (1, 3, 5)]
    scene.all_well()
    assert {scene.store.state(run.run_id).attempts for run in scene.runs} == {1}


def test_a_run_that_hangs_until_its_time_limit(scenes: dict[str, Scene]) -> None:
    state, = scenes["hang"].wait(lambda state: state.name == "failed" and state.reason == "timeout")
    assert "reached its time limit of 1 min without progress" in state.detail


def test_a_run_that_exceeds_its_time_goes_on(scenes: dict[str, Scene]) -> None:
    scene = scenes["time"]
    scene.all_well()
    assert scene.store.state(scene.runs[0].run_id).attempts >= 2
    assert re.search("stopped by (SIGUSR2|SIGALRM); SLURM state: RUNNING", scene.log())


def test_thirty_runs_on_two_gpus(scenes: dict[str, Scene]) -> None:
    scene = scenes["gpus"]
    scene.all_well()
    gpus = Counter(gpu for run in scene.runs
                   for gpu in re.findall(r"GPU (\S+)", scene.store.log(run.run_id).read_text()))
    assert set(gpus) == {"0", "1"} and gpus.total() >= 30, gpus
    arrays = [one for one in batch.all_of(scene.store.root) if one.kind == "main"]
    assert [len(one.tasks) for one in arrays] == [21, 9]  # MaxArraySize of this cluster
    probe = batch.all_of(scene.store.root)[0]
    assert {run.run_id: scene.store.state(run.run_id).attempts for run in scene.runs} == \
        {run.run_id: 2 if run.run_id in probe.runs else 1 for run in scene.runs}
    assert queue.Queue().jobs({one.name: "" for one in arrays}) is not None
