"""The folders of a report's sources, and the names of its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from suite.files import resources, study

if TYPE_CHECKING:
    from suite.grid.model import Grid

SOURCES = resources.folder("reports")
PAGE = "index.html"
COLLECTED = ("tables.tex", "tables.md", "claims-published.md")  # of a report on several grids: their tables together


def folders(sources: Path, grids: Iterable[Grid]) -> tuple[Path, ...]:
    """The suite's sources of reports, then those of the studies that these grids belong to."""
    own = [study.of_grid(grid.path) for grid in grids]
    found = [sources, *(folder / "reports" for folder in own if study.is_own(folder))]
    return tuple({folder.resolve(): folder for folder in found if folder.is_dir()}.values())


def published_files(folders: Iterable[Path]) -> list[Path]:
    """The files of papers in these folders, sorted by name within each folder."""
    return [path for folder in folders for path in sorted(folder.glob("*.yaml")) if path.name[0] != "."]


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key that puts table2 before table10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def file_stem(name: str) -> str:
    """A file name for any grid name, of letters, digits and _ . - only. A changed name gets a digest to stay unique."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:80]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")
