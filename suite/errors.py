"""Errors that a user can fix: what is wrong, where, and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A problem: `what` is wrong, `where` (file, line, key), and `fix`, how to fix it."""

    what: str
    where: str = ""
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n    {self.fix}" if self.fix else text


class UserError(Exception):
    """Bad input, with one or more problems. The command line prints them without a traceback and exits with 2."""

    def __init__(self, what: str | Iterable[Problem], where: str = "", fix: str = "") -> None:
        self.problems = (Problem(what, where, fix),) if isinstance(what, str) else tuple(what)
        super().__init__("\n".join(map(str, self.problems)))


class MachineFault(UserError):
    """A fault of the machine, such as a full disk or a missing GPU. No run is recorded as failed because of it."""


class Problems:
    """Collects problems, without duplicates, so that all of them are raised at once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}  # a set that keeps the order

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def add(self, *problems: Problem) -> None:
        """Add problems. Duplicates are ignored."""
        self._found.update(dict.fromkeys(problems))

    def raise_if_any(self) -> None:
        """Raises UserError with all problems, if there are any."""
        if self._found:
            raise UserError(self)


NO_MEMORY = ("can't allocate memory", "out of memory")  # in errors for which torch has no class


def is_no_memory(error: BaseException) -> bool:
    """Whether the CPU or GPU ran out of memory. torch raises a RuntimeError with such a message."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY))


LOST_GPU = ("uncorrectable ECC error", "CUDA error: unknown error", "no CUDA-capable device is detected",
                   "hardware stack error", "GPU is lost", "fallen off the bus")  # messages of CUDA after such an Xid


def is_lost_gpu(error: BaseException) -> bool:
    """Whether the GPU failed, so that this process can no longer use it.

    An illegal memory access of a kernel does not count, since the program may be at fault.
    """
    return isinstance(error, RuntimeError) and any(words in str(error) for words in LOST_GPU)


def nearest(name: object, allowed: Iterable[str]) -> str:
    """`did you mean X? allowed: …` for a name that is not among `allowed`."""
    names = [str(a) for a in allowed]
    close = difflib.get_close_matches(str(name).lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    guess = next((n for n in names if close and n.lower() == close[0]), None)
    return (f"did you mean {guess!r}? " if guess else "") + "allowed: " + ", ".join(names)
