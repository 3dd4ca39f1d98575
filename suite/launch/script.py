"""The script that sbatch gets for a batch.

submitit renders it: options, `srun`, the signal, and where the jobs print. It has no public function for that, so one
private function of it is called here, and nowhere else; its version has an upper bound, and a golden file in the tests
holds the text. Its public executors submit by themselves, and so cannot keep what a submission here promises: they take
the first "job 7" that sbatch prints as the number, a site's greeting included; they call sbatch without a time limit;
and a job finds its pickled call only if its submission still lived after sbatch had accepted it.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from suite.errors import UserError
from suite.launch import shell
from suite.launch.batch import FOLDER, Batch
from suite.launch.cluster import Cluster

LOGS = "/logs-of-the-jobs"  # what submitit is given: it changes a path that has %t or %j in it
FAILED = "a setup line failed"  # begins the job's last line then


def script(batch: Batch, store: Path, cluster: Cluster) -> str:
    """The script for sbatch. It needs no SLURM on this machine. Raises UserError without submitit.

    The batch shell outlives a SIGTERM, so that it can say in the end how runs ended whose process could not.
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
        teardown=["code=$?", f'[ "$code" -le 1 ] || {python} after {shlex.quote(str(record))} "$code"',
                  'exit "$code"'])
    return _with_logs(text, str(record.parent / "logs")) + "\n"


def _setup(lines: tuple[str, ...]) -> list[str]:
    """The user's lines. The first one that fails, or exits, ends the job with its text in the job's log."""
    if not lines:
        return []
    told = [part for line in lines for part in (f"suite_line={shlex.quote(line)}", line, "(exit $?) || exit")]
    return [f"trap 'echo \"{FAILED} (status $?): $suite_line\"; exit 1' EXIT", *told, "trap - EXIT"]


def _rendered(command: str, **parameters: object) -> str:
    """The text as submitit has it, by a private function of it. Raises UserError if it is not there."""
    try:
        from submitit.slurm.slurm import _make_sbatch_string
    except ImportError as error:
        raise UserError(f"submitit, which writes the script for sbatch, cannot be used: {error}", "--executor slurm",
                        "python -m pip install 'submitit>=1.5.4,<1.6'") from None
    text: str = _make_sbatch_string(command=command, folder=LOGS, **parameters)
    return text


def _with_logs(text: str, folder: str) -> str:
    """The script with the folder of the logs in it, in which SLURM fills in what follows a single %."""
    for option, name in (("--output=", "%A_%a_0_log.out"), ("--output ", "%A_%a_%t_log.out")):
        text = text.replace(f"{option}{LOGS}/{name}", option + shlex.quote(f"{folder.replace('%', '%%')}/{name}"))
    if LOGS in text:
        raise RuntimeError("submitit names the logs in a way that is not known here")
    return text
