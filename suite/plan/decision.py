"""Whether to start a run, by its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from suite.store.state import RunState, State


class Decision(StrEnum):
    """What a launch does with a run: start it, wait for its owner, or leave it."""

    START = "start"
    WAIT = "wait"
    LEAVE = "leave"


@dataclass(frozen=True)
class Selection:
    """Which runs a launch starts: those that have not finished epoch `until` (None: the last one); with `retry`, also
    failed and cancelled runs.
    """

    until: int | None = None
    retry: bool = False


def wanted(state: RunState, epochs: int, selection: Selection) -> Decision:
    """What a launch does with a run of `epochs` epochs in this state."""
    if state.is_held:
        return Decision.WAIT
    in_vain = state.start is not None and state.start.waits
    ended = state.name == State.CANCELLED or state.failed_for_good or in_vain
    if state.name == State.DONE or (ended and not selection.retry):
        return Decision.LEAVE
    # A run with all its epochs but no result still has to write the result.
    reached = selection.until is not None and min(selection.until, epochs) <= state.epochs < epochs
    return Decision.LEAVE if reached and state.name == State.PARTIAL else Decision.START
