"""The limits of submissions to a cluster: the size of an array, and the number of jobs in the queue."""

from __future__ import annotations

import getpass
import os
import re
from dataclasses import dataclass

from suite.errors import UserError
from suite.launch import slurm_cli
from suite.launch.cluster import Cluster

USUAL_LARGEST = 1001  # SLURM's default MaxArraySize


@dataclass(frozen=True)
class Room:
    """`largest`: the most jobs of an array. `jobs`: how many jobs can be submitted now. `limit`: the most jobs that the
    user may have in the queue, or None."""

    largest: int
    jobs: int
    limit: int | None = None


def room(cluster: Cluster, jobs: int) -> Room:
    """Returns the room for `jobs` jobs. Raises UserError if the cluster does not allow arrays."""
    where = slurm_cli.chosen_cluster(cluster.extra.get("clusters"))
    limit = submit_limit(cluster)
    if limit is None:
        return Room(largest_array(where), jobs)
    queued = slurm_cli.queued_by(user(), where) or 0
    return Room(largest_array(where), max(0, min(jobs, limit - queued)), limit)


def user() -> str:
    """Returns the user's name, or the numeric id of a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def largest_array(cluster: str = "") -> int:
    """Returns MaxArraySize of the cluster, or SLURM's default if it is unknown. Raises UserError if it is 0 or 1."""
    for line in slurm_cli.settings(cluster):
        if match := re.match(r"MaxArraySize\s*=\s*(\d+)", line):
            if int(match[1]) < 2:
                raise UserError("this cluster allows no job arrays", "MaxArraySize", "ask its administrators")
            return int(match[1])
    return USUAL_LARGEST


def submit_limit(cluster: Cluster) -> int | None:
    """Returns the most jobs that the user may have in the queue, by account and quality of service, or None for no
    limit.

    The account is the requested one, or the user's default. If neither is known, the largest limit of all accounts is
    returned: sbatch refuses jobs beyond the true limit.
    """
    where = slurm_cli.chosen_cluster(cluster.extra.get("clusters"))
    account = cluster.account or os.environ.get("SBATCH_ACCOUNT") or _default_account(where)
    asked = [f"user={user()}"] + ([f"account={account}"] if account else [])
    rows = slurm_cli.accounts("assoc", "where", *asked, "format=MaxSubmitJobs,DefaultQOS", cluster=where)
    associations = [row.partition("|") for row in rows]
    limits = [int(value) if value.strip().isdecimal() else None for value, _, _ in associations]
    own = [max(known for known in limits if known is not None)] if limits and None not in limits else []
    services = {str(cluster.extra["qos"])} if "qos" in cluster.extra else {qos for _, _, qos in associations if qos}
    for service in sorted(services):
        values = slurm_cli.accounts("qos", "where", f"name={service}", "format=MaxSubmitJobsPerUser", cluster=where)
        own += [int(value) for value in values if value.strip().isdecimal()]
    return min(own) if own else None


def _default_account(cluster: str) -> str:
    rows = slurm_cli.accounts("user", "where", f"name={user()}", "format=DefaultAccount", cluster=cluster)
    return rows[0].strip() if rows else ""
