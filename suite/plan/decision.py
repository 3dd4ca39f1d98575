"""Whether a run is to be started: policy on its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suite.store.state import RunState

AGAIN_ONLY_ON_RETRY = ("error", "diverged", "oom")


@dataclass(frozen=True)
class Selection:
    """Which runs a start takes up: those before the end of epoch `until`; with `retry`, failed and cancelled ones, too.

    `until` None: until the end.
    """

    until: int | None = None
    retry: bool = False


def wanted(state: RunState, epochs: int, selection: Selection) -> Literal["start", "wait", "leave"]:
    """What a launch does with a run of so many `epochs` in this state: start it, wait for its owner, or leave it."""
    if state.name in ("claimed", "unknown"):
        return "wait"
    if state.name == "done" or (state.name == "cancelled" and not selection.retry):
        return "leave"
    if state.name == "failed" and state.reason in AGAIN_ONLY_ON_RETRY and not selection.retry:
        return "leave"
    # All epochs without a result means that the result is still to be written.
    reached = selection.until is not None and min(selection.until, epochs) <= state.epochs < epochs
    return "leave" if reached and state.name == "partial" else "start"
