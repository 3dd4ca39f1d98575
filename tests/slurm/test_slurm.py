"""Submission to a cluster that only takes notes: arrays, limits, canaries, interruptions, refusals, frozen code."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, grid
from fake_training import config
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.errors import UserError
from suite.files import study
from suite.grid.model import GridRun
from suite.launch import batch, canary, endings, node, slurm, slurm_cli, snapshot
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.store import attempt, provenance
from suite.store.records import Beat, Origin
from suite.store.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "a 'store' of 100% \"quotes\"")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "STILL_S", 0.1)
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None, command=["a test"]))


def submit(store: Store, runs: list[GridRun], ear: Ear | None = None, canaries: bool = False, retry: bool = False,
           **settings: Any) -> Ear:
    ear = ear or Ear()
    slurm.launch(runs, Options(store.root, retry=retry), ear, cluster=Cluster(**settings), canaries=canaries)
    return ear


def test_runs_are_submitted_once_as_an_array(cluster: Fake, store: Store) -> None:
    runs = grid(5)
    ear = submit(store, [*runs, runs[0]])
    script = cluster.scripts()["100"]
    assert "#SBATCH --array=0-4%5" in script and "--requeue" in script and "submitit.core" not in script
    one, = batch.all_of(store.root)
    assert one.runs == [run.run_id for run in runs] and batch.job_of(store.root, one.name) == "100"
    assert ear.messages == ["submitted job 100: 5 jobs, 5 runs"]
    assert submit(store, runs).messages == ["5 runs are already in the queue"] and len(cluster.scripts()) == 1
    assert all((store.folder(run.run_id) / "config.json").exists() for run in runs)
    assert not list((store.root / "slurm").rglob("*.pkl"))


def test_arrays_are_split_and_take_turns(cluster: Fake, store: Store) -> None:
    cluster.set("array_size", "4")
    submit(store, grid(10), runs_per_job=1, max_parallel=3)
    arrays = [re.findall(r"--array=(\S+)|--dependency=(\S+)", script) for script in cluster.scripts().values()]
    assert arrays == [[("0-3%3", "")], [("0-3%3", ""), ("", "afterany:100")], [("0-1%2", ""), ("", "afterany:101")]]


def test_several_runs_share_a_job(cluster: Fake, store: Store) -> None:
    submit(store, grid(5), runs_per_job=2, side_by_side=2)
    one, = batch.all_of(store.root)
    assert [len(task) for task in one.tasks] == [2, 2, 1] and one.at_once == 2
    assert "--cpus-per-task=2" in cluster.scripts()["100"] and "srun --unbuffered" in cluster.scripts()["100"]


def test_what_is_over_the_limit_of_the_user_waits_for_the_next_start(cluster: Fake, store: Store) -> None:
    cluster.set("limit", "6")
    cluster.set("queue", "7|0|of somebody|RUNNING|None\n")
    runs = grid(8)
    assert submit(store, runs).messages[-1].startswith("3 runs exceed your limit of ")
    assert "--array=0-4%5" in cluster.scripts()["100"]
    assert submit(store, runs).messages[0] == "5 runs are already in the queue" and len(cluster.scripts()) == 1
    cluster.set("queue", "")
    for run in runs[:5]:
        owner = attempt.claim(store.folder(run.run_id))
        assert owner is not None
        owner.end("failed", "error", "x")
    submit(store, runs)
    assert batch.all_of(store.root)[-1].runs == [run.run_id for run in runs[5:]]


def test_canaries_go_first_and_the_rest_depends_on_them(cluster: Fake, store: Store) -> None:
    runs = grid(4)
    ear = submit(store, runs, canaries=True)
    first, rest = cluster.scripts().values()
    assert "--array=0-0%1" in first and "dependency" not in first
    assert "--dependency=afterok:100" in rest and "--kill-on-invalid-dep=yes" in rest
    probe, main = batch.all_of(store.root)
    assert probe.order.probe and not main.order.probe and set(probe.runs) < set(main.runs)
    assert ear.messages[0] == "submitted job 100: 1 canary; the other runs wait for it"
    # the rest was lost; the canary is still in the queue, and the next start makes the rest depend on it
    for task in range(4):
        cluster.state(f"101_{task}", "")
    batch.settle(store.root, main.name, "101")
    submit(store, runs, canaries=True)
    assert "--dependency=afterok:100" in cluster.scripts()["102"] and len(cluster.scripts()) == 3


def test_one_canary_for_each_task_model_and_kernel() -> None:
    runs = []
    for kernel, size in (("vandermonde", 64), ("vandermonde", 16), ("cauchy", 64), ("cauchy", 32)):
        made = config().build({"task": "scifar", "data.variant": "sample", "ssm.kernel": kernel, "ssm.state_size": size,
                               "ssm.structure": "dplr" if kernel == "cauchy" else "diagonal",
                               "ssm.discretization": "bilinear" if kernel == "cauchy" else "zoh"})
        runs.append(GridRun(made, made.run_id, {}))
    states = Store(Path("none")).states([run.run_id for run in runs])
    assert [run.config.ssm.state_size for run in canary.choose(runs, states, {})] == [16, 32]
    assert [run.config.ssm.state_size for run in canary.choose(runs, states, {runs[0].config.shape: 1.0})] == [64, 32]
    covered = {canary.kind(runs[0].config)}
    assert [run.config.ssm.state_size for run in canary.choose(runs, states, {}, covered)] == [32]
    assert canary.choose(runs[1:3], states, {}) == []  # nothing would wait for them


def test_a_submission_that_was_interrupted_before_sbatch_is_done_again(cluster: Fake, store: Store,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(3)
    with monkeypatch.context() as patch:
        patch.setattr(slurm.Submission, "_sbatch", lambda self, one, record, before: (_ for _ in ()).throw(KeyError()))
        with pytest.raises(KeyError):
            submit(store, runs)
    assert submit(store, runs).messages == ["submitted job 100: 3 jobs, 3 runs"]
    first, second = batch.all_of(store.root)
    # should the first sbatch have got through after all, its jobs find that they may do nothing
    assert batch.job_of(store.root, first.name) == "" and batch.job_of(store.root, second.name) == "100"
    assert batch.settle(store.root, first.name, "99") == ""


def test_a_submission_that_was_interrupted_after_sbatch_is_kept(cluster: Fake, store: Store,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(3)
    with monkeypatch.context() as patch:
        patch.setattr(batch, "settle", lambda *args: (_ for _ in ()).throw(KeyError()))
        with pytest.raises(KeyError):
            submit(store, runs)
    one, = batch.all_of(store.root)
    assert batch.job_of(store.root, one.name) is None
    messages = submit(store, runs).messages
    assert messages == ["job 100 belongs to an interrupted submission, and is kept",
                        "3 runs are already in the queue"]
    assert batch.job_of(store.root, one.name) == "100" and len(cluster.scripts()) == 1


def test_the_jobs_of_a_submission_that_was_given_up_are_cancelled(cluster: Fake, store: Store,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    right = slurm.Submission._sbatch

    def slow(self: slurm.Submission, one: batch.Batch, record: Path, before: int) -> slurm_cli.Accepted:
        batch.settle(store.root, record.stem, "")  # another start, meanwhile
        return right(self, one, record, before)

    monkeypatch.setattr(slurm.Submission, "_sbatch", slow)
    with pytest.raises(UserError, match="gave up this submission"):
        submit(store, grid(3))
    assert cluster.lines("cancelled") == ["100"]


def test_a_refusal_comes_in_the_words_of_sbatch(cluster: Fake, store: Store) -> None:
    cluster.set("refuse", "sbatch: error: Batch job submission failed: Invalid account or partition\n")
    with pytest.raises(UserError) as caught:
        submit(store, grid(3))
    text = str(caught.value)
    assert "sbatch refused the jobs: Batch job submission failed: Invalid account" in text and "nothing was" in text
    assert not batch.all_of(store.root)
    cluster.set("refuse", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n")
    with pytest.raises(UserError, match="SLURM did not answer in time: .*timed out") as caught:
        submit(store, grid(3))
    assert "nothing was submitted" not in str(caught.value) and "accepted are found" in str(caught.value)
    assert len(batch.all_of(store.root)) == 1  # it may have been accepted
    cluster.drop("refuse")
    assert submit(store, grid(3)).messages == ["submitted job 100: 3 jobs, 3 runs"]


def test_nothing_is_submitted_while_the_queue_is_silent(cluster: Fake, store: Store) -> None:
    submit(store, grid(2))
    cluster.set("silent", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    with pytest.raises(UserError, match="Unable to contact slurm controller"):
        submit(store, grid(3))
    assert len(cluster.scripts()) == 1


def test_no_slurm_on_this_machine(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="SLURM is not installed on this machine"):
        submit(store, grid(2))


def test_runs_whose_job_is_gone_are_taken_over(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = grid(3)
    submit(store, runs)
    with monkeypatch.context() as patch:
        patch.setattr(attempt, "here", lambda: ("node7", "another boot"))
        for task, run in enumerate(runs):
            owner = attempt.claim(store.folder(run.run_id), job=f"100_{task}")
            assert owner is not None
            owner.beat(Beat(step=4))
    logs = store.root / "slurm" / "logs"
    last = "slurmstepd: error: *** JOB 100 ON node7 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***\n"
    (logs / "100_0_0_log.out").write_text(f"epoch 1\n{last}")
    cluster.state("100_0", "")
    cluster.state("100_1", "")
    cluster.state("100_2", "RUNNING")
    ear = submit(store, runs)
    assert ear.messages == ["1 run is already in the queue", "submitted job 101: 2 jobs, 2 runs"]
    state = store.state(runs[0].run_id)
    assert (state.name, state.reason) == ("failed", "timeout") and "DUE TO TIME LIMIT" in state.detail
    assert store.state(runs[1].run_id).reason == "killed" and store.state(runs[2].run_id).name == "claimed"


def test_failed_runs_are_submitted_again_only_on_retry(cluster: Fake, store: Store) -> None:
    runs = grid(3)
    owner = attempt.claim(store.add(runs[0].config))
    assert owner is not None
    owner.end("failed", "error", "x")
    submit(store, runs)
    assert batch.all_of(store.root)[0].runs == [run.run_id for run in runs[1:]]
    submit(store, runs, retry=True)
    again = batch.all_of(store.root)[-1]
    assert again.runs == [runs[0].run_id] and again.retry and again.attempts == {runs[0].run_id: 1}


@pytest.mark.usefixtures("copied")
def test_the_code_is_copied_and_stays_as_it_was(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    source = tmp_path / "mine" / "my_frozen_init.py"
    source.write_text("import numpy as np\n\n\ndef grow(state_size, copies, rng):\n"
                      "    return -0.5 + 1j * np.arange(state_size // 2) * np.ones((copies, 1))\n")
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    made = config().build({"task": "scifar", "data.variant": "sample", "ssm.init": "my_frozen_init:grow"})
    place = snapshot.freeze(store.root, [made])
    assert (place / "my_frozen_init.py").read_text() == source.read_text()
    assert (place / "suite/job/job.py").read_bytes() == (ROOT / "suite/job/job.py").read_bytes()
    assert (place / "datasets/cifar10.yaml").exists() and list((place / "suite/job/__pycache__").glob("job.*.pyc"))
    assert snapshot.freeze(store.root, [made]) == place == snapshot.place(store.root, [made])
    source.write_text(source.read_text().replace("-0.5", "-0.7"))
    other = snapshot.freeze(store.root, [made])
    assert other != place and "-0.5" in (place / "my_frozen_init.py").read_text()
    assert not list((store.root / "slurm/code").glob(".*"))
    assert snapshot.own_modules([made, config()]) == ["my_frozen_init"] and "torch" not in sys.modules["suite"].__dict__


def test_jobs_know_the_folders_of_the_grids(cluster: Fake, store: Store, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    study.add([tmp_path])
    submit(store, grid(1))
    one, = batch.all_of(store.root)
    assert one.studies == (str(tmp_path),)
    sys.path.remove(str(tmp_path))
    node.Node(store.root / "slurm" / f"{one.name}.json", node.Place("100", 0, 0))
    assert sys.path[-1] == str(tmp_path)
