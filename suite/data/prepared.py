"""Prepared data and their batches: `load(config.data, config.task)` is all that training has to know of a data set."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from suite.data import cache, cards, checks, stamps
from suite.data.families import Family, family
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.errors import UserError, nearest
from suite.files import atomic

if TYPE_CHECKING:
    from torch import Tensor


class Choice(Protocol):
    """The form of a data set that a run chooses, as its `data` fields do."""

    @property
    def name(self) -> str:
        """The data set."""

    @property
    def variant(self) -> str:
        """Which form of it."""

    @property
    def preparation(self) -> int:
        """The version of the code that prepares it."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The values of the options that its card names."""

    @property
    def name_source(self) -> str:
        """The digest of a card and functions of a user's own; '' for the suite's."""


@dataclass(frozen=True)
class Batch:
    """Tensors on the CPU. B examples, L steps.

    x: values (B, L, channels) float32, tokens (B, L) int64, pairs (B, 2, L) int64 with 0 after the end of a text;
       L of tokens is that of the batch's longest text.
    y: classes (B,) int64, or targets (B,) float32 in raw units.
    lengths: valid steps of tokens (B,) and pairs (B, 2) int64; None where all steps are valid.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TaskData:
    """The data of one task, all splits, mapped from disk."""

    task: str
    length: int  # of the longest sequence, at rate 1
    channels: int | None  # of values; None for tokens
    vocabulary: int | None  # number of tokens; None for values
    classes: int | None  # None: a regression in raw units
    rate_hz: float | None  # samples a second at rate 1, where that means anything
    fingerprint: str  # sha256 of the arrays
    variant: str
    arrays: Mapping[str, np.ndarray] = field(repr=False)  # as in suite.data.prepared_types.Prepared

    def count(self, split: str) -> int:
        """The number of examples in train, val or test. Raises UserError for another split."""
        if f"{split}/y" not in self.arrays:
            splits = [name.removesuffix("/y") for name in self.arrays if name.endswith("/y")]
            raise UserError(f"the data of {self.task} have no split {split!r}", fix=nearest(split, splits))
        return len(self.arrays[f"{split}/y"])

    def lengths(self, split: str) -> np.ndarray:
        """Tokens of each example (n,) int64; of a pair those of its longer text. Only for tokens."""
        documents = np.asarray(self.arrays[f"{split}/documents"])
        lengths = np.asarray(self.arrays["starts"][documents + 1]) - self.arrays["starts"][documents]
        return lengths.reshape(len(lengths), -1).max(axis=1).astype(np.int64)

    def batch(self, split: str, indices: np.ndarray, rate: int = 1) -> Batch:
        """The examples at `indices`; of values every `rate`-th sample, from the first on.

        Raises UserError where tokens are asked for at another rate.
        """
        import torch

        y = torch.from_numpy(np.asarray(self.arrays[f"{split}/y"][indices]))
        if "tokens" not in self.arrays:
            return Batch(torch.from_numpy(values(self.arrays, split, indices, rate)), y)
        if rate != 1:
            raise UserError(f"the tokens of {self.task} have no sampling rate to change", "train.evaluate")
        x, lengths = tokens(self.arrays, split, indices)
        return Batch(torch.from_numpy(x), y, torch.from_numpy(lengths))


def bucketed(order: np.ndarray, lengths: np.ndarray, size: int, batches: int, rng: np.random.Generator) -> np.ndarray:
    """The examples of an epoch in `order` (n,), put together by length; whole batches only, (n // size * size,).

    Each run of `batches` batches of `size` examples is sorted by `lengths` (of all examples), then all batches of the
    epoch are shuffled. So every example has the same chance as without, but the lengths of a batch are alike.
    """
    whole = order[:len(order) // size * size]
    runs = [whole[start:start + size * batches] for start in range(0, len(whole), size * batches)]
    ordered = np.concatenate([run[np.argsort(lengths[run], kind="stable")] for run in runs])
    return ordered.reshape(-1, size)[rng.permutation(len(whole) // size)].ravel()


def values(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray, rate: int) -> np.ndarray:
    """Normalised values (B, L/rate, channels) float32. Statistics are those of rate 1."""
    x = np.ascontiguousarray(np.asarray(arrays[f"{split}/x"])[indices][:, ::rate], np.float32)
    if "offset" in arrays:
        flat = x.reshape(len(x), -1)  # a view; NumPy is ten times as slow where the last axis is as short as channels
        for name, change in (("offset", np.subtract), ("scale", np.multiply)):
            change(flat, np.broadcast_to(arrays[name][::rate], x.shape[1:]).reshape(-1), out=flat)
    return x


def tokens(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts (B, L) or pairs (B, 2, L) int64, padded with 0 to the longest of them, and their lengths."""
    documents = np.asarray(arrays[f"{split}/documents"][indices])
    begins, ends = (np.asarray(arrays["starts"][documents + k]) for k in (0, 1))
    lengths = ends - begins
    x = np.zeros((documents.size, lengths.max(initial=0)), np.int64)
    for row, begin, end in zip(x, begins.ravel(), ends.ravel(), strict=True):
        row[:end - begin] = arrays["tokens"][begin:end]
    return x.reshape(*documents.shape, -1), lengths.astype(np.int64)


@dataclass(frozen=True)
class Wanted:
    """What is to be prepared: the name and key of its entry in the cache, and how to make it."""

    source: Source
    module: Family
    view: str
    own: str = ""  # the digest of a user's card and function

    @property
    def label(self) -> str:
        """The readable part of the entry's name."""
        return f"{self.source.name}-{self.source.variant}-{self.view}"

    @cached_property
    def key(self) -> Mapping[str, Any]:
        """All that decides what the arrays are. Raises UserError where a user's own file is missing."""
        card = self.source.card
        key = {"name": self.source.name, "variant": self.source.variant, "preparation": card.preparation,
               **self.source.options, "view": self.view, "files": stamps.contents(self.source)}
        return key | ({"hub": card.hub.model_dump()} if card.hub else {}) | ({"own": self.own} if self.own else {})

    def make(self) -> Prepared:
        """Prepare the arrays. Raises UserError, also for what the family raises and for arrays that nothing can use."""
        try:
            made = self.module.prepare(self.source, self.view)
        except (UserError, MemoryError):  # a run ends for another reason where memory is short
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in atomic.FULL:
                raise
            raise UserError(f"its family fails: {type(error).__name__}: {error} ({self.line(error)})",
                            self.source.place, "mend the file that it reads, or `prepare` there") from error
        checks.check(made, self.source.place)
        checks.fits(made.facts, cards.task(self.source.task), self.source.place)
        return made

    def line(self, error: Exception) -> str:
        """Where in the family's module it was raised: a UserError is shown without its traceback."""
        path = getattr(self.module, "__file__", None)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return f"{path}, line {lines[-1]}" if lines else str(getattr(self.module, "__name__", ""))


def wanted(config: Choice, task: str) -> Wanted:
    """What `config` chooses for `task`. Raises UserError where the data set does not serve the task."""
    options = cards.resolve({"name": config.name, "variant": config.variant, "preparation": config.preparation,
                             **config.options})
    chosen = {k: v for k, v in options.items() if k not in ("name", "variant", "preparation")}
    module = family(config.name)
    if task not in module.VIEWS:
        raise UserError(f"the data set {config.name!r} does not serve the task {task!r}", "data.name",
                        nearest(task, module.VIEWS))
    return Wanted(Source(config.name, config.variant, chosen, task), module, module.VIEWS[task], config.name_source)


def check(config: Choice, task: str) -> None:
    """Raises UserError where the data of `task` are neither prepared nor can be: a file or the network is missing.

    So it does where a file is damaged.
    """
    want = wanted(config, task)
    if cache.find(want.label, want.key) is None:
        want.source.check()


def load(config: Choice, task: str) -> TaskData:
    """The data of `task` as `config` chooses them, prepared and kept under SUITE_CACHE when first asked for.

    Raises UserError where the data set does not serve the task, and where its files are missing or damaged.
    """
    want = wanted(config, task)
    entry = cache.obtain(want.label, want.key, want.make)
    return TaskData(task=task, **asdict(entry.facts), fingerprint=entry.fingerprint, variant=config.variant,
                    arrays=entry.arrays)
