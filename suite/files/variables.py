"""Folders named by environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from suite.errors import UserError


def folder_in(name: str) -> str | None:
    """The folder named by the environment variable `name`. None if it is unset or empty.

    `~` and `$OTHER` are expanded: a shell does not expand `~` in quotes, and a job file or a container's settings
    expand nothing. Raises UserError if they cannot be expanded.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    path = os.path.expandvars(os.path.expanduser(value))  # noqa: PTH111 - pathlib raises without a home
    if "$" in path or path.startswith("~"):
        what = "a variable that is not set" if "$" in path else "a home folder that is not known"
        raise UserError(f"{value} refers to {what}", name, f"write the full path: export {name}=/…")
    return path


def cache_folder(name: str) -> Path:
    """The folder for files that can be made again: the one named by the variable `name`, or `~/.cache/s4d-suite`.

    Raises UserError if the variable is not set and the user has no home folder, as in some containers.
    """
    if folder := folder_in(name):
        return Path(folder)
    try:
        return Path.home() / ".cache" / "s4d-suite"
    except RuntimeError:
        raise UserError("there is no home folder for the prepared data", name,
                        f"name a folder: export {name}=/…") from None
