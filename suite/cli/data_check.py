"""Verification of every byte of available sources and prepared data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from suite.cli.data_list import options_text, whereabouts
from suite.cli.other_requests import DataRequest
from suite.data import cache, checks, download, lacking, progress_bar, stamps
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.errors import UserError
from suite.files import atomic

REMOVE = "remove the folder; it will be prepared again"


def check(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Verify every byte of available sources and prepared data. Returns 1 if something is damaged."""
    damaged = 0
    for name, variant in chosen:
        source = Source(name, variant, {})
        text = whereabouts(source)
        try:
            with progress_bar.shown():
                for file in available(source):
                    source.path(file)
                    text += f"\n    {file}: {checked(source, file)}"
        except UserError as error:
            damaged += 1
            text = f"DAMAGED: {error}"
        print(f"{name} {variant}: {text}")
        for path, meta in cache.entries(name, variant):
            bad = [f["file"] for f in meta["files"].values() if atomic.sha256_of(path / f["file"]) != f["sha256"]]
            state = f"DAMAGED: {', '.join(bad)}; {REMOVE}" if bad else unusable(path, source)
            damaged += bool(state)
            print(f"    prepared {options_text(meta['key'])}, {path.name}: {state or 'good'}")
    print(f"{damaged} damaged" if damaged else "no damage found")
    return 1 if damaged else 0


def available(source: Source) -> Iterator[str]:
    """The names of the card's files that are available."""
    for file, entry in source.card.files.items():
        with suppress(UserError):
            entry.find()
            yield file


def checked(source: Source, file: str) -> str:
    """The sha256 of a card's file and the record of its download, as text. Raises UserError if they differ."""
    path = source.find(file)
    card, record = source.card.files[file], download.record_of(path)
    text = f"sha256 {card.sha256 or stamps.content(source, file)}"
    if card.rows_sha256:
        text = f"matches the card by its sha256 or the digest of its rows, {card.rows_sha256}"
    if record is None:
        return text
    address = source.card.address(file)
    if path.is_file() and address and not address.member and not source.card.archive \
            and atomic.sha256_of(path) != record["digest"]:
        raise UserError(f"{path} has changed since its download: its sha256 was {record['digest']}", source.place,
                        f"remove it, then {lacking.command(source.name, source.variant)}")
    return f"{text}; downloaded {record['time']} from {record['url']}, sha256 of the download {record['digest']}"


def unusable(path: Path, source: Source) -> str:
    """What is wrong with the values of a cache entry, or "". Entries of old versions were not checked when made."""
    entry = cache.read_entry(path)
    if entry is None:
        return f"DAMAGED: {cache.META}; {REMOVE}"
    try:
        checks.check(Prepared(entry.facts, entry.arrays), source.place)
    except UserError as error:
        return f"DAMAGED: {error}; then remove the folder"
    return ""
