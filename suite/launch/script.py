"""The sbatch script of a batch.

submitit renders it: options, `srun`, the signal, and the paths of the logs. It has no public function for this, so one
private function is called, only here. The version of submitit has an upper bound, and a golden file in the tests holds
the text. submitit's public executors also submit, and are not safe enough: they take the first "job 7" in sbatch's
output as the job id, even in a site's greeting; they call sbatch without a time limit; and if the submission is killed
right after sbatch has accepted the job, the job does not find its pickled call.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from suite.errors import UserError
from suite.launch import shell
from suite.launch.batch import FOLDER, Batch
from suite.launch.cluster import Cluster

LOGS = "/logs-of-the-jobs"  # a placeholder: submitit changes paths that contain %t or %j
FAILED = "a setup line failed"  # beginning of the last line of such a job


def script(batch: Batch, store: Path, cluster: Cluster) -> str:
    """Returns the script for sbatch. Does not need SLURM. Raises UserError if submitit cannot be imported.

    The batch shell survives a SIGTERM, so that it can record how runs ended if their process did not.
    """
    if batch.order.device == "cpu":
        cluster = cluster.model_copy(update={"gpus_per_job": 0})
    after = ",".join(batch.after)
    gres = {"gres": f"gpu:{cluster.gpus_per_job}"} if cluster.gpus_as_gres and cluster.gpus else {}
    waits = {"dependency": after, "kill-on-invalid-dep": "yes"} if after else {}
    comment = {"comment": batch.grids} if batch.grids else {}
    record = store.absolute() / FOLDER / f"{batch.name}.json"
    python = f"{shlex.quote(sys.executable)} -u -m suite.launch.node"
    cpus = cluster.needed_cpus(batch.order.compute.threads)
    text = _rendered(
        f"{python} run {shlex.quote(str(record))}",
        job_name=batch.name, partition=cluster.partition, account=cluster.account, constraint=cluster.constraint,
        time=cluster.time, gpus_per_node=None if cluster.gpus_as_gres else cluster.gpus_per_job or None,
        cpus_per_task=cpus, mem=cluster.memory, wckey=None, map_count=len(batch.tasks),
        array_parallelism=cluster.max_parallel or len(batch.tasks), signal_delay_s=cluster.signal,
        additional_parameters={"requeue": True, **comment, **cluster.extra, **gres, **waits}, stderr_to_stdout=True,
        srun_args=["--cpus-per-task", str(cpus)],
        setup=[shell.GUARD, *_setup(cluster.setup),
               shell.EXPORT,
               "export PYTHONSAFEPATH=1 OPENBLAS_NUM_THREADS=1 SUITE_SPENT_S=$SECONDS",
               f"export PYTHONPATH={shlex.quote(batch.code)}${{PYTHONPATH:+:$PYTHONPATH}}"],
        teardown=["code=$?",
                  f'[ "$code" -le 1 ] || {{ {python} after {shlex.quote(str(record))} "$code"; exit; }}',
                  'exit "$code"'])
    return _with_logs(text, str(record.parent / "logs")) + "\n"


def _setup(lines: tuple[str, ...]) -> list[str]:
    """Returns the user's setup lines. The first one that fails or exits ends the job, and is printed to its log."""
    if not lines:
        return []
    checked = [part for line in lines for part in (f"suite_line={shlex.quote(line)}", line, "(exit $?) || exit")]
    return [f"trap 'echo \"{FAILED} (status $?): $suite_line\"; exit 1' EXIT", *checked, "trap - EXIT"]


def _rendered(command: str, **parameters: object) -> str:
    """Returns the text of submitit's private function. Raises UserError if submitit cannot be imported."""
    try:
        from submitit.slurm.slurm import _make_sbatch_string
    except ImportError as error:
        raise UserError(f"submitit, which writes the script for sbatch, cannot be used: {error}", "--executor slurm",
                        "python -m pip install 'submitit>=1.5.4,<1.6'") from None
    text: str = _make_sbatch_string(command=command, folder=LOGS, **parameters)
    return text


def _with_logs(text: str, folder: str) -> str:
    """Returns the script with `folder` for the logs. Each % in it is doubled, since SLURM expands a single %."""
    for option, name in (("--output=", "%A_%a_0_log.out"), ("--output ", "%A_%a_%t_log.out")):
        text = text.replace(f"{option}{LOGS}/{name}", option + shlex.quote(f"{folder.replace('%', '%%')}/{name}"))
    if LOGS in text:
        raise RuntimeError("unexpected log paths in submitit's script")
    return text
