"""Files that an operating system or network drive puts beside others. They are not part of any data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

# AppleDouble files and folder settings of macOS, files of Windows and Synology, and open files deleted on NFS.
CLUTTER = re.compile(r"\._.*|\.DS_Store|\.AppleDouble|__MACOSX|Thumbs\.db|desktop\.ini|@eaDir|\.nfs[0-9a-f]+",
                     re.IGNORECASE)


def is_clutter(path: PurePath) -> bool:
    """Whether a part of this path, relative to the folder that is listed, is such a file or folder."""
    return any(CLUTTER.fullmatch(part) for part in path.parts)


def files_below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """The files below a folder, at any depth, sorted by name, without clutter."""
    yield from (path for path in sorted(folder.rglob(pattern))
                if not is_clutter(path.relative_to(folder)) and path.is_file())


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The paths in a folder that match, sorted by name, without clutter."""
    return [path for path in sorted(folder.glob(pattern)) if not is_clutter(path.relative_to(folder))]
