"""The folders of the suite's data on this machine: prepared data, and downloads in them."""

from __future__ import annotations

from pathlib import Path

from suite.files.variables import cache_folder


def cache() -> Path:
    """The folder of prepared data: the environment variable SUITE_CACHE, or `~/.cache/s4d-suite`.

    Raises UserError if neither SUITE_CACHE nor a home folder is known.
    """
    return cache_folder("SUITE_CACHE")


def downloads() -> Path:
    """The folder of downloaded files, with the layout of SUITE_DATA, which is searched first."""
    return cache() / "downloads"
