"""Finds out whether a single job exceeds a limit of its account or quality of service.

SLURM accepts such a job although it can never start, and shows the same reason as for a job that waits for others to
end (`AssocGrpCpuLimit`, `QOSMaxMemoryPerUser`, …). Therefore, the request of the job is compared with the limits in
`scontrol show assoc_mgr`: of the association, of its parent accounts, and of the quality of service.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from suite.launch import slurm_cli

REASON = re.compile(r"(Assoc|QOS)(Grp\w*RunMin|Grp(?!\w*(Min|Wall))|Max(?!\w*PerJob|Wall))")
UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}
AMOUNTS = ("GrpTRES", "MaxTRESPU", "MaxTRESPA")  # of all jobs together: of an account, a user, an account in a QOS
JOBS = ("GrpJobs", "MaxJobs", "MaxJobsPU", "MaxJobsPA")
RUN_MINUTES = "GrpTRESRunMins"
MOST_ACCOUNTS = 20  # from the account up to the root


@dataclass(frozen=True)
class Asked:
    """The request of a job: amounts by resource name (memory in MB), and the time limit in minutes."""

    amounts: Mapping[str, float]
    minutes: float


def over(label: str, cluster: str = "") -> str:
    """Returns a message about the first limit that a job exceeds, or "" if it exceeds none or SLURM does not answer."""
    job = next(map(_fields, slurm_cli.shown(["job", label], cluster)), {})
    if "Account" not in job:
        return ""
    asked = Asked(_amounts(job.get("ReqTRES") or job.get("TRES", "")), _minutes(job.get("TimeLimit", "")))
    return next((text for limits in _limits(job, cluster) if (text := beyond(asked, limits))), "")


def beyond(asked: Asked, limits: Mapping[str, str]) -> str:
    """Returns a message about the first limit of a record that the request exceeds, or ""."""
    for key in JOBS:
        if _limit(limits.get(key, "")) == 0:
            return "its account may not run any job"
    for key in (*AMOUNTS, RUN_MINUTES):
        factor = asked.minutes if key == RUN_MINUTES else 1.0
        for name, _, text in (part.partition("=") for part in limits.get(key, "").split(",")):
            most, wanted = _limit(text), asked.amounts.get(name, 0.0) * factor
            if most is not None and wanted > most:
                unit = " MB" if name == "mem" else ""
                minutes = " minutes" if factor != 1.0 else ""
                return (f"it requests {name}{minutes}={wanted:g}{unit}, but the limit for all jobs together is "
                        f"{most:g}{unit}")
    return ""


def _limits(job: Mapping[str, str], cluster: str) -> Iterator[dict[str, str]]:
    """Yields the records with limits for this job, as SLURM prints them."""
    user, account = job.get("UserId", "").partition("(")[0], job["Account"]
    for _ in range(MOST_ACCOUNTS):
        above = ""
        for one in map(_fields, slurm_cli.shown(["assoc_mgr", "flags=assoc", f"accounts={account}"], cluster)):
            mine = one.get("UserName", "").partition("(")[0] in ("", user)
            if one.get("Account") == account and mine and one.get("Partition", "") in ("", job.get("Partition")):
                above = above or one.get("ParentAccount", "").partition("(")[0]
                yield one
        if not above:
            break
        account = above
    for one in map(_fields, slurm_cli.shown(["assoc_mgr", "flags=qos", f"qos={job.get('QOS', '')}"], cluster)):
        if "QOS" in one:
            yield one


def _fields(line: str) -> dict[str, str]:
    return dict(re.findall(r"([\w/:]+)=(\S*)", re.sub(r"\w+=\{|\}", " ", line)))


def _limit(text: str) -> float | None:
    """Returns 4 for `4(2)`, a limit of which 2 are used, and None for `N(2)`, no limit."""
    number = text.partition("(")[0]
    return float(number) if number.isdecimal() else None


def _amounts(text: str) -> dict[str, float]:
    pairs = re.findall(r"([\w/:.-]+)=([\d.]+)([KMGTP]?)", text)
    return {name: float(number) * UNITS.get(unit, 1.0) for name, number, unit in pairs}


def _minutes(text: str) -> float:
    """Returns the minutes of `1-02:30:00`, or infinity without a limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if match is None:
        return math.inf
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + minutes + seconds / 60
