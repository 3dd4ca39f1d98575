"""Calls SLURM's commands. No other module does.

SLURM variables of the user's shell are removed, so that they do not change a command or its output. Settings of the
site are kept: SLURM_CONF and, for `sbatch`, account, partition, quality of service and reservation.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from suite.files.outer import Completed, OuterError, call

DROP = ("SLURM_*", "SBATCH_*", "SQUEUE_*", "SCANCEL_*", "SALLOC_*", "SRUN_*", "SACCT_*", "SINFO_*", "SLURMD_*")
KEEP = ("SLURM_CONF", "SLURM_JWT", "SLURM_TIME_FORMAT")
OF_SITE = ("SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION")
ANSWER_S, SUBMIT_S, SHORT_S = 60.0, 120.0, 30.0
SILENT_S = 5.0  # seconds without an answer, after which a message is printed
NUMBER = re.compile(r"(?:Submitted batch job )?(\d+)(?:;(\S+)| on cluster (\S+))?")
UNSURE = ("timed out", "timeout", "communication")  # in errors of sbatch; the job may have been accepted nevertheless
AT_ONCE = 500  # labels on one command line


class SlurmError(Exception):
    """Raised if SLURM does not answer or refuses a request. The text is for the user.

    unsure: the request may have been carried out nevertheless. missing: the command is not installed.
    """

    def __init__(self, text: str, unsure: bool = False, missing: bool = False) -> None:
        super().__init__(text)
        self.unsure, self.missing = unsure, missing


@dataclass(frozen=True)
class Row:
    """A job in the output of squeue: job id of the array, index ("" if none), name, state and reason."""

    array: str
    task: str
    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class Accepted:
    """The answer of sbatch: the job id of the array ("" if missing), and the cluster ("" for the default)."""

    number: str
    cluster: str


def chosen_cluster(option: object = None) -> str:
    """Returns the cluster of jobs: the option, or the site's setting, or "" for the default cluster.

    It may be a list of names with commas, from which `sbatch` chooses one.
    """
    return str(option or os.environ.get("SBATCH_CLUSTERS") or os.environ.get("SLURM_CLUSTERS") or "")


def squeue(names: Iterable[str], cluster: str = "", every_state: bool = False) -> list[Row]:
    """Returns the pending and running jobs of these names, in all partitions. `every_state`: include ended jobs.

    Raises SlurmError if there is no answer, or if squeue prints only an error.
    """
    states = ["--states=all"] if every_state else []
    done = _asked(["squeue", "--noheader", "--array", "--all", *_on(cluster), *states, f"--name={','.join(names)}",
                   "--format=%F|%K|%j|%T|%r"], ANSWER_S)
    fields = [line.strip().split("|", 4) for line in done.text.splitlines()]
    rows = [Row(*parts) for parts in fields if len(parts) == 5]  # others are headings, e.g. `CLUSTER: x`
    if not rows and done.stderr.strip():
        raise SlurmError(f"squeue: {_words(done)}")
    return rows


def queued_by(user: str, cluster: str = "") -> int | None:
    """Returns the number of pending and running jobs of a user, or None if there is no answer."""
    try:
        done = _asked(["squeue", "--noheader", "--array", "--all", *_on(cluster), f"--user={user}", "--format=%i"],
                      SHORT_S)
    except SlurmError:
        return None
    return sum(bool(re.match(r"\s*\d", line)) for line in done.text.splitlines())


def sbatch(script: Path, cluster: str = "") -> Accepted:
    """Submit a script. Text of the site around the job id is ignored.

    Returns the job id and the cluster. Raises SlurmError, with sbatch's message, if it refuses or does not answer.
    """
    own = {"LC_ALL": os.environ.get("LC_ALL", "")}  # the job inherits the environment, and needs the user's locale
    own |= {"SLURM_CLUSTERS": cluster} if cluster else {}
    try:
        with _patience("sbatch", SUBMIT_S):
            done = call(["sbatch", "--parsable", script], timeout_s=SUBMIT_S, drop=DROP, keep=(*KEEP, *OF_SITE),
                        add=own)
    except OuterError as error:
        # If the call timed out, the job may have been submitted before.
        raise SlurmError(str(error), unsure="did not end" in str(error), missing=error.missing) from None
    if not done.ok:
        words = _words(done)
        raise SlurmError(words, unsure=any(word in words.lower() for word in UNSURE))
    for line in reversed(done.text.splitlines()):
        if match := NUMBER.fullmatch(line.strip()):
            return Accepted(match[1], match[2] or match[3] or cluster)
    return Accepted("", cluster)


def scancel(labels: Iterable[str], cluster: str = "") -> None:
    """Cancel these jobs. Raises SlurmError."""
    wanted = sorted(set(labels))
    for some in (wanted[i:i + AT_ONCE] for i in range(0, len(wanted), AT_ONCE)):
        _asked(["scancel", *_on(cluster), *some], ANSWER_S)


def requeue(label: str) -> None:
    """Requeue this job, which ends it. Raises SlurmError if SLURM refuses."""
    _asked(["scontrol", "requeue", label], ANSWER_S)


def state_of(label: str) -> str:
    """Returns SLURM's state of a job of this cluster, such as RUNNING, or "" if there is no answer."""
    try:
        done = _asked(["squeue", "--noheader", "--all", f"--jobs={label}", "--format=%T"], SHORT_S)
    except SlurmError:
        return ""
    return done.text.strip().partition("\n")[0]


def partitions(cluster: str = "") -> list[tuple[str, str]]:
    """Returns the partitions of a cluster (the default with a `*`) and the GRES of their nodes. Raises SlurmError."""
    done = _asked(["sinfo", "--noheader", *_on(cluster), "--format=%P|%G"], SHORT_S)
    return [(name.strip(), gres.strip()) for name, bar, gres in
            (line.partition("|") for line in done.text.splitlines()) if bar]


def of_site(name: str) -> str:
    """Returns the site's setting for sbatch in an environment variable, or ""."""
    return os.environ.get(name, "") if name in OF_SITE else ""


def wait_for(array: str, after: Sequence[str], cluster: str = "") -> None:
    """Replace the dependencies of an array; an empty `after` removes them. Raises SlurmError."""
    _asked(["scontrol", *_on(cluster), "update", f"jobid={array}", f"dependency={','.join(after)}"], ANSWER_S)


def settings(cluster: str = "") -> list[str]:
    """Returns the lines of the cluster's configuration. Empty if there is no answer."""
    return _lines(["scontrol", *_on(cluster), "show", "config"])


def shown(words: Sequence[str], cluster: str = "") -> list[str]:
    """Returns the records that `scontrol show` prints, one per line. Empty if there is no answer."""
    return _lines(["scontrol", "--oneliner", *_on(cluster), "show", *words])


def accounts(*words: str, cluster: str = "") -> list[str]:
    """Returns the lines that `sacctmgr show` prints. Empty without accounting, or if there is no answer."""
    where = [f"cluster={cluster}"] if cluster and "assoc" in words else []
    head = [*words[:2], *where, *words[2:]] if where else list(words)
    return _lines(["sacctmgr", "--noheader", "--parsable2", "show", *head])


def _lines(command: Sequence[str]) -> list[str]:
    try:
        done = _asked(command, SHORT_S)
    except SlurmError:
        return []
    return [line.strip() for line in done.text.splitlines() if line.strip()]


def _on(cluster: str) -> list[str]:
    return [f"--clusters={cluster}"] if cluster else []


def _asked(command: Sequence[str], timeout_s: float) -> Completed:
    try:
        with _patience(command[0], timeout_s):
            done = call(command, timeout_s=timeout_s, drop=DROP, keep=KEEP)
    except OuterError as error:
        raise SlurmError(str(error), missing=error.missing) from None
    if not done.ok:
        raise SlurmError(_words(done))
    return done


@contextmanager
def _patience(name: str, most_s: float) -> Iterator[None]:
    """Print a line if a command takes longer than SILENT_S."""
    def warn() -> None:
        print(f"no answer from {name} after {SILENT_S:g} s; waiting up to {most_s:g} s", file=sys.stderr, flush=True)

    timer = threading.Timer(SILENT_S, warn)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _words(done: Completed) -> str:
    """Returns the error message of a command, in one line."""
    message = (done.stderr.decode(errors="replace").strip() or done.text).replace(f"{done.command[0]}: error: ", "")
    return " ".join(message.split())[:300] or f"{done.command[0]} exited with status {done.status}"
