"""The list of data sets: which are available, can be downloaded or must be obtained by the user; and their details."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from suite.cli.other_requests import DataRequest
from suite.data import cache, cards, hub, lacking, places
from suite.data.source import Source
from suite.errors import UserError
from suite.files import program

WIDTH = 120  # of a line of the list


class Group(Enum):
    """How a variant, or something else that a run needs, can be obtained. The value is the heading in a list."""

    HERE = "available"
    REMOTE = "can be downloaded: {program} data prepare NAME --variant VARIANT"
    BY_HAND = "manual steps needed{how}"

    def heading(self, how: str = "") -> str:
        """The first line of the group."""
        return self.value.format(program=program.typed(), how=how)


@dataclass(frozen=True)
class Availability:
    """How a variant can be obtained, and the size of its prepared data or its download in MB, 0 if unknown."""

    name: str
    variant: str
    group: Group
    mb: float

    @property
    def line(self) -> str:
        """Name, size and description, in a line."""
        size = f"{self.mb:,.0f} MB" if self.mb else ""
        what = cards.load(self.name).variants[self.variant].first_line
        text = f"{f'{self.name} {self.variant}':<25} {size:>8}  {what}"
        return text if len(text) <= WIDTH - 2 else f"{text[:WIDTH - 3]}…"


def list_(chosen: list[tuple[str, str]], request: DataRequest) -> int:
    """Print a line for each variant, grouped by availability. With `verbose`, print all details."""
    if request.verbose:
        return list_all(chosen)
    found = [availability(name, variant) for name, variant in chosen]
    for group in Group:
        lines = [f"  {one.line}" for one in found if one.group is group]
        if lines:
            print(group.heading(" (`data list NAME --verbose` shows the source)"), *lines, sep="\n")
    print("`data list --verbose` shows sources, licences, places and prepared data")
    return 0


def availability(name: str, variant: str) -> Availability:
    """How a variant can be obtained. Uses no network."""
    card = cards.load(name).variants[variant]
    mb = sum(file["size"] for _, meta in cache.entries(name, variant) for file in meta["files"].values()) / 1e6
    here = Availability(name, variant, Group.HERE, mb)
    if card.hub:
        return here if mb or hub.is_here(card.hub) else Availability(name, variant, Group.REMOTE, card.download_mb)
    origin = Source(name, variant, {}).origin
    absent = lacking.absent(card, card.files)
    if not absent or (origin is not None and origin.is_here()):
        return here
    addresses = {file: address for file, address in absent.items() if address}
    if len(addresses) == len(absent):
        return Availability(name, variant, Group.REMOTE, lacking.size_of(addresses) / 1e6)
    return here if mb else Availability(name, variant, Group.BY_HAND, card.download_mb)


def list_all(chosen: list[tuple[str, str]]) -> int:
    """Print the source of each data set, and the size, place and prepared data of each variant."""
    last = ""
    for name, variant in chosen:
        card = cards.load(name)
        if name != last:
            print(f"{name}: {card.title}\n  licence: {card.licence}. Tasks: {', '.join(card.tasks)}\n"
                  f"  source: {' '.join(card.source.split())}")
        last = name
        facts = card.variants[variant]
        counts = ", ".join(f"{split} {count:,}" for split, count in facts.counts.items())
        size = f"{facts.download_mb:,.0f} MB to download, " if facts.download_mb else ""
        print(f"  {variant}: {facts.first_line}\n    {counts or 'no fixed counts'}; {size}"
              f"about {facts.prepared_mb:,.0f} MB prepared")
        print(f"    {whereabouts(Source(name, variant, {}))}")
        for line in prepared_here(name, variant):
            print(f"    prepared: {line}")
    print(f"data are searched in {os.environ.get('SUITE_DATA') or 'SUITE_DATA (not set)'}, then in "
          f"{places.downloads()} (downloads)")
    print(f"prepared data are kept in {cache.folder()} (SUITE_CACHE)")
    return 0


def whereabouts(source: Source) -> str:
    """Where the source of a variant was found, or what is missing. Uses no network."""
    if source.card.hub:
        return f"Hugging Face hub: {source.card.hub.repo} at revision {source.card.hub.revision[:12]}"
    if not source.card.files:
        return "generated when a run needs it"
    paths, missing = set(), []
    for file in source.card.files:
        try:
            paths.add(str(source.find(file)))
        except UserError as error:
            missing.append(error.problems[0].what)
    texts = []
    if paths:
        texts.append(f"found: {os.path.commonpath(paths)}" + (f", {len(paths)} files" if len(paths) > 1 else ""))
    if missing:
        texts.append(f"missing: {missing[0]}" + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""))
    return "; ".join(texts)


def prepared_here(name: str, variant: str) -> Iterator[str]:
    """A line for each cache entry: view, options that are not the default, size, fingerprint."""
    for path, meta in cache.entries(name, variant):
        mb = sum(file["size"] for file in meta["files"].values()) / 1e6
        yield (f"{options_text(meta['key'])}: {mb:,.1f} MB in {meta['seconds']:.1f} s, fingerprint "
               f"{meta['fingerprint'][:16]}, {path.name}")


def options_text(key: Mapping[str, Any]) -> str:
    """The view, and options that differ from the card's defaults."""
    options = cards.load(key["name"]).variants[key["variant"]].options
    changed = [f"{name}={key[name]}" for name, option in options.items()
               if name in key and key[name] != option.default]
    return ", ".join([key["view"], *changed])
