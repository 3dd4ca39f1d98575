"""The requests of commands that compute, or show what would be computed: run, retry and plan."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from suite.cli.requests import Executor, StoreRequest
from suite.errors import UserError
from suite.job.compute import Compute
from suite.train.mode import Mode


@dataclass(frozen=True)
class ComputeRequest(StoreRequest):
    """How to compute runs. `timeout` and `checkpoint` are in minutes.

    jobs: runs at a time, None for as many as fit. gpus: () for the CPU, None for idle GPUs. stack: runs to train
    together, None for as many as are faster that way. max_failures: None for `MOST_FAILURES`.
    """

    until: int | None = None
    jobs: int | None = None
    threads: int = 1
    gpus: tuple[int | str, ...] | None = None
    executor: Executor = Executor.LOCAL
    timeout: float | None = None
    checkpoint: float = 5.0
    recompute: bool = False
    mode: Mode = Mode.AUTO
    max_failures: int | None = None
    canary: bool = True
    stack: int | None = 1

    @property
    def compute(self) -> Compute:
        """The options that are passed to each run."""
        return Compute(threads=self.threads, until=self.until, timeout_s=self.timeout * 60 if self.timeout else None,
                       checkpoint_s=self.checkpoint * 60, mode=self.mode, recompute=self.recompute)


@dataclass(frozen=True)
class ClusterRequest(ComputeRequest):
    """The options of a cluster. Each but `cluster` and `extra` replaces a setting of the cluster: file."""

    cluster: Path | None = None
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None
    time: str | None = None
    gpus_per_job: int | str | None = None
    gpus_as_gres: bool | None = None
    cpus_per_job: int | None = None
    memory: str | None = None
    max_parallel: int | None = None
    runs_per_job: int | None = None
    side_by_side: int | None = None
    setup: list[str] | None = None
    signal_s: int | None = None
    extra: list[tuple[str, str | bool]] | None = None

    @property
    def changes(self) -> Mapping[str, Any]:
        """The settings of the cluster: file that options replace. None for settings that are kept."""
        own = [field.name for field in fields(ClusterRequest) if field.name not in
               {"cluster", "extra", *(field.name for field in fields(ComputeRequest))}]
        return {name: getattr(self, name) for name in own} | {"extra": dict(self.extra) if self.extra else None}

    def check_executor(self) -> None:
        """Raises UserError for options that the executor does not support."""
        given = [name for name, value in {"cluster": self.cluster, **self.changes}.items() if value is not None]
        if self.max_failures is not None and self.executor is Executor.DEBUG:
            raise UserError("--executor debug always stops at the first failure", "--max-failures", "leave it out")
        if self.stack != 1:
            self._check_stack()
        if given and self.executor is not Executor.SLURM:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise UserError("only for --executor slurm", options, "add --executor slurm, or leave it out")

    def _check_stack(self) -> None:
        """Raises UserError for options that stacked runs do not support."""
        for option, given in ((f"--executor {self.executor}", self.executor is not Executor.LOCAL),
                              ("--recompute", self.recompute), ("--compile", self.mode is Mode.COMPILED)):
            if given:
                raise UserError(f"runs cannot be stacked with {option}", "--stack", f"leave out --stack, or {option}")


@dataclass(frozen=True)
class RunRequest(ClusterRequest):
    """`run`. With `retry`, failed and cancelled runs start again; with `reason`, only runs that ended for it.

    hours: time limit of `--decide`. over_at: its end, by `time.monotonic()`.
    """

    out: Path = Path("reports")
    wait: bool = False
    download: bool = False
    hours: float | None = None
    over_at: float | None = None
    retry: bool = False
    reason: tuple[str, ...] | None = None

    @property
    def left(self) -> float | None:
        """Seconds left of `hours`, at least 0. None without a limit."""
        return None if self.over_at is None else max(self.over_at - time.monotonic(), 0.0)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of `--reason`, or ("all",). Empty without `retry`."""
        return (self.reason or ("all",)) if self.retry else ()


@dataclass(frozen=True)
class PlanRequest(ClusterRequest):
    """`plan`. With `probe`, some steps of each configuration are timed first."""

    json: bool = False
    probe: bool = False
