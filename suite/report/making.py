"""A report that has to be made: the documents of all grids, the files of those that have changed, and the page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.files.output import write_file
from suite.report import document, places
from suite.report.claims.on_the_paper import PrintedVerdict, by_id, published_verdicts
from suite.report.places import PAGE
from suite.report.published import Published, load_published
from suite.report.records import IndexRecord, ReportRecord, to_bytes
from suite.report.render import collection, html
from suite.report.render.files import record_of, render
from suite.report.saved import Part

if TYPE_CHECKING:
    from suite.store.state import RunState
    from suite.store.store import Store


def make(parts: Sequence[Part], digest: str, store: Store, states: Mapping[str, RunState], out: Path, sources: Path,
         figures: bool) -> list[ReportRecord]:
    """Write what is not there yet. Returns the record of each part. Raises UserError."""
    found = places.folders(sources, [part.grid for part in parts])
    claims, published = sources / "claims.yaml", load_published(*(folder / "published" for folder in found))
    documents = [document.make_document(part.grid, part.stem, store, states, part.layouts,
                                        document.claims_of(places.folders(sources, [part.grid])), published)
                 for part in parts]
    printed = _printed(claims, published, documents)
    records: list[ReportRecord] = []
    drawn: list[dict[str, bytes]] = []
    for part, made in zip(parts, documents, strict=True):
        record = part.saved
        if record is None:
            files = render(made, figures, printed)
            record = record_of(made, part.digest, {name: _sha256(data) for name, data in files.items()})
            for name, data in {**files, f"{part.stem}.cells.json": to_bytes(record)}.items():
                write_file(out, name, data)
        else:
            files = {name: (out / name).read_bytes() for name in record.files if name.endswith(".svg")}
        records.append(record)
        drawn.append({name: data for name, data in files.items() if name.endswith(".svg")})
    whole = {PAGE: html.render(documents, drawn, printed, sources / "templates").encode(),
             **collection.files(documents, printed)}
    for name, data in whole.items():
        write_file(out, name, data)
    digests = {name: _sha256(data) for name, data in whole.items()}
    write_file(out, "index.json", to_bytes(IndexRecord(fingerprint=digest, files=digests)))
    return records


def _printed(claims: Path, published: Published,
             documents: Sequence[document.Document]) -> Mapping[str, PrintedVerdict]:
    """The verdicts on the published numbers by the ids of the claims, if the report tells any of these."""
    told = len(documents) > 1 or any(verdict.claim.table in published.file.tables
                                     for one in documents for verdict in one.verdicts)
    return by_id(published_verdicts(claims, published)) if told and claims.is_file() else {}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
