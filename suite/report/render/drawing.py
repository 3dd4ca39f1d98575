"""The figures of a report: their names, their captions and their files."""

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
    """A figure: the path of its files in the report's folder, without ending; its title; its caption, `words`."""

    path: str
    title: str
    words: str
    make: Callable[[], Any]

    def files(self) -> dict[str, bytes]:
        """The figure as PNG and SVG."""
        figure = self.make()
        return {f"{self.path}.{kind}": saved(figure, kind, self.title) for kind in ("png", "svg")}


def drawn(wanted: Iterable[Drawing]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files of the figures, and a warning by path for each figure that could not be drawn."""
    files: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    for one in wanted:
        try:
            files |= one.files()
        except Exception as error:  # noqa: BLE001 - no error of a library may prevent the tables
            why = " ".join(f"{type(error).__name__}: {error}".split())
            faults[one.path] = f"the figure {one.path} could not be drawn: {why:.300}"
    return files, faults


def drawings(document: Document) -> list[Drawing]:
    """The figures of a grid: learning curves, and the means and published numbers of each table, if it has any."""
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


PUBLISHED = ("Published value (x) against our mean with its 95 % interval (y); on the diagonal they are equal. Open "
             "marks are not comparable, for the reason given in the cell.")
