"""The layout files of a grid and the names of their tables. Cheap to import, because `status` needs it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from suite.files.clutter import files_in


def layouts_of(sources: Iterable[Path], grid: str) -> list[Path]:
    """The layouts of a grid, in the folder `tables` of each source of reports."""
    return [path for folder in sources for path in layout_files(folder / "tables", grid)]


def layout_files(folder: Path, grid: str) -> list[Path]:
    """The layouts of a grid: `<grid>.yaml`, and every file with a line `grid: <grid>`."""
    line = re.compile(rf"^grid:\s*[\"']?{re.escape(grid)}[\"']?\s*(#.*)?$", re.MULTILINE)
    return [path for path in files_in(folder, "*.yaml") if _shows(path, grid, line)]


def _shows(path: Path, grid: str, line: re.Pattern[str]) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return bool(line.search(text)) or (path.stem == grid and not re.search(r"^grid:", text, re.MULTILINE))


def table_names(layouts: Path, grids: Path) -> list[str]:
    """The names of the tables of all layouts in one folder and of all grids in another."""
    return [table_name(path) for folder in (layouts, grids) for path in files_in(folder, "*.yaml")
            if path.name[0] != "." and path.is_file() and os.access(path, os.R_OK)]  # skips the lock files of editors


def table_name(path: Path) -> str:
    """The name of the table of a layout file, or of the grid in a grid file."""
    found = re.search(r"^name:\s*[\"']?([^\"'#\n]+?)[\"']?\s*(#.*)?$", path.read_text(errors="replace"), re.M)
    return found.group(1) if found else path.stem
