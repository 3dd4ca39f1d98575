"""The state of a run, derived from its files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from suite.errors import UserError
from suite.store.attempt import Status, Tenure
from suite.store.records import Beat, End
from suite.store.start_failure import StartFailure

LONGEST = 500  # characters of the detail of a state, for errors other than UserError


class State(StrEnum):
    """The state of a run.

    TODO: not started. CLAIMED: being computed. PARTIAL: stopped before its end. DONE: it has a result. FAILED,
    CANCELLED: it ended that way. LOST: its owner died without recording how. UNKNOWN: its files cannot be read.
    """

    TODO = "todo"
    CLAIMED = "claimed"
    PARTIAL = "partial"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a run stopped. ERROR, DIVERGED, OOM, TIMEOUT, KILLED: it failed. BUDGET, INTERRUPTED: it was asked to stop.

    GPU: its GPU broke down. START: it could not start, for a reason outside the run (`suite.store.start_failure`).
    """

    NONE = ""
    ERROR = "error"
    DIVERGED = "diverged"
    OOM = "oom"
    TIMEOUT = "timeout"
    KILLED = "killed"
    BUDGET = "budget"
    INTERRUPTED = "interrupted"
    GPU = "gpu"
    START = "start"


OVER = frozenset({State.DONE, State.FAILED, State.CANCELLED})
HELD = frozenset({State.CLAIMED, State.UNKNOWN})
FOR_GOOD = frozenset({Reason.ERROR, Reason.DIVERGED, Reason.OOM})  # it would end the same way again
NO_FAULT = frozenset({Reason.BUDGET, Reason.INTERRUPTED, Reason.TIMEOUT})
WORDS = {Reason.OOM: "out of memory", Reason.TIMEOUT: "out of time"}


@dataclass(frozen=True)
class RunState:
    """The state of a run: its finished `epochs`, the `reason` of a failure, and one line of `detail` for the user.

    `start` is the failure of its last start, if no attempt has begun since.
    """

    name: State
    epochs: int = 0
    reason: Reason = Reason.NONE
    detail: str = ""
    attempts: int = 0
    progress: Beat | None = None
    start: StartFailure | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended: done, failed or cancelled."""
        return self.name in OVER

    @property
    def is_held(self) -> bool:
        """Whether another process owns it, or may own it. It cannot be started."""
        return self.name in HELD

    @property
    def failed_for_good(self) -> bool:
        """Whether it failed in a way that would repeat itself. Only `retry` starts it again."""
        return self.name == State.FAILED and self.reason in FOR_GOOD

    @property
    def ended_for(self) -> str:
        """The value of `retry --reason` that selects it: the reason of a failure, `cancelled`, `start`, or ""."""
        if self.start is not None:
            return Reason.START.value
        if self.name == State.CANCELLED:
            return State.CANCELLED.value
        return str(self.reason) if self.name == State.FAILED else ""

    @property
    def label(self) -> str:
        """The state in words: `failed: out of memory`, `partial`, …"""
        if self.name == State.FAILED and self.reason == Reason.START:
            return "start failed"
        if self.name == State.FAILED and self.reason:
            return f"failed: {WORDS.get(self.reason, str(self.reason))}"
        return f"{self.name}: start failed" if self.start is not None else str(self.name)


def reason_of(text: str) -> Reason:
    """The reason of this name. ERROR for a name that only a newer release knows."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.ERROR


def one_line(error: BaseException) -> str:
    """An error in one line, as the detail of a state. Only a UserError, which ends with a fix, is never cut."""
    if isinstance(error, UserError):
        return " ".join("; ".join(f"{p.where}: {p.what}, {p.fix}".strip(":, ") for p in error.problems).split())
    text = " ".join(str(error).split())
    if len(text) <= LONGEST:
        return text
    start = text[:LONGEST]
    sentences, _, _ = start.rpartition(". ")
    return f"{sentences}. …" if sentences else f"{start.rpartition(' ')[0] or start} …"


class _Common(TypedDict):
    epochs: int
    attempts: int


def state_of(tenure: Tenure, epochs: int, damage: str) -> RunState:
    """The state of a run without a result, by its newest attempt. `damage`: what is wrong with its files, or ""."""
    common = _Common(epochs=epochs, attempts=tenure.number)
    if tenure.status in (Status.ALIVE, Status.ELSEWHERE):
        return RunState(State.CLAIMED, detail=f"held by {tenure.holder}", progress=tenure.beat, **common)
    if tenure.status == Status.UNREADABLE:
        return RunState(State.UNKNOWN, detail="the newest file in attempts/ cannot be read", progress=tenure.beat,
                        **common)
    if tenure.end is None:
        how = "how its last attempt ended cannot be read" if tenure.ended else \
            f"{tenure.holder} died without recording how"
        return RunState(State.LOST, detail=damage or how, **common)
    return _ended(tenure.end, damage, common)


def _ended(end: End, damage: str, common: _Common) -> RunState:
    if end.state == State.FAILED:
        return RunState(State.FAILED, reason=reason_of(end.reason), detail=end.detail, **common)
    if end.state == State.CANCELLED:
        return RunState(State.CANCELLED, detail=end.detail, **common)
    missing = "its result.json is gone; the next start makes it again" if end.state == State.DONE else end.detail
    untouched = end.state == State.TODO and not common["epochs"] and not damage
    return RunState(State.TODO if untouched else State.PARTIAL, reason=reason_of(end.reason), detail=damage or missing,
                    **common)
