"""How an attempt ends, and what of that an error means."""

from __future__ import annotations

from dataclasses import dataclass

from suite.errors import UserError, is_no_memory
from suite.files import atomic
from suite.own import fault
from suite.store.state import Reason, State, one_line
from suite.train.trainer import Diverged


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, as in its `.end` file."""

    state: State
    reason: Reason = Reason.NONE
    detail: str = ""


def failure(error: BaseException) -> Ending:
    """How an attempt ends that raised this, in one line for the user."""
    if isinstance(error, OSError) and (explained := atomic.explain(error)) is not None:
        error = explained
    text = one_line(error)
    if isinstance(error, KeyboardInterrupt):
        return Ending(State.PARTIAL, Reason.INTERRUPTED, "stopped by the keyboard; the next start goes on from here")
    if isinstance(error, UserError):
        return Ending(State.FAILED, Reason.ERROR, text)
    if isinstance(error, Diverged):
        return Ending(State.FAILED, Reason.DIVERGED, text)
    if is_no_memory(error):
        return Ending(State.FAILED, Reason.OOM, text or "out of memory")
    told, place = f"{type(error).__name__}: {text}" if text else type(error).__name__, fault.place(error)
    return Ending(State.FAILED, Reason.ERROR, f"{told} ({place})" if place else told)
