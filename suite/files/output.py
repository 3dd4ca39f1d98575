"""Output files, written below a folder that the user names."""

from __future__ import annotations

import os
from pathlib import Path

from suite.errors import UserError
from suite.files import atomic


def check_folder(out: Path) -> None:
    """Raises UserError if `out` cannot be a folder: it is a file, or a broken link."""
    if os.path.lexists(out) and not out.is_dir():
        what = f"is a link to {out.readlink()}, which does not exist" if out.is_symlink() and not out.exists() else \
            "is a file, and must be a folder"
        raise UserError(what, str(out), "name another folder with --out")


def write_file(out: Path, name: str, data: bytes) -> None:
    """Write a file below `out`. Raises UserError if it cannot be written, or a link leads out of `out`."""
    path = out / name
    check_folder(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.resolve().is_relative_to(out.resolve()):
            raise UserError("a folder of the report leads out of it", str(path.parent), "remove that link")
        atomic.replace(path, data, atomic.nobody(), durable=False)
    except OSError as error:
        raise UserError(f"the report cannot be written: {error.strerror}", str(path),
                        "free space or change permissions, or name another folder with --out") from None
