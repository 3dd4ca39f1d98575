"""On a real SLURM: jobs that cannot start, canaries of several kinds, cancelling, two starts at a time, jobs that wait
for ever. All is submitted at once, to overlap the waits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, all_well, grid
from fake_training import config

from suite.cli.main import main
from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.launch import batch, cancel, queue, slurm, slurm_cli
from suite.launch.cluster import Cluster
from suite.launch.observation import failed_canaries, observe
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store.store import Store

pytestmark = pytest.mark.slurm
TESTS = Path(__file__).parents[1] / "support"
LIMIT_S = float(os.environ.get("SUITE_SLURM_LIMIT_S", "330"))
PAIR = """\
name: pair
base: {task: scifar, data.variant: sample, train.epochs: 2, model.layers: 1, model.features: 8, train.batch_size: 8}
axes: {ssm.init: [lin, inv, real]}
seeds: [0, 1]
"""


@dataclass
class Scene:
    """Runs that were submitted to a store of their own."""

    store: Store
    runs: list[GridRun]
    training: tuple[str, dict[str, Any]] = ("fake_training:training", {})
    ear: Ear = field(default_factory=Ear)

    def submit(self, *, canaries: bool = False, wait: bool = False, **settings: Any) -> slurm.Launched:
        made = Cluster(**({"memory": "1500MB", "time": 30} | settings))
        return slurm.launch(self.runs, Options(self.store.root, Compute(checkpoint_s=0.0)), self.ear, self.training,
                            cluster=made, canaries=canaries, wait=wait, grids="a scene")

    def submitted(self) -> Submitted:
        return Submitted(self.store, queue.Queue(every_s=0.0))

    def until_gone(self) -> None:
        """Until no job of it is in the queue."""
        until = time.monotonic() + LIMIT_S
        names = [one.name for one in batch.all_of(self.store.root)]
        while slurm_cli.squeue(names):
            assert time.monotonic() < until, slurm_cli.squeue(names)
            time.sleep(0.3)


def two_kinds() -> list[GridRun]:
    """Three runs of each of two kernels."""
    made = [config().build({"task": "scifar", "data.variant": "sample", "train.epochs": 2, "seed": seed,
                            "ssm.kernel": kernel}) for kernel in ("vandermonde", "softmax") for seed in range(3)]
    return [GridRun(one, one.run_id, {"kernel": one.ssm.kernel}) for one in made]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    if "SUITE_SLURM_DIR" not in os.environ:
        pytest.skip("no SLURM: " + os.environ.get("SUITE_NO_SLURM", "start these tests with `make slurm`"))
    subprocess.run(["scontrol", "create", "partitionname=short", "nodes=ALL", "maxtime=5"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.setattr(queue, "EVERY_S", 2.0)
        root = tmp_path_factory.mktemp("starts")
        made = {"setup": Scene(Store(root / "setup"), grid(4)), "memory": Scene(Store(root / "memory"), grid(1)),
                "kinds": Scene(Store(root / "kinds"), two_kinds(), ("fake_kinds:training", {"bad": "softmax"})),
                "cancel": Scene(Store(root / "cancel"), grid(4)), "long": Scene(Store(root / "long"), grid(2)),
                "held": Scene(Store(root / "held"), grid(1)), "twice": Scene(Store(root / "twice"), grid(3))}
        made["cancel"].submit(canaries=True, extra={"begin": "now+4"})
        cancel_the_canary(made["cancel"])
        made["setup"].submit(canaries=True, setup=("echo before", "exit 3", "echo after"))
        made["memory"].submit(memory="20M")
        made["kinds"].submit(canaries=True)
        made["long"].submit(partition="short")
        made["held"].submit(extra={"begin": "now+600"})
        yield made


def cancel_the_canary(scene: Scene) -> None:
    """What `cancel` does before it asks runs to stop, for the one run that is the canary."""
    submitted = scene.submitted()
    probe, rest = submitted.batches.values()
    mine = {run.run_id: run for run in scene.runs if run.run_id in probe.runs}
    queued, alone = cancel._jobs(mine, submitted, scene.ear.message)
    assert {submitted.batches[job.batch].kind for job in alone} == {"canary", "main"} and len(alone) == 2
    cancel._release(queued, alone, submitted, scene.ear.message)
    queue.cancel(alone, scene.store.root)
    assert "no longer waits for its canary" in scene.ear.messages[-1]
    assert len(slurm_cli.squeue([rest.name])) == 3


def test_two_starts_at_the_same_second_submit_once(scenes: dict[str, Scene]) -> None:
    scene = scenes["twice"]
    code = f"""
from fake_runner import Ear, grid
from suite.launch import slurm
from suite.launch.options import Options
from suite.launch.cluster import Cluster
from pathlib import Path
ear = Ear()
slurm.launch(grid(3), Options(Path({str(scene.store.root)!r})), ear, ("fake_training:training", {{}}),
             cluster=Cluster(memory="1500MB", runs_per_job=3), canaries=False)
print(ear.messages)
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted((one.communicate(timeout=120)[0] for one in both), key=lambda text: "submitted" in text)
    assert [one.returncode for one in both] == [0, 0] and len(batch.all_of(scene.store.root)) == 1, told
    assert "3 runs are already in the queue" in told[0] and "1 job, 3 runs" in told[1]


def test_a_cancelled_canary_lets_the_others_start(scenes: dict[str, Scene]) -> None:
    scene = scenes["cancel"]
    scene.until_gone()
    probe, _ = batch.all_of(scene.store.root)
    all_well(scene.store, [run for run in scene.runs if run.run_id not in probe.runs])
    assert scene.store.state(probe.runs[0]).name == "todo"


def test_a_setup_line_that_fails_ends_the_job_and_says_so(scenes: dict[str, Scene]) -> None:
    scene = scenes["setup"]
    scene.until_gone()
    probe, _ = batch.all_of(scene.store.root)
    log = scene.submitted().log_of(f"{batch.job_of(scene.store.root, probe.name)}_0").read_text()
    assert "before" in log and "after" not in log
    found = observe(scene.submitted(), scene.store.states([run.run_id for run in scene.runs]))
    state = found.states[probe.runs[0]]
    assert state.label == "todo: start failed" and "a setup line failed (status 3): exit 3" in state.detail
    assert list(failed_canaries(scene.submitted(), found.states)) == probe.runs
    ended = scene.submit(setup=("exit 3",), wait=True)  # waits for nothing that will not come
    assert ended.states[probe.runs[0]].start is not None and ended.states[probe.runs[0]].start.waits
    assert len(ended.waiting) == 3  # the others may be tried once more


def test_a_job_that_has_too_little_memory_for_python(scenes: dict[str, Scene]) -> None:
    scene = scenes["memory"]
    scene.until_gone()
    found = observe(scene.submitted(), scene.store.states([scene.runs[0].run_id])).states[scene.runs[0].run_id]
    assert found.start is not None and "exceeded memory limit" in found.start.reason


def test_a_failed_canary_holds_back_its_own_kind_only(scenes: dict[str, Scene]) -> None:
    scene = scenes["kinds"]
    scene.until_gone()
    states = scene.store.states([run.run_id for run in scene.runs])
    kernels = Counter((run.labels["kernel"], states[run.run_id].name) for run in scene.runs)
    assert kernels == {("vandermonde", "done"): 3, ("softmax", "failed"): 1, ("softmax", "todo"): 2}


def test_what_will_never_start_is_said_and_not_waited_for(scenes: dict[str, Scene]) -> None:
    scene = scenes["long"]
    ended = scene.submit(partition="short", wait=True)
    assert any("will not start: its time limit exceeds the partition's limit" in one
               for one in scene.ear.messages), scene.ear.messages
    assert {state.name for state in ended.states.values()} == {"failed"} and len(ended.waiting) == 2
    held = scenes["held"]
    number = batch.job_of(held.store.root, batch.all_of(held.store.root)[0].name) or ""
    subprocess.run(["scontrol", "uhold", number], check=True)
    notes = observe(held.submitted(), held.store.states([held.runs[0].run_id])).notes
    assert "will not start: you hold it; `scontrol release` lets it start" in notes[held.runs[0].run_id]
    subprocess.run(["scancel", number], check=True)


def test_options_that_changed_are_named(scenes: dict[str, Scene], tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(PAIR)
    where = [str(tmp_path / "pair.yaml"), "--profile", "mini", "--store", str(tmp_path / "runs")]
    cluster = ["--executor", "slurm", "--gpus-per-job", "0", "--extra", "begin=now+300", "--memory"]
    assert main(["run", *where, *cluster, "600M"]) == 0
    rows = slurm_cli.squeue([one.name for one in batch.all_of(tmp_path / "runs")])
    assert len(rows) == 7 and all(row.name.startswith("s4d-pair-") for row in rows)
    assert main(["run", *where, *cluster, "2G"]) == 0
    assert "6 runs are queued with --memory 600M; `cancel`, then `retry`, to use --memory 2G" in \
        capsys.readouterr().err
    (tmp_path / "pair.yaml").write_text(PAIR.replace("real]", "legs]"))  # the grid is edited
    assert main(["status", *where]) == 0
    assert "of an earlier version of these grids are in the queue; `cancel --orphans`" in capsys.readouterr().out
    assert main(["gc", *where[:1], *where[1:]]) == 0
    assert "`cancel --orphans` cancels it" in capsys.readouterr().out
    assert main(["cancel", *where, "--orphans"]) == 0
    assert "2 cancelled" in capsys.readouterr().out
    assert main(["cancel", *where, "--only", "seed=0"]) == 0
    assert "2 cancelled" in capsys.readouterr().out
    assert len(slurm_cli.squeue([one.name for one in batch.all_of(tmp_path / "runs")])) == 2
    assert main(["cancel", *where]) == 0
