"""The batch shell of a job if slurmd is killed and restarted (observed with SLURM 22.05).

SLURM then considers the node dead and requeues the job. The shell ends, but its processes continue. When slurmd is
back, SLURM ends them by job id, and may end the job that it has just restarted under the same id. Therefore, a job's
process ends with its shell, and a shell that gets a SIGTERM while SLURM shows the job as running requeues the job.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
from collections.abc import Callable

from suite.store.attempt import process_start

SHELL = "SUITE_SHELL"  # environment variable: the process id of the shell, and its start time in ticks
EXPORT = f'export {SHELL}="$$ $(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)"'
GUARD = """\
suite_job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
suite_again() {
    kill "$!" 2>/dev/null
    [ "$(squeue --noheader --all --jobs="$suite_job" --format=%T)" = RUNNING ] || exit 0
    echo "job $suite_job was asked to end while SLURM says RUNNING: it is to be started again"
    scontrol requeue "$suite_job"
    exit 0
}
( trap suite_again TERM; tail --pid=$$ -f /dev/null & wait ) &
suite_guard=$!
trap 'kill "$suite_guard" 2>/dev/null; wait "$suite_guard"' TERM"""
LOG = logging.getLogger("suite.launch.node")


def end_with_shell(shell: str, end: Callable[[], None] | None = None) -> bool:
    """Call `end` (default: SIGTERM to this process) when the shell ends. `shell`: the value of SUITE_SHELL.

    Returns whether the shell can be watched. This is not possible in a container with its own process ids.
    """
    pid, _, ticks = shell.partition(" ")
    if not (pid.isdecimal() and ticks.isdecimal()) or process_start(int(pid)) != int(ticks):
        return False
    try:
        handle = os.pidfd_open(int(pid))
    except OSError:  # an old kernel, or it ended just now
        return False
    threading.Thread(target=_watch, args=(handle, end or _ask_to_stop), daemon=True).start()
    return True


def _watch(handle: int, end: Callable[[], None]) -> None:
    gone = select.poll()
    gone.register(handle, select.POLLIN)
    gone.poll()
    os.close(handle)
    LOG.info("the batch shell of this job has ended: SLURM gave the job up, or is starting it again")
    end()


def _ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
