"""How an attempt ends, and the ending that follows from an error."""

from __future__ import annotations

import re
from dataclasses import dataclass

from suite import machine
from suite.errors import MachineFault, UserError, is_lost_gpu, is_no_memory
from suite.files import atomic
from suite.own import fault
from suite.store.state import Reason, State, one_line
from suite.train.trainer import Diverged

ASKED_GPU = re.compile(r"Tried to allocate ([\d.]+ \w+)\..*?total capacity of ([\d.]+ \w+) of which "
                       r"([\d.]+ \w+) is free", re.DOTALL)
ASKED_CPU = re.compile(r"you tried to allocate (\d+) bytes")
LESS = "write a smaller train.batch_size, add --recompute, or run fewer at a time (--jobs 1)"


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, as in its `.end` file."""

    state: State
    reason: Reason = Reason.NONE
    detail: str = ""


def failure(error: BaseException, step: int | None = None) -> Ending:
    """How an attempt ends that raised this error, with one line for the user.

    `step`: how far the run was; None before it was ready to compute. A fault of the machine is not a failure of the
    run, which remains todo or partial.
    """
    text = one_line(error)
    if isinstance(error, KeyboardInterrupt):
        return Ending(State.PARTIAL, Reason.INTERRUPTED, "stopped by the keyboard; the next start continues from here")
    if (fault_of := _fault_of_machine(error, step)) is not None:
        return Ending(State.PARTIAL if step else State.TODO, Reason.START, one_line(fault_of))
    if isinstance(error, UserError):
        return Ending(State.FAILED, Reason.ERROR, text)
    if isinstance(error, Diverged):
        return Ending(State.FAILED, Reason.DIVERGED, text)
    if is_no_memory(error):
        return Ending(State.FAILED, Reason.OOM, no_memory(error))
    if is_lost_gpu(error):
        return Ending(State.PARTIAL if step else State.TODO, Reason.GPU,
                      f"its GPU is lost: {gpu_words(text)}; the next start continues from the last checkpoint")
    words, place = f"{type(error).__name__}: {text}" if text else type(error).__name__, fault.place(error)
    return Ending(State.FAILED, Reason.ERROR, f"{words} ({place})" if place else words)


def no_memory(error: BaseException) -> str:
    """A sentence on what did not fit into memory, and what to do."""
    text = str(error)
    if asked := ASKED_GPU.search(text):
        return f"the GPU has {asked[3]} of its {asked[2]} left, and a step asked for {asked[1]} more: {LESS}"
    if asked := ASKED_CPU.search(text):
        memory = machine.memory()
        here = f" of the {machine.gigabytes(memory.total)} here" if memory else ""
        return f"a step asked for {machine.gigabytes(int(asked[1]))} of memory, more than is left{here}: {LESS}"
    words = one_line(error)
    return f"there was not enough memory{f' ({words[:120]})' if words else ''}: {LESS}"


def gpu_words(text: str) -> str:
    """The first sentence of CUDA's error. The rest only helps to debug a kernel."""
    return re.split(r"(?<=\w) (?:CUDA kernel errors|Search for|For debugging|Compile with)", text)[0].rstrip(". ")


def _fault_of_machine(error: BaseException, step: int | None) -> BaseException | None:
    """The error, if the machine is the cause: a full disk at any time, an unreadable file before the first step."""
    if isinstance(error, MachineFault):
        return error
    if not isinstance(error, OSError) or fault.place(error):  # raised by the user's code, which is part of the run
        return None
    return atomic.explain(error) or (error if step is None else None)
