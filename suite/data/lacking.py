"""The data that runs need, and which of them are missing, with public address and size. Uses no network."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from suite.data import cards, hub, places
from suite.data.card import Variant
from suite.data.card_file import Download
from suite.data.source import Source
from suite.errors import Problem, UserError
from suite.files import program, resources

if TYPE_CHECKING:
    from suite.data.wanted import Choice

SMALL = 200_000_000  # bytes that a run may download without --download


class Config(Protocol):
    """The part of a run's configuration that determines its data."""

    @property
    def kind(self) -> str:
        """`train`, or `bench`, which needs no data."""

    @property
    def task(self) -> str:
        """The task."""

    @property
    def data(self) -> Choice:
        """The form of the data set."""


class GridFile(Protocol):
    """The part of a grid that identifies its file, and the changes by the command line."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def profile(self) -> str:
        """The name of its profile. "" without a profile."""

    @property
    def usual_profile(self) -> str:
        """The profile that applies if the command line names none."""

    @property
    def changes(self) -> tuple[str, ...]:
        """The options `--set`, `--only` and `--seeds`, as `--set FIELD=VALUE`."""


@dataclass(frozen=True)
class Needed:
    """The data of some runs: one variant of a data set.

    files: missing files of its card. bytes: to download, approximate if the card does not state it exactly; an archive
    that several variants need counts for the first of them. here: nothing is missing. by_hand: a missing file has no
    public address.
    """

    name: str
    variant: str
    files: tuple[str, ...]
    bytes: int
    here: bool
    by_hand: bool = False


def needed(configs: Iterable[Config]) -> list[Needed]:
    """The data that runs with these configurations need, by variant of a data set, and what is missing.

    Prepared data need no files. Uses no network. Raises UserError for an unknown data set or option.
    """
    lacking: dict[tuple[str, str], dict[str, Download | None]] = {}
    sources: dict[tuple[str, str], Source] = {}
    seen: set[tuple[str, str, str]] = set()
    for config in configs:
        options = repr(sorted(config.data.options.items()))
        key = (config.data.name, config.data.variant)
        if config.kind != "train" or (*key, config.task + options) in seen:
            continue
        seen.add((*key, config.task + options))
        source = Source(*key, cards.resolve({"name": key[0], "variant": key[1], **config.data.options}), config.task)
        sources.setdefault(key, source)
        files = absent_of(source)  # first, since looking for the entry may read gigabytes of files
        lacking.setdefault(key, {}).update({} if files and _is_prepared(config) else files)
    counted: set[str] = set()
    return [_needed(source, lacking[key], counted) for key, source in sources.items()]


def _is_prepared(config: Config) -> bool:
    """Whether the cache has the data of this run. Checks names of folders first, which needs no import."""
    start = glob.escape(f"{config.data.name}-{config.data.variant}-")
    if not any(places.cache().glob(f"{start}*")):
        return False
    from suite.data.wanted import wanted

    return wanted(config.data, config.task).is_prepared()


def _needed(source: Source, files: Mapping[str, Download | None], counted: set[str]) -> Needed:
    addresses = {address.url: address.size for address in files.values() if address}
    size = sum(size for url, size in addresses.items() if url not in counted)
    counted.update(addresses)
    if source.card.hub and files:
        size = int(source.card.download_mb * 1e6)
    by_hand = not source.card.hub and None in files.values()
    return Needed(source.name, source.variant, tuple(files), size, not files, by_hand)


def absent_of(source: Source) -> dict[str, Download | None]:
    """The missing files, or splits of the hub, each with its public address, or None."""
    if source.card.hub:
        return {} if hub.is_here(source.card.hub) else dict.fromkeys(source.splits)
    if source.origin and source.origin.is_here():
        return {}  # it is drawn from its origin, not downloaded
    return absent(source.card, source.files)


def absent(card: Variant, files: Iterable[str]) -> dict[str, Download | None]:
    """Those of these files of a card that are missing, each with its public address, or None."""
    found: dict[str, Download | None] = {}
    for name in files:
        try:
            card.files[name].find()
        except UserError:
            found[name] = card.address(name)
    return found


def to_download(source: Source) -> int:
    """Approximate bytes to download for a source. 0 if it is complete, or has no public address."""
    if source.card.hub and absent_of(source):
        return int(source.card.download_mb * 1e6)
    return size_of(missing(source))


def missing(source: Source) -> dict[str, Download]:
    """The missing files of a source that have a public address: name -> address."""
    return {name: address for name, address in absent_of(source).items() if address}


def size_of(addresses: Mapping[str, Download]) -> int:
    """Bytes to download. An archive with several of the files counts once."""
    return sum({address.url: address.size for address in addresses.values()}.values())


def command(name: str, variant: str) -> str:
    """The command that downloads and prepares a variant."""
    return f"{program.typed()} data prepare {name} --variant {variant}"


def command_of(grids: Sequence[GridFile], verb: str = "data prepare") -> str:
    """The command that downloads and prepares the data of the grids' runs, with the same selection of runs; or the same
    command with another verb."""
    profiles = {grid.profile for grid in grids if grid.profile != grid.usual_profile}
    changes = dict.fromkeys(change for grid in grids for change in grid.changes)
    options = [*(f"--profile {profile}" for profile in sorted(profiles)), *changes]
    words = [shlex.quote(word) for option in options for word in option.split(" ", 1)]
    paths = [shlex.quote(resources.shown(grid.path)) for grid in grids]
    return " ".join([program.typed(), *([verb] if verb else []), *paths, *words])


def consent(configs: Iterable[Config], grids: Sequence[GridFile]) -> Problem:
    """The problem to report for data that runs download only with --download, with a command that downloads all."""
    lacking = [one for one in needed(configs) if one.bytes or not (one.here or one.by_hand)]
    names = ", ".join(f"{one.name} {one.variant} ({one.bytes / 1e6:,.0f} MB)" if one.bytes
                      else f"{one.name} {one.variant} (in the same archive)" for one in lacking)
    total, paths = sum(one.bytes for one in lacking) / 1e6, [str(grid.path) for grid in grids]
    fix = f"`{command_of(grids)}` downloads and prepares them, or repeat this command with --download"
    return Problem(f"{total:,.0f} MB of data are missing, and a run downloads them only with --download: {names}",
                   ", ".join(paths), fix)
