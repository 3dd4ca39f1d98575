"""Files that an operating system or network drive puts beside others, and that are part of no data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePath

# macOS's AppleDouble and folder settings, Windows's, those of a Synology drive, and what NFS keeps of an open file.
CLUTTER = re.compile(r"\._.*|\.DS_Store|\.AppleDouble|__MACOSX|Thumbs\.db|desktop\.ini|@eaDir|\.nfs[0-9a-f]+",
                     re.IGNORECASE)


def is_clutter(path: PurePath) -> bool:
    """Whether a part of this path, relative to the folder that is listed, is such a file or folder."""
    return any(CLUTTER.fullmatch(part) for part in path.parts)


def files_below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """The files below a folder, at any depth, in the order of their names, without clutter."""
    yield from (path for path in sorted(folder.rglob(pattern))
                if not is_clutter(path.relative_to(folder)) and path.is_file())


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The paths in a folder that match, in the order of their names, without clutter."""
    return [path for path in sorted(folder.glob(pattern)) if not is_clutter(path.relative_to(folder))]
