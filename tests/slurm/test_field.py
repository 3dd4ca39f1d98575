"""Sites with habits of their own: what SLURM's commands print, what the environment holds, what the store is called."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.errors import UserError
from suite.launch import batch, node, slurm, slurm_cli
from suite.launch.cluster import Cluster, load, memory
from suite.launch.observation import observe
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.store import provenance
from suite.store.records import Origin
from suite.store.store import Store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "of_launch", lambda root: Origin(git=None))
    monkeypatch.setattr(slurm, "LOOK_FOR_S", 0.2)
    monkeypatch.setattr(slurm, "LOOK_S", 0.05)


def submit(store: Store, count: int = 4, **settings: object) -> list[str]:
    ear = Ear()
    slurm.launch(grid(count), Options(store.root), ear, cluster=Cluster(**settings), canaries=False)
    return ear.messages


def number_of(store: Store) -> str | None:
    [one] = batch.all_of(store.root)
    return batch.job_of(store.root, one.name)


@pytest.mark.parametrize("form", ["%s", "%s;west", "Submitted batch job %s", "Submitted batch job %s on cluster west"])
def test_a_greeting_before_the_number(cluster: Fake, store: Store, form: str) -> None:
    cluster.set("banner", "------\n Welcome 2026 \n--> Checking allocation (proj)...OK\n")
    cluster.set("form", form)
    for _ in range(2):
        submit(store)
    assert number_of(store) == "100" and len(cluster.scripts()) == 1


def test_without_a_number_the_name_finds_the_jobs(cluster: Fake, store: Store) -> None:
    cluster.set("form", "thank you")
    assert submit(store) == ["submitted job 100: 4 jobs, 4 runs"]
    assert number_of(store) == "100" and submit(store) == ["4 runs are already in the queue"]


def test_without_a_number_and_a_queue_it_is_accepted_and_kept(cluster: Fake, store: Store) -> None:
    cluster.set("form", "thank you")
    cluster.set("hidden", "")
    assert submit(store) == ["submitted job (number unknown): 4 jobs, 4 runs"]
    assert number_of(store) is None and len(batch.all_of(store.root)) == 1


def test_what_was_accepted_and_is_not_seen_is_not_known_and_not_gone(cluster: Fake, store: Store,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.set("hidden", "")
    told = submit(store)
    assert "is not in the queue yet: its state is unknown" in told[0]
    cluster.drop("hidden")
    again = submit(store)
    assert "was accepted 1 min ago but is not in the queue yet" in again[0] and len(cluster.scripts()) == 1
    states = store.states([run.run_id for run in grid(4)])
    notes = observe(Submitted(store), states).notes
    assert len(notes) == 4 and all("is unknown" in note for note in notes.values())
    monkeypatch.setattr("suite.launch.queue.ACCEPTED_S", 0.0)
    assert submit(store) == ["submitted job 101: 4 jobs, 4 runs"]


def test_what_was_seen_and_is_gone_is_submitted_again(cluster: Fake, store: Store) -> None:
    submit(store)
    cluster.set("queue", "")
    assert submit(store) == ["submitted job 101: 4 jobs, 4 runs"]


@pytest.mark.parametrize("by", ["environment", "file"])
def test_one_cluster_for_submit_ask_and_cancel(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch,
                                               by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("SLURM_CLUSTERS", "west")
    settings = {"extra": {"clusters": "west"}} if by == "file" else {}
    for _ in range(2):
        submit(store, **settings)
    monkeypatch.delenv("SLURM_CLUSTERS", raising=False)  # whoever asks later need not have it
    submit(store, **settings)
    assert len(cluster.lines("queue.west")) == 4 and not cluster.lines("queue")
    submitted = Submitted(store)
    jobs = submitted.jobs(store.states([run.run_id for run in grid(4)]))
    assert jobs is not None and len(jobs) == 4
    from suite.launch import queue

    queue.cancel([job for some in jobs.values() for job in some], store.root)
    assert cluster.lines("queue.west") == []


@pytest.mark.parametrize("name", ["SQUEUE_STATES", "SQUEUE_FORMAT", "SQUEUE_PARTITION"])
def test_the_user_s_filters_change_no_answer(cluster: Fake, store: Store, monkeypatch: pytest.MonkeyPatch,
                                             name: str) -> None:
    monkeypatch.setenv(name, "RUNNING")
    monkeypatch.setenv("SBATCH_WAIT", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SBATCH_ACCOUNT", "proj")
    for _ in range(2):
        submit(store)
    assert len(cluster.scripts()) == 1
    assert cluster.lines("sbatch.environment") == ["SBATCH_ACCOUNT=proj"]


def test_an_error_without_an_answer_is_not_an_empty_queue(cluster: Fake, store: Store) -> None:
    submit(store)
    cluster.set("mute", "slurm_load_jobs error: Unexpected message received\n")
    with pytest.raises(UserError, match="Unexpected message received"):
        submit(store)
    assert len(cluster.scripts()) == 1


@pytest.mark.parametrize("broken", ["sacctmgr", "squeue", "sbatch", "scancel"])
@pytest.mark.parametrize("fault", ["mode", "form"])
def test_commands_that_do_not_start(cluster: Fake, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    broken: str, fault: str) -> None:
    """One that may not be executed, or a wrapper without `#!`: as if it were not there, in a sentence."""
    submit(store, 2)
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / broken
    path.write_bytes(b"\x00\x01no program")
    path.chmod(0o644 if fault == "mode" else 0o755)
    # A command that cannot be started is passed over on PATH, so here no other of its name is there.
    for name in ("srun", "sbatch", "squeue", "scontrol", "scancel", "sacctmgr"):
        if name != broken:
            (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "grep", "sed", "cat", "cp", "find", "wc", "tr", "head"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{tools}")
    if broken == "scancel":
        with pytest.raises(slurm_cli.SlurmError, match="scancel"):
            slurm_cli.scancel(["1_0"])
    elif broken == "sacctmgr":
        assert submit(store, 4)[-1].startswith("submitted job")
    else:
        with pytest.raises(UserError, match=broken):
            submit(store, 4)


def test_the_limit_is_of_the_account_that_is_used(cluster: Fake, store: Store) -> None:
    cluster.set("limits", "mine|500\nexpired|0\n")
    assert submit(store)[-1] == "submitted job 100: 4 jobs, 4 runs"


def test_an_account_that_may_submit_nothing_is_said(cluster: Fake, store: Store) -> None:
    cluster.set("limits", "mine|500\nexpired|0\n")
    ear = Ear()
    made = slurm.launch(grid(2), Options(store.root), ear, cluster=Cluster(account="expired"), canaries=False)
    assert made.idle and ear.messages[0].startswith("2 runs exceed your limit of 0 jobs")
    assert not cluster.scripts()


@pytest.mark.parametrize(("extra", "words"), [
    ({"gres": "gpu:a100:1"}, "gpus_per_job"), ({"gpus": "1"}, "gpus_per_job"), ({"gpus-per-task": 1}, "gpus_per_job"),
    ({"mem-per-cpu": "1G"}, "memory"), ({"wait": True}, "--wait"), ({"test-only": True}, "nothing would be submitted"),
    ({"export": "NONE"}, "environment of the submission"), ({"ntasks-per-node": 2}, "one process"),
    ({"no-requeue": True}, "requeueing")])
def test_options_of_sbatch_have_one_owner(extra: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        load(None, {"extra": extra})


def test_a_flag_that_is_off_is_left_out(cluster: Fake, store: Store) -> None:
    submit(store, extra={"exclusive": False, "nice": 5})
    text = cluster.scripts()["100"]
    assert "exclusive" not in text and "#SBATCH --nice=5" in text
    assert load(None, {"extra": {"exclusive": "false"}}).extra == {}


def test_gpus_have_a_type_and_may_be_asked_for_by_gres(cluster: Fake, store: Store) -> None:
    submit(store, 1, gpus_per_job="a100:2")
    assert "#SBATCH --gpus-per-node=a100:2" in cluster.scripts()["100"]
    assert Cluster(gpus_per_job="a100:2").gpus == 2 and Cluster(gpus_per_job="0").gpus == 0
    submit(Store(store.root.with_name("other")), 1, gpus_per_job=1, gpus_as_gres=True)
    text = cluster.scripts()["101"]
    assert "#SBATCH --gres=gpu:1" in text and "gpus-per-node" not in text
    with pytest.raises(UserError, match="is not a number of GPUs"):
        load(None, {"gpus_per_job": "many"})


@pytest.mark.parametrize(("text", "size"), [("16g", "16G"), ("16000", "16000M"), (16000, "16000M"), ("0", "0"),
                                            (0, "0"), ("1.5GB", "1536M"), ("700", "700M"), ("16GB", "16G"),
                                            ("2T", "2T")])
def test_sizes_of_memory(text: object, size: str) -> None:
    assert memory(text) == size


@pytest.mark.parametrize("text", ["lots", "-1", "16 apples", True, "1e3", ""])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a memory size: write e.g. 16GB"):
        memory(text)


def test_a_store_that_pythonpath_cannot_hold_is_refused(cluster: Fake, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="PYTHONPATH"):
        submit(Store(tmp_path / "runs 12:30:00"))
    assert not cluster.scripts() and not (tmp_path / "runs 12:30:00").exists()


def test_a_job_that_runs_other_code_than_its_copy_says_so(cluster: Fake, store: Store) -> None:
    submit(store)
    [one] = batch.all_of(store.root)
    with pytest.raises(UserError, match="not the copy made for it"):
        node.check_code(one)
    node.check_code(one.model_copy(update={"code": str(Path(node.__file__).parents[2])}))


@pytest.mark.parametrize("name", ["50%train", "per%j", "it's 100% mine"])
def test_logs_lie_where_they_belong(cluster: Fake, tmp_path: Path, name: str) -> None:
    submit(Store(tmp_path / name), 1)
    text = cluster.scripts()["100"]
    folder = shlex.quote(f"{tmp_path}/{name}/slurm/logs/".replace("%", "%%") + "X")[:-1].removesuffix("X")
    assert f"#SBATCH --output={folder}%A_%a_0_log.out" in text and f"--output {folder}%A_%a_%t_log.out" in text
