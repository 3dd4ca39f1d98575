"""Where the suite keeps data on this machine: the folder of prepared data, and in it what it has downloaded."""

from __future__ import annotations

from pathlib import Path

from suite.files.variables import cache_folder


def cache() -> Path:
    """Where prepared data are kept: the environment variable SUITE_CACHE, or `~/.cache/s4d-suite`.

    Raises UserError if neither SUITE_CACHE nor a home folder is known.
    """
    return cache_folder("SUITE_CACHE")


def downloads() -> Path:
    """Where downloaded files go, with the layout of SUITE_DATA, which is looked at first."""
    return cache() / "downloads"
