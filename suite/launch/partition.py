"""Checks the GPUs and CPUs that jobs request, and chooses the number of GPUs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.config.fields import CLASSICAL
from suite.errors import UserError
from suite.files.counted import counted
from suite.launch import nvidia, places, slurm_cli
from suite.launch.cluster import Cluster
from suite.launch.slurm_cli import SlurmError
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

GRES = re.compile(r"\bgpu(?::[^:,()]+)?:(\d+)")
NO_CUDA = "this torch is built without CUDA"


@dataclass(frozen=True)
class Fitted:
    """The cluster with its number of GPUs, the runs that stay on the CPU, and lines for the user."""

    cluster: Cluster
    on_cpu: frozenset[str]
    lines: tuple[str, ...]


def fit(cluster: Cluster, runs: Sequence[GridRun], store: Store, threads: int, starts: bool) -> Fitted:
    """Choose the number of GPUs if the user has not: one per job if the partition has GPUs and a run can use one.

    Raises UserError if GPUs or CPUs would be idle or missing. Without `starts`, a torch that cannot use GPUs is only a
    warning, since a plan may be made on a laptop.
    """
    classical = {run.run_id for run in runs if run.config.model.name in CLASSICAL}
    if cluster.gpus_per_job is not None:
        _check(cluster, threads)
        if not cluster.gpus or nvidia.cuda_of_torch() != 0:
            return Fitted(cluster, frozenset(classical), ())
        if not starts:
            return Fitted(cluster, frozenset(classical), (f"warning: {NO_CUDA}; `run` would refuse these options",))
        raise UserError(f"{NO_CUDA}, and the jobs would use the same torch", "--gpus-per-job",
                        "install a CUDA build of torch, as https://pytorch.org shows, or write --gpus-per-job 0")
    began = {run.run_id for run in runs if (one := places.began_on(store, run.run_id)) is not None and one.on_cpu}
    stay = classical | began
    count, line = _by_default(cluster, len(runs) - len(stay))
    made = cluster.model_copy(update={"gpus_per_job": count})
    _check(made, threads)
    if count and stay:
        line += f"; {counted(len(stay), 'run stays', 'runs stay')} on the CPU (no GPU support, or begun on the CPU)"
    return Fitted(made, frozenset(stay) if count else frozenset(), (line,) if line else ())


def _by_default(cluster: Cluster, able: int) -> tuple[int, str]:
    """Returns the default number of GPUs per job, and a message about it."""
    if not able:
        return 0, ""
    name = cluster.partition or slurm_cli.of_site("SBATCH_PARTITION")
    try:
        found = [(partition.rstrip("*"), partition.endswith("*"), sum(map(int, GRES.findall(gres))))
                 for partition, gres in slurm_cli.partitions(slurm_cli.chosen_cluster(cluster.extra.get("clusters")))]
    except SlurmError as error:
        return 0, (f"the jobs request no GPU: it is unknown whether the partition has GPUs ({error}); "
                   "--gpus-per-job 1 requests one")
    ours = [gpus for one, default, gpus in found if (one in name.split(",") if name else default)]
    if not any(ours):
        return 0, ""
    if nvidia.cuda_of_torch() == 0:
        return 0, f"the partition has GPUs, but the jobs request none: {NO_CUDA}"
    return 1, "each job requests one GPU, since the partition has GPUs (--gpus-per-job 0 for the CPU)"


def _check(cluster: Cluster, threads: int) -> None:
    """Raises UserError if GPUs would be idle, or if there are too few runs or CPUs."""
    size, gpus = cluster.runs_per_job, cluster.gpus
    if gpus > size:
        raise UserError(f"a run uses one GPU, so a job of {counted(size, 'run')} would leave {gpus - size} of "
                        f"{gpus} GPUs idle", "--gpus-per-job", f"write --gpus-per-job {size}, or "
                        f"--runs-per-job {gpus}")
    at_once = cluster.side_by_side * max(1, gpus)
    if cluster.side_by_side > 1 and at_once > size:
        raise UserError(f"{at_once} runs at a time, but a job has {counted(size, 'run')}", "--side-by-side",
                        f"write --runs-per-job {at_once}, or reduce --side-by-side")
    if cluster.cpus_per_job is not None and cluster.cpus_per_job < threads:
        raise UserError(f"a run uses {threads} threads, but a job has {counted(cluster.cpus_per_job, 'CPU')}",
                        "--cpus-per-job", f"write --cpus-per-job {cluster.needed(threads)}, or reduce --threads")
