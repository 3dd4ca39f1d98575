"""The size of a form of a data set, in examples and steps, from its card and options alone, before data are read."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.data import cards, places
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.data.cache import Meta
    from suite.data.wanted import Choice

# Steps of a sequence with the default options. For texts, steps of the longest in a batch, to which others are padded:
# a tenth of the reviews have 2,600 characters or more.
LENGTHS = {"cifar10": 1024, "speech_commands": 16000, "bidmc": 4000, "listops": 2000, "imdb": 4096, "aan": 4000,
           "delay": 4000, "mqar1": 512, "selcopy": 4096}
SHORTER = {("speech_commands", "sc17-2khz"): 2000, ("bidmc", "sample"): 1000}
PIXELS = {"pathfinder": 32, "pathx": 128}  # per side
REVIEWS = 3500  # characters of the longest in a batch
NOISE = {"none": 0, "rows": 968, "pixels": 1024}  # steps behind a padded image, in the original tasks
HEADER = 128  # bytes of a .npy file before its values
GUESS = {"train": 10_000, "val": 1000, "test": 1000}  # for a user's data set that is not prepared yet


@dataclass(frozen=True)
class Extent:
    """Approximate numbers of examples of each split and of steps per sequence. `sure` is False if they are guessed."""

    counts: Mapping[str, int]
    length: int
    rate_hz: float | None = None
    sure: bool = True

    @property
    def steps(self) -> int:
        """Total steps of all sequences of all splits."""
        return sum(self.counts.values()) * self.length


def extent(data: Choice, task: str) -> Extent:
    """The approximate size of the data of a task. Raises UserError for an unknown data set or variant."""
    if data.name not in LENGTHS and data.name != "pathfinder":
        return _of_arrays(data, task)
    options = cards.resolve({"name": data.name, "variant": data.variant, **data.options})
    counts = dict(cards.load(data.name).variant(data.variant).counts) or dict(GUESS)
    length = _length(data.name, data.variant, task, options)
    second = length if data.name == "speech_commands" else None  # a clip lasts a second
    return Extent(_counts(counts, options), length, second)


def _counts(counts: dict[str, int], options: Mapping[str, Any]) -> dict[str, int]:
    if options.get("count"):  # the examples of all splits together
        total = sum(counts.values())
        counts = {split: round(number * options["count"] / total) for split, number in counts.items()}
    if options.get("train_count"):
        counts["train"] = min(options["train_count"], counts["train"])
    if options.get("test_count"):
        counts |= {"val": options["test_count"], "test": options["test_count"]}
    return counts


def _length(name: str, variant: str, task: str, options: Mapping[str, Any]) -> int:
    if name == "pathfinder":
        return int(options.get("size") or PIXELS.get(task, 32)) ** 2
    length = SHORTER.get((name, variant), LENGTHS[name])
    length = min(length, options.get("max_length", length))
    if name in ("imdb", "aan") and (name, variant) != ("aan", "original"):
        length = min(length, REVIEWS)
    length = options.get("length", length)  # of generated sequences
    length = -(-length // (options.get("decimate", 1) * options.get("pool", 1) ** 2))
    rows = options.get("pad_form") == "rows"
    return (round(length**0.5) if rows else length) + noise_steps(options)


def noise_steps(options: Mapping[str, Any]) -> int:
    """Steps of noise after each example (`suite.data.padding`), by the options of the card."""
    return int(options.get("pad_steps") or NOISE[options.get("pad_form", "none")])


def _of_arrays(data: Choice, task: str) -> Extent:
    """The extent of a user's data: that of an earlier preparation in any form, else a guess."""
    counts = GUESS | dict(cards.load(data.name).variant(data.variant).counts)
    found = sorted(prepared(data.name, data.variant), key=lambda meta: meta["key"].get("view") != task)
    if not found:
        return Extent(counts, LENGTHS["cifar10"], sure=False)
    facts, files = found[0]["facts"], found[0]["files"]
    width = 4 if facts.get("classes") is None else 8  # bytes of a target
    made = {name.removesuffix("/y"): max(1, (file["size"] - HEADER) // width)
            for name, file in files.items() if name.endswith("/y")}
    return Extent(counts | made, int(facts["length"] or 1), facts.get("rate_hz"))


def prepared(name: str, variant: str) -> Iterator[Meta]:
    """The metadata of the prepared entries of a variant, as `suite.data.cache.entries`, but with fewer imports."""
    try:
        folders = sorted(places.cache().glob(f"{glob.escape(f'{name}-{variant}-')}*"))
    except UserError:  # there is no folder for prepared data
        return
    for folder in folders:
        try:
            meta: Meta = json.loads((folder / "meta.json").read_text())["meta"]
            if meta["key"]["variant"] == variant:
                yield meta
        except (OSError, ValueError, KeyError, TypeError):
            continue
