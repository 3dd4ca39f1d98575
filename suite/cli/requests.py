"""Requests: the options of a command as plain values, which Python code can create as well.

This module has what all requests share. Requests of commands that compute runs are in `compute_requests`, all others in
`other_requests`. Each command imports only its own module, so that light commands start fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")


class Executor(StrEnum):
    """LOCAL: one process per run. SLURM: jobs on a cluster. DEBUG: everything in this process, for breakpoints."""

    LOCAL = "local"
    SLURM = "slurm"
    DEBUG = "debug"


@dataclass(frozen=True)
class StoreRequest:
    """A command that reads or writes a store."""

    store: Path = Path("runs")


def request(kind: type[R], values: Mapping[str, Any]) -> R:
    """A request of this kind from the values of its fields. Other values are ignored; lists become tuples if needed."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # all kinds are dataclasses
    return kind(**{name: tuple(value) if isinstance(value, list) and str(known[name].type).startswith("tuple")
                   else value for name, value in values.items() if name in known})
