"""The settings of jobs on a SLURM cluster: from the cluster file, and from options that override it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml

TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d\d))?(?::(\d\d))?")
OWNERS = {"array": "max_parallel", "signal": "signal_s", "time": "time", "time-min": "time", "partition": "partition",
          "account": "account", "constraint": "constraint", "cpus-per-task": "cpus_per_job", "mem": "memory",
          "mem-per-cpu": "memory", "mem-per-gpu": "memory",
          **dict.fromkeys(("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket", "gres", "tres-per-task"),
                          "gpus_per_job"), "cpus-per-gpu": "cpus_per_job"}  # option of sbatch -> the key that sets it
ONE_PROCESS = "each job is one process on one node"
REFUSED = {"export": "jobs need the environment of the submission",
           "export-file": "jobs need the environment of the submission",
           "wait": "use --wait of the suite", "test-only": "nothing would be submitted",
           "no-requeue": "long runs continue by requeueing", "requeue": "jobs can always be requeued",
           **dict.fromkeys(("ntasks", "ntasks-per-node", "ntasks-per-socket", "ntasks-per-core", "ntasks-per-gpu",
                            "nodes", "distribution"), ONE_PROCESS),
           **dict.fromkeys(("job-name", "output", "error", "input", "open-mode", "dependency", "kill-on-invalid-dep",
                            "chdir", "wrap", "parsable", "hold", "quiet", "verbose", "help", "version", "usage"),
                           "it is set by the suite")}
MEMORY = re.compile(r"(\d+)(?:\.(\d+))?\s*([KMGT]?)B?", re.IGNORECASE)
KIB = {"K": 1, "M": 2**10, "": 2**10, "G": 2**20, "T": 2**30}
LEAST_M = 512  # the smallest memory without a unit, in MB: a smaller number was probably meant in GB
SIGNAL_S = 90
GPUS = re.compile(r"(?:([A-Za-z][A-Za-z0-9_.-]*):)?(\d+)")
Text = Annotated[str, Field(min_length=1, pattern=r"^[^\n\r\x00]+$")]
Count = Annotated[int, Field(strict=True, ge=1)]


class Cluster(BaseModel):
    """Settings of each job. `time` is in minutes, `signal_s` in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)
    partition: Text | None = Field(None, description="partition, or several with commas")
    account: Text | None = Field(None, description="account to charge")
    constraint: Text | None = Field(None, description="features of the nodes, e.g. a100")
    time: int = Field(60, ge=1, description="time limit of a job: minutes, H:MM:SS or D-HH:MM:SS. A longer run "
                      "is requeued and continues")
    gpus_per_job: int | str | None = Field(None, description="GPUs per job, with a type if needed: 2, a100:1. A run "
                                           "uses one GPU (default: 1 if the partition has GPUs; 0 for the CPU)")
    gpus_as_gres: bool = Field(False, description="request GPUs with --gres, for sites that require it")
    cpus_per_job: Count | None = Field(None, description="CPUs per job (default: as many as its threads)")
    memory: Text | None = Field(None, description="memory per job, e.g. 16GB or 16000M; 0 for all memory of a node "
                                "(default: the cluster's default)")
    max_parallel: Count | None = Field(None, description="most jobs at a time (default: no limit)")
    runs_per_job: Count = Field(1, description="runs per job, one after the other")
    side_by_side: Count = Field(1, description="runs of a job at a time (on each GPU, if it has GPUs)")
    signal_s: Annotated[int, Field(strict=True, ge=1, lt=65536)] | None = Field(
        None, description="a job writes its last checkpoint and is requeued this many seconds before its time limit "
        "(default: 90, or half of a shorter time limit)")
    setup: tuple[Text, ...] = Field((), description="shell lines to run first, e.g. module load cuda")
    extra: Mapping[str, Text | int | bool] = Field({}, description="other options of sbatch, e.g. qos: long")

    @field_validator("time", mode="before")
    @classmethod
    def _minutes(cls, value: Any) -> int:
        return minutes(value)

    @field_validator("extra")
    @classmethod
    def _not_ours(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        for key in value:
            if not re.fullmatch(r"[a-z][a-z-]*", key):
                raise ValueError(f"{key!r} is not a long option of sbatch; write it without its dashes, e.g. qos: long")
            if key in OWNERS:
                raise ValueError(f"{key} is set by the suite; use the key {OWNERS[key]}")
            if key in REFUSED:
                raise ValueError(f"{key} cannot be used: {REFUSED[key]}")
        return {key: one for key, one in value.items() if one is not False and one != "false"}

    @field_validator("gpus_per_job", mode="before")
    @classmethod
    def _gpus(cls, value: Any) -> int | str | None:
        if value is None:
            return None
        match = GPUS.fullmatch(str(value)) if not isinstance(value, bool) else None
        if match is None:
            raise ValueError(f"{value!r} is not a number of GPUs: write e.g. 2, or a100:2 with a type")
        return f"{match[1]}:{int(match[2])}" if match[1] and int(match[2]) else int(match[2])

    @field_validator("memory", mode="before")
    @classmethod
    def _size(cls, value: Any) -> str | None:
        return None if value is None else memory(value)

    @property
    def gpus(self) -> int:
        """The number of GPUs of a job."""
        return int(str(self.gpus_per_job or 0).rpartition(":")[2])

    @property
    def signal(self) -> int:
        """Seconds from the signal to stop until the time limit."""
        return self.signal_s or min(SIGNAL_S, 30 * self.time)

    @property
    def asked(self) -> dict[str, Any]:
        """The settings that are not the default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @model_validator(mode="after")
    def _time_to_work(self) -> Cluster:
        if self.signal >= 60 * self.time:
            raise ValueError(f"--signal-s (signal_s), {self.signal} s, leaves no time before the time limit, "
                             f"{self.time} min")
        return self

    def needed_cpus(self, threads: int) -> int:
        """Returns the CPUs of a job whose runs use this number of threads each."""
        return self.cpus_per_job or self.needed(threads)

    def needed(self, threads: int) -> int:
        """Returns the CPUs needed by the runs that a job computes at a time."""
        return threads * self.side_by_side * max(1, self.gpus)


def memory(value: Any) -> str:
    """Returns a size in sbatch's format: `16g` is 16G, `16000` is 16000M, `1.5GB` is 1536M, `0` is all of a node.

    Raises ValueError.
    """
    match = MEMORY.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise ValueError(f"{value!r} is not a memory size: write e.g. 16GB or 16000M, or 0 for all memory of a node")
    unit = match[3].upper()
    if not unit and 0 < float(str(value).strip().upper().rstrip("B")) < LEAST_M:
        raise ValueError(f"{value} without a unit means {value} MB, too little for a run: write {value}G, or "
                         f"{value}M if you mean MB")
    if match[2] is None:
        return "0" if int(match[1]) == 0 else f"{int(match[1])}{unit or 'M'}"
    kib = round(float(f"{match[1]}.{match[2]}") * KIB[unit])
    return f"{kib}K" if kib % KIB["M"] else f"{kib // KIB['M']}M"


def minutes(value: Any) -> int:
    """Returns the minutes of `90`, `1:30:00`, `2-00` or `2-12:30:00`, rounded up. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] is None and match[3] is not None and match[4] is None):
        raise ValueError(f"{value!r} is not a time: write minutes, H:MM:SS, D-HH or D-HH:MM:SS")
    if match[1] is None and match[3] is None:
        total = int(match[2]) * 60
    else:
        total = int(match[1] or 0) * 86400 + int(match[2]) * 3600 + int(match[3] or 0) * 60 + int(match[4] or 0)
    if total < 1:
        raise ValueError(f"{value!r} is not a time limit: write at least 1 minute")
    return -(-total // 60)


def load(path: Path | None, changes: Mapping[str, Any]) -> Cluster:
    """Returns the settings under `cluster:` in a file. `changes`, from the command line, override those of the file.

    `setup` and `extra` are added to the file's. Raises UserError with all problems, each with file, line and key.
    """
    node, values = _read(path) if path is not None else (None, {})
    own = {key: value for key, value in changes.items() if value is not None}
    merged = {**values, **own}
    if isinstance(values.get("setup"), list):
        merged["setup"] = [*values["setup"], *own.get("setup", ())]
    if isinstance(values.get("extra"), dict):
        merged["extra"] = {**values["extra"], **own.get("extra", {})}
    try:
        return Cluster.model_validate(merged)
    except ValidationError as error:
        raise UserError({str(p): p for p in (_problem(one, node, own) for one in error.errors())}.values()) from None


def _read(path: Path) -> tuple[Node, dict[str, Any]]:
    node = load_yaml(path)
    for key, value in node.value.items():
        if key != "cluster":
            raise UserError(f"unknown key {key!r}", value.at.key(key), "all settings belong under the key cluster:")
    settings = node.value.get("cluster", node)
    if not isinstance(settings.value, dict):
        raise UserError("must be a mapping (`key: value` lines)", settings.at.key("cluster"))
    return settings, settings.plain()


def _problem(error: Any, node: Node | None, own: Mapping[str, Any]) -> Problem:
    path = tuple(error["loc"])
    key = str(path[0]) if path else ""
    message = error["msg"].removeprefix("Value error, ")
    known = Cluster.model_fields.get(key)
    fix = nearest(key, Cluster.model_fields) if error["type"] == "extra_forbidden" else \
        (known.description or "" if known else "increase --time or reduce --signal-s")
    if error["type"] == "extra_forbidden":
        message = f"unknown key {key!r}"
    elif not error["type"].startswith("value_error"):
        message = f"{error['input']!r} is not a valid value"
    if not key:
        return Problem(message, str(node.at) if node else "--time", fix)
    if node is None or (key in own and key not in ("setup", "extra")):
        return Problem(message, f"--{key.replace('_', '-')}", fix)
    return Problem(message, node.find(path).key("cluster", *path), fix)
