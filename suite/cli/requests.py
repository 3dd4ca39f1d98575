"""Requests: the options of a command as plain values, which Python code can make, too.

This module has what all requests share. Requests of commands that compute are in `compute_requests`, all others in
`other_requests`. Each command imports only its own, so that light commands start fast.
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
    """The request of this kind, from the values of its fields; others are ignored. Lists become tuples if needed."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # all kinds are dataclasses
    return kind(**{name: tuple(value) if isinstance(value, list) and str(known[name].type).startswith("tuple")
                   else value for name, value in values.items() if name in known})
