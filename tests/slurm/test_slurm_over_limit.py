"""Jobs that are over a limit of their account by themselves. The records are those of SLURM 22.05 with slurmdbd."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_runner import Ear, grid
from slurm_fakes import Fake, fake_cluster  # noqa: F401 (a fixture)

from suite.launch import over_limit, queue, slurm, wait
from suite.launch.cluster import Cluster
from suite.launch.options import Options
from suite.launch.queue import Submitted
from suite.launch.stuck import stuck
from suite.store.store import Store

JOB = ("JobId=8 ArrayJobId=100 ArrayTaskId=0 JobName=x UserId=ada(7) Account=lab QOS=normal JobState=PENDING "
       "TimeLimit=01:00:00 Partition=main TRES=cpu=4,mem=1000M,node=1,billing=4,gres/gpu=1 CPUs/Task=4")
FREE = "cpu=N(0),mem=N(0),energy=N(0),node=N(0),billing=N(0),gres/gpu=N(0)"
ASSOC = """Current Association Manager state

Association Records
ClusterName=c Account=lab UserName= Partition= ParentAccount=root(1) GrpJobs=N(2) GrpTRES={lab} GrpTRESRunMins={run}
ClusterName=c Account=lab UserName=bob(8) Partition= ParentAccount= GrpJobs=N(0) MaxJobs=0(0) GrpTRES=cpu=1(0)
ClusterName=c Account=lab UserName=ada(7) Partition= ParentAccount= GrpJobs=N(2) MaxJobs={jobs}(2) GrpTRES={free}"""
ROOT = "ClusterName=c Account=root UserName= Partition= ID=1 ParentAccount= GrpJobs=N(2) GrpTRES={root}"
QOS = ("QOS=normal(1) GrpJobs=N(2) GrpTRES={free} Account Limits= lab={{MaxJobsPA=N(0) MaxTRESPA={free}}} "
       "User Limits= 7={{MaxJobsPU=N(2) MaxTRESPU={user}}}")


def records(cluster: Fake, **limits: str) -> None:
    """What scontrol shows of the limits; the others are free."""
    every = {"lab": FREE, "root": FREE, "user": FREE, "run": FREE, "free": FREE, "jobs": "N"} | limits
    for name, text in (("job", JOB), ("lab", ASSOC), ("root", ROOT), ("normal", QOS)):
        cluster.set(f"shown.{name}", text.format(**every) + "\n")


@pytest.mark.parametrize(("limits", "said"), [
    ({}, ""), ({"lab": "cpu=4(4),mem=1000(1000),gres/gpu=1(1)"}, ""),  # it only waits for others
    ({"lab": "cpu=2(0),mem=N(0)"}, "it requests cpu=4, but the limit for all jobs together is 2"),
    ({"root": "cpu=N(0),mem=999(0)"}, "it requests mem=1000 MB, but the limit for all jobs together is 999 MB"),
    ({"lab": "gres/gpu=0(0)"}, "it requests gres/gpu=1, but the limit for all jobs together is 0"),
    ({"lab": "node=0(0)"}, "it requests node=1, but the limit for all jobs together is 0"),
    ({"run": "cpu=239(0)"}, "it requests cpu minutes=240, but the limit for all jobs together is 239"),
    ({"run": "cpu=240(9)"}, ""),
    ({"user": "mem=500(0)"}, "it requests mem=1000 MB, but the limit for all jobs together is 500 MB"),
    ({"jobs": "0"}, "its account may not run any job"), ({"jobs": "2"}, "")])
def test_a_job_that_is_over_a_limit_by_itself(cluster: Fake, limits: dict[str, str], said: str) -> None:
    records(cluster, **limits)
    assert over_limit.over("100_0") == said


def test_without_an_answer_nothing_is_said(cluster: Fake) -> None:
    assert over_limit.over("100_0") == ""
    cluster.set("shown.job", "slurm_load_jobs error: Invalid job id specified\n")
    assert over_limit.over("100_0") == ""


@pytest.mark.parametrize("reason", [
    "AssocGrpCpuLimit", "AssocGrpMemLimit", "AssocGrpJobsLimit", "AssocGrpNodeLimit", "AssocGrpGRES", "QOSGrpCpuLimit",
    "QOSMaxMemoryPerUser", "QOSMaxJobsPerUserLimit", "AssocGrpCPURunMinutesLimit", "AssocMaxJobsLimit"])
def test_limits_on_all_jobs_together(reason: str) -> None:
    assert over_limit.REASON.match(reason)
    waits, never = stuck("PENDING", reason), stuck("PENDING", reason, "it requests cpu=4")
    assert waits is not None and not waits.for_good and "when other jobs of the account end" in waits.words
    assert never is not None and never.for_good and "it requests cpu=4; `cancel` it" in never.words


@pytest.mark.parametrize("reason", ["AssocMaxCpuPerJobLimit", "AssocMaxWallDurationPerJobLimit",
                                    "AssocGrpCPUMinutesLimit", "QOSGrpWallLimit", "Priority"])
def test_other_reasons_are_not_looked_into(reason: str) -> None:
    assert not re.match(over_limit.REASON, reason)


@pytest.mark.parametrize(("limit", "left"), [("cpu=2(0)", 0), ("cpu=4(4)", 2)])
def test_waiting_ends_for_what_is_over_a_limit(cluster: Fake, tmp_path: Path, limit: str, left: int) -> None:
    runs, store, ear = grid(2), Store(tmp_path / "runs"), Ear()
    slurm.launch(runs, Options(store.root), Ear(), ("fake_training:training", {}), cluster=Cluster(), canaries=False)
    records(cluster, lab=limit)
    for task in (0, 1):
        cluster.state(f"100_{task}", "PENDING", "AssocGrpCpuLimit")
    watching = wait.Watching(Submitted(store, queue.Queue(every_s=0.0)), Options(store.root), ear,
                             {run.run_id: run for run in runs})
    watching.look()
    assert len(watching.left) == left
    words = "will not start yet: the account is at its limit" if left else "will not start: it requests cpu=4"
    assert words in ear.messages[0], ear.messages
