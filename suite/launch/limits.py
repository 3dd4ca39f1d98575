"""What a cluster allows a user to submit at once: the size of an array, and the jobs that may be in the queue."""

from __future__ import annotations

import getpass
import re
import subprocess
from dataclasses import dataclass

from suite.errors import UserError
from suite.launch.cluster import Cluster

USUAL_LARGEST = 1001  # SLURM's own MaxArraySize
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Room:
    """`largest`: jobs of an array. `jobs`: how many more the user may submit now."""

    largest: int
    jobs: int


def room(cluster: Cluster, jobs: int) -> Room:
    """The room for so many jobs. Raises UserError where arrays are switched off."""
    limit = submit_limit(cluster)
    if limit is None:
        return Room(largest_array(), jobs)
    queued = len(_lines(["squeue", "--noheader", "--array", f"--user={getpass.getuser()}", "--format=%i"]) or ())
    return Room(largest_array(), max(0, min(jobs, limit - queued)))


def largest_array() -> int:
    """MaxArraySize of the cluster; SLURM's default where it does not tell. Raises UserError where it is 0 or 1."""
    for line in _lines(["scontrol", "show", "config"]) or ():
        if match := re.match(r"MaxArraySize\s*=\s*(\d+)", line):
            if int(match[1]) < 2:
                raise UserError("this cluster allows no job arrays", "MaxArraySize", "ask those who run it")
            return int(match[1])
    return USUAL_LARGEST


def submit_limit(cluster: Cluster) -> int | None:
    """The most jobs that the user may have in the queue, by account and quality of service; None where none is set."""
    where = [f"user={getpass.getuser()}"] + ([f"account={cluster.account}"] if cluster.account else [])
    command = ["sacctmgr", "--noheader", "--parsable2", "show"]
    rows = _lines([*command, "assoc", "where", *where, "format=MaxSubmitJobs,DefaultQOS"]) or []
    values, services = [], {str(cluster.extra["qos"])} if "qos" in cluster.extra else set()
    for row in rows:
        value, _, service = row.partition("|")
        values.append(value)
        services |= {service} if service and "qos" not in cluster.extra else set()
    for service in sorted(services):
        values += _lines([*command, "qos", "where", f"name={service}", "format=MaxSubmitJobsPerUser"]) or []
    known = [int(value) for value in values if value.strip().isdecimal()]
    return min(known) if known else None


def _lines(command: list[str]) -> list[str] | None:
    """What a command prints; None where it is not here, fails, or does not answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, errors="replace")
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else None
