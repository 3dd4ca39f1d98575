"""Counts with nouns in messages: `1 run is`, `2 runs are`."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """Returns `1 job` or `2 jobs`. `more` is the plural, by default `one` with an s: `1 run is`, `2 runs are`."""
    return f"{number} {one if number == 1 else more or one + 's'}"
