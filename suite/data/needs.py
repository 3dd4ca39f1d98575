"""The data that a set of runs needs: what exists, what can be downloaded, what the user must get, and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from suite.data import cards, lacking
from suite.data.card import Variant
from suite.data.extent import extent, prepared

if TYPE_CHECKING:
    from suite.data.wanted import Choice

# The view of each task: tasks with equal views share arrays. Copied from the families, whose import is slow.
VIEWS = {"scifar": "color", "image": "gray", "sc_ar": "waveform", "sc_bi": "waveform", "bidmc_hr": "hr",
         "bidmc_rr": "rr", "bidmc_spo2": "spo2", "listops": "tokens", "text": "characters", "retrieval": "pairs",
         "pathfinder": "32", "pathx": "128"}


class Standing(StrEnum):
    """HERE: nothing is missing. DOWNLOAD: all missing files have a public address. USER: some have none."""

    HERE = "here"
    DOWNLOAD = "can be downloaded"
    USER = "needs you"


@dataclass(frozen=True)
class Need:
    """One variant of a data set that runs need.

    download_bytes: of missing files, about. disk_bytes: further disk space for the unpacked download and the prepared
    arrays, about. to_prepare: whether arrays still have to be made. tasks: the tasks that need the download, if the
    card also has files of other tasks. fix: how to get files without an address.
    """

    name: str
    variant: str
    standing: Standing
    download_bytes: int
    disk_bytes: int
    to_prepare: bool
    tasks: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True)
class _Plain:
    """A variant with the default options."""

    name: str
    variant: str
    preparation: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    name_source: str = ""


def needs(configs: Iterable[lacking.Config]) -> list[Need]:
    """The data that runs with these configurations need, by variant of a data set. Reads no data, uses no network.

    Raises UserError for an unknown data set or option.
    """
    groups: dict[tuple[str, str], dict[str, lacking.Config]] = {}
    for config in configs:
        if config.kind == "train":
            alike = f"{config.task} {sorted(config.data.options.items())}"
            groups.setdefault((config.data.name, config.data.variant), {})[alike] = config
    unpacked: set[str] = set()
    return [_need(one, [*groups[one.name, one.variant].values()], unpacked)
            for one in lacking.needed(config for group in groups.values() for config in group.values())]


def _need(needed: lacking.Needed, configs: Sequence[lacking.Config], unpacked: set[str]) -> Need:
    card = cards.load(needed.name).variant(needed.variant)
    standing = Standing.HERE if needed.here else Standing.USER if needed.by_hand else Standing.DOWNLOAD
    arrays = list(_to_prepare(card, configs))
    tasks = tuple(dict.fromkeys(config.task for config in configs))
    others = any(file.tasks and not set(file.tasks) & set(tasks) for file in card.files.values())
    return Need(needed.name, needed.variant, standing, needed.bytes,
                sum(arrays) + _files(needed, card, unpacked), bool(arrays), tasks if others and not needed.here else (),
                card.way if standing is Standing.USER else "")


def _files(needed: lacking.Needed, card: Variant, unpacked: set[str]) -> int:
    """Bytes of a download on disk; for an archive, including the members that are kept."""
    addresses = [address for name in needed.files if name in card.files and (address := card.address(name))]
    kept = sum(int(one.unpacked_mb * 1e6) for one in addresses if one.member)
    return needed.bytes + kept


def _to_prepare(card: Variant, configs: Iterable[lacking.Config]) -> Iterator[int]:
    """Bytes of each set of arrays that is not in the cache yet. The card states the size for its largest task."""
    seen: set[str] = set()
    for config in configs:
        data, view = config.data, VIEWS.get(config.task, config.task)
        options = {key: value for key, value in
                   cards.resolve({"name": data.name, "variant": data.variant, **data.options}).items()
                   if key not in cards.FIXED}
        alike = f"{view} {sorted(options.items())}"
        if alike in seen or _is_prepared(data, view, options):
            continue
        seen.add(alike)
        largest = max(extent(_Plain(data.name, data.variant), task).steps for task in cards.load(data.name).tasks)
        yield int(card.prepared_mb * 1e6 * min(1.0, extent(data, config.task).steps / largest))


def _is_prepared(data: Choice, view: str, options: Mapping[str, Any]) -> bool:
    """Whether the cache has arrays made with these options, from any source. Reads only metadata."""
    legacy = cards.legacy(data.name, data.variant)  # metadata may lack options that were added later
    return any(meta["key"].get("view") == view
               and all(meta["key"].get(k, legacy.get(k)) == v for k, v in options.items())
               for meta in prepared(data.name, data.variant))
