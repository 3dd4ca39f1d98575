"""A report that has to be made: the documents of all grids, the files of those that have changed, and the page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.files.output import write_file
from suite.report import document
from suite.report.claims.on_the_paper import PrintedVerdict, by_id, published_verdicts
from suite.report.places import PAGE
from suite.report.published import Published, load_published
from suite.report.render import collection, html
from suite.report.render.files import content, render
from suite.report.saved import Part

if TYPE_CHECKING:
    from suite.store.state import RunState
    from suite.store.store import Store


def make(parts: Sequence[Part], digest: str, store: Store, states: Mapping[str, RunState], out: Path, sources: Path,
         figures: bool) -> list[Mapping[str, Any] | None]:
    """Write what is not there yet; the content of each part's `*.cells.json`. Raises UserError."""
    claims, published = sources / "claims.yaml", load_published(sources / "published.yaml")
    documents = [document.make_document(part.grid, part.stem, store, states, part.layouts,
                                        claims if claims.is_file() else None, published) for part in parts]
    printed = _printed(claims, published, documents)
    contents: list[Mapping[str, Any] | None] = []
    drawn: list[dict[str, bytes]] = []
    for part, made in zip(parts, documents, strict=True):
        if part.saved is None:
            files = render(made, figures, printed)
            told = content(made, part.digest, {name: _sha256(data) for name, data in files.items()})
            for name, data in {**files, f"{part.stem}.cells.json": _json(told)}.items():
                write_file(out, name, data)
        else:
            told = dict(part.saved)
            files = {name: (out / name).read_bytes() for name in told["files"] if name.endswith(".svg")}
        contents.append(told)
        drawn.append({name: data for name, data in files.items() if name.endswith(".svg")})
    whole = {PAGE: html.render(documents, drawn, printed, sources / "templates").encode(),
             **collection.files(documents, printed)}
    for name, data in whole.items():
        write_file(out, name, data)
    digests = {name: _sha256(data) for name, data in whole.items()}
    write_file(out, "index.json", _json({"fingerprint": digest, "files": digests, "text": ""}))
    return contents


def _printed(claims: Path, published: Published,
             documents: Sequence[document.Document]) -> Mapping[str, PrintedVerdict]:
    """The verdicts on the published numbers by the ids of the claims, where the report tells any of these."""
    told = len(documents) > 1 or any(verdict.claim.table in published.file.tables
                                     for one in documents for verdict in one.verdicts)
    return by_id(published_verdicts(claims, published)) if told and claims.is_file() else {}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
