"""How far a run is, as its files tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from suite.errors import UserError
from suite.store.attempt import Tenure

StateName = Literal["todo", "claimed", "partial", "done", "failed", "cancelled", "lost", "unknown"]
LONGEST = 500  # letters of an error that is no user's, as the detail of a state


@dataclass(frozen=True)
class RunState:
    """How far a run is: `epochs` finished ones, the `reason` of a failure, and one line of `detail` for the user."""

    name: StateName
    epochs: int = 0
    reason: str = ""
    detail: str = ""
    attempts: int = 0
    progress: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        """`failed: out of memory`, `partial`, … for a reader."""
        reasons = {"oom": "out of memory", "timeout": "out of time"}
        if self.name == "failed" and self.reason:
            return f"failed: {reasons.get(self.reason, self.reason)}"
        return self.name


def one_line(error: BaseException) -> str:
    """An error as the detail of a state. A user's is whole, since what to do stands at its end; others may be cut."""
    if isinstance(error, UserError):
        return " ".join("; ".join(f"{p.where}: {p.what}, {p.fix}".strip(":, ") for p in error.problems).split())
    told = " ".join(str(error).split())
    if len(told) <= LONGEST:
        return told
    start = told[:LONGEST]
    sentences, _, _ = start.rpartition(". ")
    return f"{sentences}. …" if sentences else f"{start.rpartition(' ')[0] or start} …"


def state_of(tenure: Tenure, epochs: int, damage: str) -> RunState:
    progress = dict(tenure.beat) if tenure.beat is not None else None
    common: dict[str, Any] = {"epochs": epochs, "attempts": tenure.number}
    if tenure.status in ("alive", "elsewhere"):
        return RunState("claimed", detail=f"held by {tenure.holder}", progress=progress, **common)
    if tenure.status == "unreadable":
        return RunState("unknown", detail="the newest file in attempts/ cannot be read", progress=progress, **common)
    if tenure.end is None:
        how = "how its last attempt ended cannot be read" if tenure.ended else f"{tenure.holder} died without a word"
        return RunState("lost", detail=damage or how, **common)
    name, reason, detail = (str(tenure.end.get(key, "")) for key in ("state", "reason", "detail"))
    if name == "failed":
        return RunState("failed", reason=reason, detail=detail, **common)
    if name == "cancelled":
        return RunState("cancelled", detail=detail, **common)
    missing = "its result.json is gone; the next start makes it again" if name == "done" else detail
    return RunState("partial", reason=reason, detail=damage or missing, **common)


