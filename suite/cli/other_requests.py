"""The requests of commands that compute no runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from suite.cli.requests import StoreRequest
from suite.report.trackers import Tracker


@dataclass(frozen=True)
class DoctorRequest(StoreRequest):
    """`doctor`."""

    verbose: bool = False


@dataclass(frozen=True)
class CancelRequest(StoreRequest):
    """`cancel`. With `orphans`, only runs that the grids started but no longer contain."""

    orphans: bool = False


@dataclass(frozen=True)
class StatusRequest(StoreRequest):
    """`status`."""

    until: int | None = None
    json: bool = False
    watch: bool = False


@dataclass(frozen=True)
class ReportRequest(StoreRequest):
    """`report`. With `check`, the report in that folder is compared with its store, and nothing is written."""

    out: Path = Path("reports")
    check: Path | None = None
    figures: bool = True
    latex: str = "plain"


@dataclass(frozen=True)
class ExportRequest(StoreRequest):
    """`export`."""

    out: Path = Path("reports/export")
    to: tuple[Tracker, ...] = ()


@dataclass(frozen=True)
class FreezeRequest(StoreRequest):
    """`freeze`. `profile`, `sets`, `only` and `seeds` are the options with which the grids were loaded."""

    out: Path | None = None
    profile: str | None = None
    sets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: int | None = None


@dataclass(frozen=True)
class CellRequest(StoreRequest):
    """`why` and `logs`. `cell`: labels of a cell, or a run's id. `lines`: lines of each log."""

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

    `names` are data sets or, for prepare, grid files, whose runs are selected by `profile`, `sets`, `only`, `seeds`.
    `origin` is the folder or archive that a variant is built from.
    """

    action: str
    names: tuple[str, ...] = ()
    profile: str | None = None
    origin: Path | None = None
    verbose: bool = False
    variant: str | None = None
    task: str | None = None
    sets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    seeds: int | None = None
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
