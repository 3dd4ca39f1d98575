"""Parquet files built from an archive of single files, and samples drawn from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from suite.data import cifar_jpeg, imdb_files
from suite.data.card import Variant
from suite.data.source import Source

BUILDERS: dict[str, Callable[[Path, Variant], dict[str, Path]]] = {
    "cifar10": cifar_jpeg.build, "imdb": imdb_files.build, "aan": imdb_files.build}


def build(archive: Path, sources: Iterable[Source]) -> list[Path]:
    """Build the files of these sources from an archive, or a folder with the same files, then draw samples from them.

    Returns the paths of all files. Raises UserError if the archive is not the right one, or is incomplete.
    """
    sources = list(sources)
    origins = {(one.name, one.variant): one for one in (source.origin or source for source in sources)}
    made = [path for one in origins.values() for path in BUILDERS[one.name](archive, one.card).values()]
    return made + [path for source in sources for path in draw(source)]


def draw(source: Source) -> list[Path]:
    """Draw a missing sample from the files of its origin. Returns the paths of its files.

    Raises UserError if the files are not those of the cards.
    """
    if source.origin is None or source.is_here() or not source.origin.is_here():
        return []
    from suite.data import samples

    return samples.draw(source, source.origin)
