"""Makes a report: the documents of all grids, the files of the grids that have changed, and the page."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.files.output import write_file
from suite.report import document, places
from suite.report.claims.on_the_paper import PrintedVerdict, by_id, published_verdicts
from suite.report.places import PAGE
from suite.report.published.papers import Published, load_published
from suite.report.records import IndexRecord, ReportRecord, to_bytes
from suite.report.render import collection, drawing, html
from suite.report.render.extras import Extras
from suite.report.render.files import record_of, tables
from suite.report.render.latex_number import NumberStyle
from suite.report.saved import Part

if TYPE_CHECKING:
    from suite.store.state import RunState
    from suite.store.store import Store


def make(parts: Sequence[Part], digest: str, store: Store, states: Mapping[str, RunState], out: Path, sources: Path,
         figures: bool, style: NumberStyle) -> list[ReportRecord]:
    """Write the files that do not exist yet. Returns the record of each part. Raises UserError."""
    found = places.folders(sources, [part.grid for part in parts])
    claims, published = sources / "claims.yaml", load_published(*(folder / "published" for folder in found))
    documents = [document.make_document(part.grid, part.stem, store, states, part.layouts,
                                        document.claims_of(places.folders(sources, [part.grid])), published)
                 for part in parts]
    printed = _printed(claims, published, documents)
    records: list[ReportRecord] = []
    drawn: list[dict[str, bytes]] = []
    for place, part in enumerate(parts):
        record = part.saved
        if record is None:
            wanted = drawing.drawings(documents[place]) if figures else []
            files, faults = _write_grid(documents[place], Extras(wanted, printed, style), out)
            documents[place] = made = _warned(documents[place], faults)
            # If a figure could not be drawn, another fingerprint makes the next report try again.
            fingerprint = f"{part.digest}, without figures" if faults else part.digest
            record = record_of(made, fingerprint, {name: _sha256(data) for name, data in files.items()})
            write_file(out, f"{part.stem}.cells.json", to_bytes(record))
        else:
            files = {name: (out / name).read_bytes() for name in record.files if name.endswith(".svg")}
        records.append(record)
        drawn.append({name: data for name, data in files.items() if name.endswith(".svg")})
    common = {PAGE: html.render(documents, drawn, printed, sources / "templates").encode(),
              **collection.files(documents, printed, style)}
    _write(common, out)
    digests = {name: _sha256(data) for name, data in common.items()}
    write_file(out, "index.json", to_bytes(IndexRecord(fingerprint=digest, files=digests)))
    return records


def _write_grid(made: document.Document, extras: Extras, out: Path) -> tuple[dict[str, bytes], list[str]]:
    """Write the tables of a grid, then its figures. Returns all files, and a warning for each figure that failed.

    The tables are written even if a figure fails.
    """
    files = tables(made, extras)
    _write(files, out)
    drawn, faults = drawing.drawn(extras.figures)
    _write(drawn, out)
    if faults:  # tables must not refer to missing figures
        kept = [one for one in extras.figures if one.path not in faults]
        files = tables(_warned(made, faults.values()), replace(extras, figures=kept))
        _write(files, out)
    return files | drawn, list(faults.values())


def _warned(made: document.Document, faults: Iterable[str]) -> document.Document:
    return replace(made, warnings=(*made.warnings, *faults))


def _write(files: Mapping[str, bytes], out: Path) -> None:
    for name, data in files.items():
        write_file(out, name, data)


def _printed(claims: Path, published: Published,
             documents: Sequence[document.Document]) -> Mapping[str, PrintedVerdict]:
    """The verdicts on the published numbers by the ids of the claims, if the report shows any of these."""
    shown = len(documents) > 1 or any(verdict.claim.table in published.file.tables
                                      for one in documents for verdict in one.verdicts)
    return by_id(published_verdicts(claims, published)) if shown and claims.is_file() else {}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
