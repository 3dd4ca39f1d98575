"""The records of a run and of a store: owner, progress, end, result and provenance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SkipValidation

from suite.config.rows import Row
from suite.files.record import Record
from suite.store.migrate import SCHEMA

Facts = dict[str, str | int | float | bool | None]


class Claim(Record):
    """`attempts/0001.json`: who owns the run. `place` and (`pid`, `started`) identify a process.

    `when` is for people; nothing depends on it. `job` is the id of a cluster job, or "".
    """

    token: str
    host: str
    place: str
    pid: int
    started: int | None
    job: str = ""
    when: str = ""


class Beat(Record):
    """`attempts/0001.beat`: the number of heartbeats, and the progress of the run. `epochs` is where it will stop."""

    count: int = 0
    epoch: int | None = None
    step: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    seconds_per_step: float | None = None

    @property
    def seconds_per_epoch(self) -> float | None:
        """Steps per epoch times seconds per step. None if either is unknown."""
        if not self.seconds_per_step or not self.steps_per_epoch:
            return None
        return self.seconds_per_step * self.steps_per_epoch


class End(Record):
    """`attempts/0001.end`: how an attempt ended, in terms of `suite.store.state`. Newer releases may add terms."""

    state: str
    reason: str = ""
    detail: str = ""


class StopRequest(Record):
    """`attempts/0001.stop`: a request to the owner of an attempt to stop."""

    who: str


class Head(Record):
    """`result.json` of a finished run, without its rows. `version` is that of the file format.

    `outcomes` is the SHA-256 of `outcomes.npz`, with the outcome of each example. "" if the run has none.
    """

    id: str
    epochs: int
    shape: str = ""
    steps: int = 0
    parameters: int = 0
    attempts: int = 0
    seconds_per_epoch: float | None = None
    threads: int | None = None
    device: str = ""
    mixed: list[str] = []
    outcomes: str = ""
    version: int = Field(SCHEMA, alias="schema")


class Result(Head):
    """`result.json`: a row for each epoch, and a summary of the run."""

    rows: Annotated[list[Row], SkipValidation]


class Code(Record):
    """A commit, whether the working tree differs from it, and the patch with the difference; or why the commit is not
    known."""

    commit: str | None = None
    dirty: bool | None = None
    patch: str | None = None
    error: str = ""


class Origin(Record):
    """How an attempt was started: code and command of the launch, the user's code by module, and on a cluster the job
    and its batch."""

    git: Code | None = None
    command: list[str] = []
    own_code: dict[str, Code] = {}
    job: str = ""
    batch: str = ""


class AttemptRecord(Origin):
    """One attempt in `provenance.json`. The fields from `to_step` on are set when it has ended.

    `steps`: why its steps were eager, or were first compared with eager ones, if the job could choose; "" otherwise.
    """

    number: int = 0
    when: str = ""
    host: str = ""
    from_step: int = 0
    cuda_graphs: bool = False
    steps: str = ""
    to_step: int | None = None
    wall_s: float | None = None
    kernel_backend: str = ""
    ended: str = ""
    peak_memory_mb: float | None = None
    peak_device_memory_mb: float | None = None


class DataRecord(Record):
    """Which prepared data a run was computed on."""

    variant: str
    fingerprint: str


class Provenance(Record):
    """`provenance.json`: the environment of the run, `mixed` (what changed between attempts), and all attempts."""

    environment: Facts = {}
    mixed: list[str] = []
    code: str | None = None
    data: DataRecord | None = None
    parameters: int | None = None
    attempts: list[AttemptRecord] = []


class StartRecord(Record):
    """`launches/<digest>.json`: a start of a grid, with all the runs that it named and those that it had to compute."""

    grid: str
    path: str
    profile: str
    sets: list[str]
    runs: dict[str, str]
    starts: list[str]
