"""What commands are asked for: the options of the command line as plain values, which Python code can make, too.

Here is what all requests share; those of commands that compute are in `compute_requests`, all others in
`other_requests`. Each command imports its own, so that looking takes little time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

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


def request(kind: type[R], values: Mapping[str, Any]) -> R:
    """The request with those of the values that it has fields for; lists become tuples where the field is one."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # all kinds are dataclasses
    return kind(**{name: tuple(value) if isinstance(value, list) and str(known[name].type).startswith("tuple")
                   else value for name, value in values.items() if name in known})
