"""Numbers with their words, for messages: `1 run is`, `2 runs are`."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """`1 job`, `2 jobs`; with `more`, that is the plural: `1 run is`, `2 runs are`."""
    return f"{number} {one if number == 1 else more or one + 's'}"
