"""The figures of a report: which there are, what they are called, and the files that they are drawn into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from suite.report.figures import curves, means, scatter
from suite.report.figures.plot import saved
from suite.report.places import file_stem

if TYPE_CHECKING:
    from suite.report.document import Document


@dataclass(frozen=True)
class Drawing:
    """A figure: the path of its files below the report's folder, less their ending, its title, and what it shows."""

    path: str
    title: str
    words: str
    make: Callable[[], Any]

    def files(self) -> dict[str, bytes]:
        """The figure as PNG and SVG."""
        figure = self.make()
        return {f"{self.path}.{kind}": saved(figure, kind, self.title) for kind in ("png", "svg")}


def drawn(wanted: Iterable[Drawing]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of the figures, and of each figure that could not be drawn its path and a warning."""
    files: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    for one in wanted:
        try:
            files |= one.files()
        except Exception as error:  # noqa: BLE001 - a library's fault of any kind, which must cost no table
            why = " ".join(f"{type(error).__name__}: {error}".split())
            faults[one.path] = f"the figure {one.path} could not be drawn: {why:.300}"
    return files, faults


def drawings(document: Document) -> list[Drawing]:
    """The learning curves of the grid, and the means and published numbers of each table, of those that there are."""
    found = []
    stem = f"figures/{document.stem}"
    if document.panels:
        title, words = curves.curve_words(document.panels)
        found.append(Drawing(f"{stem}-curves", title, words, partial(curves.figure, document.panels)))
    several = len(document.tables) > 1
    for table in document.tables:
        base = f"{stem}-{file_stem(table.name)}" if several else stem
        of = f" of table {table.name}" if several else ""
        if means.columns(table):
            found.append(Drawing(f"{base}-means", f"Means{of}", means.words(table), partial(means.figure, table)))
        if scatter.points(table):
            found.append(Drawing(f"{base}-published", f"Published against ours{of}", PUBLISHED,
                                 partial(scatter.figure, table)))
    return found


PUBLISHED = ("Each mark is a cell: its published number across, ours with its 95 % interval up, equal on the line. "
             "Open marks may not be compared, and the cells say why.")
