"""Which files are layouts of a grid, and what their tables are called. Light to import: `status` asks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from suite.files.clutter import files_in


def layouts_of(sources: Iterable[Path], grid: str) -> list[Path]:
    """The layouts that show a grid, in the folders `tables` of all sources of reports."""
    return [path for folder in sources for path in layout_files(folder / "tables", grid)]


def layout_files(folder: Path, grid: str) -> list[Path]:
    """The layouts that show a grid: `<grid>.yaml`, and every file with a line `grid: <grid>`."""
    line = re.compile(rf"^grid:\s*[\"']?{re.escape(grid)}[\"']?\s*(#.*)?$", re.MULTILINE)
    return [path for path in files_in(folder, "*.yaml") if _shows(path, grid, line)]


def _shows(path: Path, grid: str, line: re.Pattern[str]) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return bool(line.search(text)) or (path.stem == grid and not re.search(r"^grid:", text, re.MULTILINE))


def table_names(layouts: Path, grids: Path) -> list[str]:
    """The names of all tables that layouts in a folder, or else grids in another, make."""
    return [table_name(path) for folder in (layouts, grids) for path in files_in(folder, "*.yaml")
            if path.name[0] != "." and path.is_file() and os.access(path, os.R_OK)]  # an editor's lock is no grid


def table_name(path: Path) -> str:
    """The name of the table that a layout makes, or of the grid in a file."""
    found = re.search(r"^name:\s*[\"']?([^\"'#\n]+?)[\"']?\s*(#.*)?$", path.read_text(errors="replace"), re.M)
    return found.group(1) if found else path.stem
