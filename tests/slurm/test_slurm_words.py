"""What a user reads of a cluster before and after a submission: GPUs, options that do not fit, jobs that will not
start, canaries, dead jobs. Also what submitit's public interface cannot keep."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, grid
from fake_training import config
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.cli.main import main
from suite.errors import UserError
from suite.grid.model import GridRun
from suite.job.stop import Stop
from suite.launch import batch, cancel, node, partition, queue, slurm, slurm_cli, stuck, submission_lock, wait
from suite.launch.cluster import Cluster, load
from suite.launch.failed_starts import words
from suite.launch.observation import observe, remarks
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import attempt, provenance
from suite.store.records import Origin
from suite.store.store import Store

GRID = "name: pair\nbase: {task: scifar, data.variant: sample, train.epochs: 4}\n" \
    "axes: {ssm.init: [lin, inv, real]}\nseeds: [0]\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    monkeypatch.setattr(slurm, "LOOK_FOR_S", 0.2)
    monkeypatch.setattr(slurm, "LOOK_S", 0.05)


def of_kernels(count: int = 3) -> list[GridRun]:
    made = [config().build({"task": "scifar", "data.variant": "sample", "train.epochs": 3, "seed": seed,
                            "ssm.kernel": kernel}) for kernel in ("vandermonde", "softmax") for seed in range(count)]
    return [GridRun(one, one.run_id, {"kernel": one.ssm.kernel}) for one in made]


def submit(store: Store, runs: Sequence[GridRun], canaries: bool = True, on_cpu: frozenset[str] = frozenset(),
           **settings: Any) -> Ear:
    ear = Ear()
    slurm.launch(runs, Options(store.root, on_cpu=on_cpu), ear, cluster=Cluster(**settings), canaries=canaries,
                 grids=settings.get("grids", "table3a"))
    return ear


def test_each_kind_waits_for_its_own_canary(cluster: Fake, store: Store) -> None:
    submit(store, of_kernels())
    canaries, first, second = cluster.scripts().values()
    assert "--array=0-1%2" in canaries
    assert "--dependency=afterok:100_0\n" in first and "--dependency=afterok:100_1\n" in second
    probe, *rest = batch.all_of(store.root)
    assert [one.after for one in rest] == [("afterok:100_0",), ("afterok:100_1",)]
    owner = attempt.claim(store.folder(probe.runs[1]))
    assert owner is not None
    owner.end("failed", "error", "ValueError: bad")
    cluster.set("queue", "".join(f"101|{task}|{rest[0].name}|PENDING|Priority\n" for task in range(3)))
    submitted = Submitted(store)
    found = observe(submitted, store.states([run.run_id for run in of_kernels()]))
    [told] = remarks(submitted, found)
    assert told == (f"the canary {probe.runs[1]} (job 100_1) failed, so 2 runs that depend on it were not started: "
                    "ValueError: bad; fix this, then `retry` starts them")


def test_runs_for_the_processor_ask_for_no_gpu(cluster: Fake, store: Store) -> None:
    runs = grid(4)
    submit(store, runs, canaries=False, on_cpu=frozenset({runs[2].run_id}), gpus_per_job=1)
    with_gpu, without = cluster.scripts().values()
    assert "--gpus-per-node=1" in with_gpu and "gpus-per-node" not in without and "--array=0-0%1" in without
    assert [one.order.device for one in batch.all_of(store.root)] == ["cuda", "cpu"]


@pytest.mark.parametrize(("found", "asked", "cuda", "gpus", "told"), [
    ("main*|(null)\ngpu|gpu:a100:4(S:0-1)\n", {}, 12, 0, ""),
    ("main*|(null)\ngpu|gpu:a100:4(S:0-1)\n", {"partition": "gpu"}, 12, 1, "each job requests one GPU"),
    ("main*|gpu:v100:1,gpu:a100:2\n", {}, 12, 1, "each job requests one GPU"),
    ("main*|gpu:2\n", {}, 0, 0, "the jobs request none: this torch is built without CUDA"),
    ("main*|gpu:2\n", {"gpus_per_job": 0}, 12, 0, ""),
])
def test_the_gpus_of_the_partition_are_asked_for(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch,
                                                 found: str, asked: dict[str, Any], cuda: int, gpus: int,
                                                 told: str) -> None:
    cluster.set("partitions", found)
    monkeypatch.setattr("suite.launch.nvidia.cuda_of_torch", lambda: cuda)
    made = partition.fit(Cluster(**asked), grid(2), store, 1, True)
    assert made.cluster.gpus == gpus and told in " ".join(made.lines) and bool(made.lines) == bool(told)


def test_gpus_that_nobody_can_see_are_said(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.set("deaf", "slurm_load_partitions: Unable to contact slurm controller")
    made = partition.fit(Cluster(), grid(2), store, 1, True)
    assert made.cluster.gpus == 0 and "the jobs request no GPU: it is unknown whether the partition" in made.lines[0]
    cluster.drop("deaf")
    cluster.set("partitions", "main*|gpu:2\n")
    monkeypatch.setattr("suite.launch.nvidia.cuda_of_torch", lambda: 12)
    monkeypatch.setattr("suite.launch.places.began_on",
                        lambda store, run_id: partition.places.Began("a processor", True))
    assert partition.fit(Cluster(), grid(2), store, 1, True).cluster.gpus == 0  # all of them began on a CPU


@pytest.mark.parametrize(("settings", "threads", "message"), [
    ({"gpus_per_job": 4}, 1, "a job of 1 run would leave 3 of 4 GPUs idle"),
    ({"side_by_side": 4}, 1, "4 runs at a time, but a job has 1 run"),
    ({"cpus_per_job": 1}, 4, "a run uses 4 threads, but a job has 1 CPU"),
])
def test_what_would_be_idle_or_missing_is_refused(cluster: Fake, store: Store, settings: dict[str, Any], threads: int,
                                                  message: str) -> None:
    with pytest.raises(UserError, match=message):
        partition.fit(Cluster(**settings), grid(2), store, threads, True)


def test_a_torch_without_cuda_is_refused_gpus(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suite.launch.nvidia.cuda_of_torch", lambda: 0)
    with pytest.raises(UserError, match="built without CUDA"):
        partition.fit(Cluster(gpus_per_job=1), grid(2), store, 1, True)
    assert "warning: this torch is built without CUDA" in \
        partition.fit(Cluster(gpus_per_job=1), grid(2), store, 1, False).lines[0]


@pytest.mark.parametrize(("reason", "said"), [
    ("PartitionTimeLimit", "its time limit exceeds the partition's limit"), ("JobHeldAdmin", "ask the administrators"),
    ("JobHeldUser", "scontrol release"), ("launch failed requeued held", "check the node"),
    ("DependencyNeverSatisfied", "has failed"), ("AssocGrpCPUMinutesLimit", "used up its time"),
    ("PartitionConfig", "more than its partition has or allows"),
    ("BadConstraints", "no node of its partition can run it"),
    ("AssocMaxWallDurationPerJobLimit", "limit for one job")])
def test_what_will_never_start(reason: str, said: str) -> None:
    job = queue.Job("7_0", "b", "PENDING", reason)
    assert job.words.startswith("job 7_0 will not start: ") and said in job.words and reason in job.words


def test_what_may_start_later_is_no_such_thing() -> None:
    assert queue.Job("7_0", "b", "PENDING", "Dependency").words == "job 7_0 waits for an earlier job (Dependency)"
    assert stuck.stuck("PENDING", "Priority") is None and stuck.stuck("RUNNING", "JobHeldUser") is None
    limit = stuck.stuck("PENDING", "AssocGrpCpuLimit")
    assert limit is not None and not limit.for_good and limit.words.startswith("will not start yet")
    down = stuck.stuck("PENDING", "PartitionDown")
    assert down is not None and not down.for_good and "it starts when the partition is up" in down.words


def test_waiting_ends_when_nothing_will_start(cluster: Fake, store: Store) -> None:
    runs = grid(2)
    submit(store, runs, canaries=False)
    cluster.state("100_0", "PENDING", "JobHeldUser")
    cluster.state("100_1", "PENDING", "Priority")
    ear = Ear()
    watching = wait.Watching(Submitted(store, queue.Queue(every_s=0.0)), Options(store.root), ear,
                             {run.run_id: run for run in runs})
    watching.look()
    assert len(watching.left) == 2 and ear.messages == [
        "1 run: their jobs will not start: you hold it; `scontrol release` lets it start (JobHeldUser)"]
    cluster.state("100_1", "PENDING", "JobHeldAdmin")
    watching.look()
    assert not watching.left and {state.reason for state in watching.never.values()} == {"start"}


def test_a_job_that_dies_before_it_claims_a_run(cluster: Fake, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    where = [str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs")]
    command = ["run", *where, "--executor", "slurm", "--no-canary"]
    store = Store(tmp_path / "runs")

    def died(number: int) -> None:
        for task in range(3):
            (store.root / "slurm" / "logs" / f"{number}_{task}_0_log.out").write_text(
                f"Fatal Python error: no module ({number})\nsrun: error: n1: task 0: Exited with exit code 1\n")
        cluster.set("queue", "")

    assert main(command) == 0
    died(100)
    capsys.readouterr()
    assert main(["status", *where]) == 0
    told = capsys.readouterr().out
    assert "3 todo: start failed" in told
    assert "last start failed: Fatal Python error: no module (100) (job 100_1)" in told
    assert main(["logs", *where, "inv"]) == 0
    assert "100_1_0_log.out" in (told := capsys.readouterr().out) and "Fatal Python error" in told
    assert main(["why", *where, "inv"]) == 0
    assert "100_1_0_log.out" in (told := capsys.readouterr().out) and "todo: start failed" in told
    assert main(command) == 0  # once more
    died(101)
    capsys.readouterr()
    assert main(command) == 1 and len(cluster.scripts()) == 2  # not a third time
    told = capsys.readouterr().out
    assert "no module (101)" in told and "`retry --reason start`" in told
    assert main(["retry", "--reason", "start", *command[1:]]) == 0 and len(cluster.scripts()) == 3


def test_words_of_a_job_that_died() -> None:
    assert words(["a setup line failed (status 1): module load x"]) == "a setup line failed (status 1): module load x"
    assert words(["slurmstepd-n7: error: Step 1 exceeded memory limit (2 > 1)", "later"]) == \
        "Step 1 exceeded memory limit (2 > 1); request more with --memory"
    assert words(["2026-11-27 10:00:00,1 job 7_0 begins on n, restart 0", "2026-11-27 10:00:01,2 error: no GPU"]) == \
        "error: no GPU"
    assert words(["2026-11-27 10:00:00,1 job 7_0 begins on n, restart 0", "2026 all is well"]) == ""


def test_a_cancelled_canary_is_taken_off_what_waits_for_it(cluster: Fake, store: Store) -> None:
    runs = of_kernels()
    submit(store, runs, max_parallel=4)
    submitted = Submitted(store)
    probe = batch.all_of(store.root)[0].runs[1]
    queued, alone = cancel._jobs({run.run_id: run for run in runs if run.run_id == probe}, submitted, print)
    told: list[str] = []
    cancel._release(queued, alone, submitted, told.append)
    assert cluster.lines("updated") == ["jobid=102 dependency=afterany:101"]  # its turn is kept
    assert told == ["job 102 no longer waits for its canary, which is being cancelled"]
    cluster.set("refuse", "Access denied")
    with pytest.raises(UserError, match="nothing was cancelled"):
        cancel._release(queued, alone, submitted, told.append)


def test_a_canary_that_finds_its_run_taken_proves_nothing(cluster: Fake, store: Store) -> None:
    slurm.launch(grid(4), Options(store.root), Ear(), ("fake_training:training", {}), cluster=Cluster())
    probe = batch.all_of(store.root)[0]
    job = node.Node(store.root / "slurm" / f"{probe.name}.json", node.Place("100", 0, 0))
    assert attempt.claim(store.folder(probe.runs[0])) is not None  # by this process, which lives
    with Stop() as stop:
        assert job.work(stop) == node.FAILED


def test_a_submission_is_claimed_and_taken_over(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ear, second = Ear(), Ear()
    with Stop() as stop, submission_lock.submission_lock(store, ear, stop) as lock:
        asked = Stop()
        asked.asked = 1
        with pytest.raises(KeyboardInterrupt), submission_lock.submission_lock(store, second, asked):
            pass
        assert re.match(r"waiting: process \d+ on \S+ is submitting runs of this store", second.messages[0])
        lock.renew()
    with monkeypatch.context() as patch:  # an owner on another machine, whose heart stands still
        patch.setattr(attempt, "here", lambda: ("node7", "another boot"))
        folder = store.root / "slurm" / "submission"
        assert attempt.claim(folder) is not None
    monkeypatch.setattr(submission_lock, "PATIENCE_S", 0.2)
    monkeypatch.setattr(submission_lock, "LOOK_S", 0.1)
    assert submit(store, grid(2), canaries=False).messages[-1] == "submitted job 100: 2 jobs, 2 runs"


def test_names_tell_the_grids_apart(cluster: Fake, store: Store) -> None:
    long = "my/own grid " + "x" * 80
    slurm.launch(grid(1), Options(store.root), Ear(), cluster=Cluster(), canaries=False, grids=long)
    [one] = batch.all_of(store.root)
    assert re.fullmatch(r"s4d-my-own-grid-x+-[0-9a-f]{6}-1", one.name) and len(one.name) <= 60
    script = cluster.scripts()["100"]
    assert f"--job-name={one.name}" in script and f"--comment='{long}'" in script
    old = one.model_copy(update={"name": "s4d-20260101-101010-123456-abcd-1", "when": 0.0})
    old.write(store.root)
    assert [two.name for two in batch.all_of(store.root)] == [old.name, one.name]


def test_words_that_a_user_can_use(cluster: Fake, store: Store, tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("cluster:\n  runs_per_job: 0\n  partition: 3\n")
    with pytest.raises(UserError) as caught:
        load(tmp_path / "lab.yaml", {})
    assert "0 is not a valid value" in str(caught.value) and "Input" not in str(caught.value)
    assert load(None, {"time": "1"}).signal == 30 and load(None, {"time": "60"}).signal == 90
    cluster.set("refuse", "sbatch: error: Batch job submission failed: Unable to contact slurm controller "
                "(connect failure)\n")
    with pytest.raises(UserError, match="SLURM does not answer") as down:
        submit(store, grid(1), canaries=False)
    assert "mend" not in str(down.value)


def test_a_flag_of_sbatch_needs_no_value(cluster: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    assert main(["plan", str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs"), "--executor", "slurm",
                 "--extra", "exclusive", "--signal-s", "200"]) == 0
    told = capsys.readouterr().out
    assert "#SBATCH --exclusive\n" in told and "#SBATCH --signal=USR2@200" in told


def test_run_after_cancel_names_retry(cluster: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair.yaml").write_text(GRID)
    where = [str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "reports")]
    assert main(["run", *where, "--executor", "slurm", "--no-canary"]) == 0
    assert main(["cancel", *where[:3]]) == 0
    capsys.readouterr()
    main(["run", *where, "--executor", "slurm"])
    told = capsys.readouterr().out
    assert "3 cancelled runs are skipped; `retry --reason cancelled` starts them" in told
    assert main(["status", *where[:3], "--set", "optim.lr=0.1"]) == 0
    told = capsys.readouterr().out
    assert "pair was started with other settings (none); without --set optim.lr=0.1, `status`" in told


def test_a_command_that_hangs_is_named(cluster: Fake, monkeypatch: pytest.MonkeyPatch,
                                       capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "squeue"
    slow.write_text("#!/bin/sh\nsleep 1\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm_cli, "SILENT_S", 0.2)
    slurm_cli.squeue(["a"])
    assert "no answer from squeue after 0.2 s; waiting up to 60 s" in capfd.readouterr().err


def test_a_plan_needs_no_slurm(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    made = slurm.Submission(store, Options(store.root), Ear(), Cluster()).scripts(grid(3), {})
    assert [one.kind for one, _ in made] == ["canary", "main"] and all("srun --unbuffered" in text for _, text in made)


def test_submitit_takes_a_greeting_for_the_number(cluster: Fake, tmp_path: Path) -> None:
    """Why its executors do not submit here: its public interface reads the first `job N` that sbatch prints."""
    import submitit

    cluster.set("banner", "This site had job 7 fail last night; see the news.\n")
    cluster.set("form", "Submitted batch job %s")
    executor = submitit.AutoExecutor(folder=tmp_path / "logs", cluster="slurm")
    jobs = executor.map_array(abs, [1, 2])
    assert [job.job_id for job in jobs] == ["7_0", "7_1"] and list(cluster.scripts()) == ["100"]
    assert not list((tmp_path / "logs").glob("100_*_submitted.pkl"))  # so the two jobs of 100 find nothing to do


def test_another_submitit_is_refused_in_a_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("submitit.slurm.slurm._make_sbatch_string")
    with pytest.raises(UserError, match="submitit, which writes the script for sbatch, cannot be used"):
        slurm.Submission(store, Options(store.root), Ear(), Cluster()).scripts(grid(1), {})


def test_jobs_of_an_edited_grid(cluster: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "pair.yaml"
    path.write_text(GRID)
    where = [str(path), "--store", str(tmp_path / "runs")]
    assert main(["run", *where, "--executor", "slurm", "--no-canary", "--memory", "600M"]) == 0
    assert main(["run", *where, "--executor", "slurm", "--no-canary", "--memory", "2G"]) == 0
    assert "3 runs are queued with --memory 600M; `cancel`, then `retry`, to use --memory 2G" in \
        capsys.readouterr().err
    path.write_text(GRID.replace(", real]", "]"))
    assert main(["status", *where]) == 0
    assert "a job of an earlier version of these grids is in the queue; `cancel --orphans`" in capsys.readouterr().out
    assert main(["gc", *where, "--yes"]) == 0
    assert "kept, job 100_2 waits (Priority); `cancel --orphans` cancels it" in capsys.readouterr().out
    assert main(["cancel", *where, "--orphans"]) == 0
    assert capsys.readouterr().out == "1 cancelled\n" and cluster.lines("cancelled") == ["100_2"]
    assert main(["cancel", *where, "--orphans"]) == 0
    assert "no active job belongs to an earlier version of these grids" in capsys.readouterr().out


def test_plan_asks_a_cluster_that_does_not_answer_once(cluster: Fake, tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    cluster.set("deaf", "slurm_load_partitions: Unable to contact slurm controller (connect failure)")
    (tmp_path / "pair.yaml").write_text(GRID)
    assert main(["plan", str(tmp_path / "pair.yaml"), "--store", str(tmp_path / "runs"), "--executor", "slurm"]) == 0
    assert "it is unknown whether the partition has GPUs" in capsys.readouterr().out
    assert len(cluster.lines("sinfo.calls")) == 1
