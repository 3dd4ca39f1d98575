"""Folders that environment variables name."""

from __future__ import annotations

import os
from pathlib import Path

from suite.errors import UserError


def folder_in(name: str) -> str | None:
    """The folder that the environment variable `name` names, or None if it is unset or empty.

    `~` and `$OTHER` are expanded here: a shell does not expand `~` in quotes, and a job file or a container's settings
    expand nothing. Raises UserError if that is not possible.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    path = os.path.expandvars(os.path.expanduser(value))  # noqa: PTH111 - pathlib raises without a home
    if "$" in path or path.startswith("~"):
        what = "a variable that is not set" if "$" in path else "a home folder that is not known"
        raise UserError(f"{value} names {what}", name, f"write the whole path: export {name}=/…")
    return path


def cache_folder(name: str) -> Path:
    """The folder for files that can be made again: what the variable `name` names, or `~/.cache/s4d-suite`.

    Raises UserError if the variable is not set and the user has no home folder, as in some containers.
    """
    if folder := folder_in(name):
        return Path(folder)
    try:
        return Path.home() / ".cache" / "s4d-suite"
    except RuntimeError:
        raise UserError("you have no home folder, which would hold the prepared data", name,
                        f"name a folder: export {name}=/…") from None
