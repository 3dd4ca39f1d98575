"""Where a report's sources are and what its files are called."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "reports"
PAGE = "index.html"
COLLECTED = ("tables.tex", "tables.md", "claims-published.md")  # of a report on several grids: all tables in one file


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts table2 before table10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def file_stem(name: str) -> str:
    """A file name for a grid of any name: letters, digits, _ . - only; a changed name gets a digest, to stay unique."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
