"""What each command is asked for: the options of the command line as plain values, which Python code can make, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from suite.errors import UserError
from suite.job.compute import Compute
from suite.report.trackers import Tracker
from suite.train.mode import Mode

R = TypeVar("R")


class Executor(StrEnum):
    """LOCAL: a process for each run. SLURM: jobs of a cluster. DEBUG: in this process, for breakpoints."""

    LOCAL = "local"
    SLURM = "slurm"
    DEBUG = "debug"


@dataclass(frozen=True)
class StoreRequest:
    """A command that reads or writes a store."""

    store: Path = Path("runs")


@dataclass(frozen=True)
class DoctorRequest(StoreRequest):
    """`doctor`."""

    verbose: bool = False


@dataclass(frozen=True)
class ComputeRequest(StoreRequest):
    """How runs are to be computed. `timeout` and `checkpoint` in minutes; `jobs` None for as many as fit.

    `gpus`: () for the CPU, None for what is free. `stack`: runs that are computed as one; None for as many as it pays.
    `max_failures` None: the local executor's `MOST_FAILURES`.
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
        """The same, as a launch is asked for it."""
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
        """The settings of the cluster: file that the options replace; None for those that they leave alone."""
        own = [field.name for field in fields(ClusterRequest) if field.name not in
               {"cluster", "extra", *(field.name for field in fields(ComputeRequest))}]
        return {name: getattr(self, name) for name in own} | {"extra": dict(self.extra) if self.extra else None}

    def check_executor(self) -> None:
        """Raises UserError for options of a cluster if the runs are to start here, and the other way round: they would
        do nothing."""
        given = [name for name, value in {"cluster": self.cluster, **self.changes}.items() if value is not None]
        if self.max_failures is not None and self.executor is not Executor.LOCAL:
            raise UserError("only --executor local reads this", "--max-failures", "leave it out")
        if self.stack != 1:
            self._check_stack()
        if given and self.executor is not Executor.SLURM:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise UserError("only --executor slurm reads this", options, "add --executor slurm, or leave it out")


    def _check_stack(self) -> None:
        """Raises UserError for what does not go with stacked runs."""
        for option, given in ((f"--executor {self.executor}", self.executor is not Executor.LOCAL),
                              ("--recompute", self.recompute), ("--compile", self.mode is Mode.COMPILED),
                              ("--cuda-graphs", self.mode is Mode.GRAPHS)):
            if given:
                raise UserError(f"runs are not stacked with {option}", "--stack", f"leave out --stack, or {option}")


@dataclass(frozen=True)
class RunRequest(ClusterRequest):
    """`run`; and, with `retry`, what is to run again, too: all, or only what ended for one of these reasons.

    `decide` adds seeds until each claim has a final word, for `hours` at most.
    """

    out: Path = Path("reports")
    wait: bool = False
    download: bool = False
    hours: float | None = None
    retry: bool = False
    reason: tuple[str, ...] | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Nothing, "all", or the reasons."""
        return (self.reason or ("all",)) if self.retry else ()


@dataclass(frozen=True)
class PlanRequest(ClusterRequest):
    """`plan`. With `probe`, some steps of each shape are measured first."""

    json: bool = False
    probe: bool = False


@dataclass(frozen=True)
class CancelRequest(StoreRequest):
    """`cancel`. With `orphans`, only what the grids have started and no longer name."""

    orphans: bool = False


@dataclass(frozen=True)
class StatusRequest(StoreRequest):
    """`status`."""

    until: int | None = None
    json: bool = False
    watch: bool = False


@dataclass(frozen=True)
class ReportRequest(StoreRequest):
    """`report`. With `check`, the kept report in that folder is compared with its store, and nothing is written."""

    out: Path = Path("reports")
    check: Path | None = None
    figures: bool = True


@dataclass(frozen=True)
class ExportRequest(StoreRequest):
    """`export`."""

    out: Path = Path("reports/export")
    to: tuple[Tracker, ...] = ()


@dataclass(frozen=True)
class FreezeRequest(StoreRequest):
    """`freeze`. `profile`, `sets`, `only` and `seeds` are how the grids were asked for."""

    out: Path | None = None
    profile: str | None = None
    sets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: int | None = None


@dataclass(frozen=True)
class CellRequest(StoreRequest):
    """`why` and `logs`: the labels of a cell, or a run's id. `lines` of each log."""

    cell: tuple[str, ...] = ()
    lines: int = 20


@dataclass(frozen=True)
class TrashRequest(StoreRequest):
    """`gc`. With `yes`, the runs are moved to the trash."""

    yes: bool = False


@dataclass(frozen=True)
class MergeRequest:
    """`merge`."""

    source: Path
    target: Path


@dataclass(frozen=True)
class DataRequest:
    """`data`: list, prepare, check or show; `sets` are `option=value` texts.

    `names` are data sets or, to prepare, grid files, which `profile` is for; `origin` is what a variant is built from.
    """

    action: str
    names: tuple[str, ...] = ()
    profile: str | None = None
    origin: Path | None = None
    verbose: bool = False
    variant: str | None = None
    task: str | None = None
    sets: tuple[str, ...] = ()
    out: Path = Path("reports/figures")


@dataclass(frozen=True)
class InitRequest:
    """`init`: the folder of the new study, and the command that runs it."""

    folder: Path
    command: str = "s4d-suite"


@dataclass(frozen=True)
class WriteRequest:
    """`figures`, `theory` and `schema`: the folder or file that is written."""

    out: Path


def request(kind: type[R], values: Mapping[str, Any]) -> R:
    """The request with those of the values that it has fields for; lists become tuples where the field is one."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) and str(known[name].type).startswith("tuple")
                   else value for name, value in values.items() if name in known})
