"""Where the suite keeps data on this machine: the folder of prepared data, and in it what it has downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from suite.errors import UserError


def cache() -> Path:
    """Where prepared data are kept: the environment variable SUITE_CACHE, or `~/.cache/s4d-suite`.

    Raises UserError where neither SUITE_CACHE nor a home folder is known.
    """
    if given := os.environ.get("SUITE_CACHE"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "s4d-suite"
    except RuntimeError:
        raise UserError("there is no home folder to keep data in", "HOME",
                        "set SUITE_CACHE to a folder that you can write") from None


def downloads() -> Path:
    """Where downloaded files go, with the layout of SUITE_DATA, which is looked at first."""
    return cache() / "downloads"
