"""Prepared data and their batches: `load(config.data, config.task)` is all that training needs of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from suite.data import cache, download, lacking
from suite.data.padding import Padding
from suite.data.source import Source
from suite.data.wanted import Choice, wanted
from suite.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors on the CPU. B examples, L steps.

    x: values (B, L, channels) float32, tokens (B, L) int64, pairs (B, 2, L) int64 with 0 after the end of a text;
       for tokens, L is the length of the batch's longest text.
    y: classes (B,) int64, or targets (B,) float32 in raw units.
    lengths: valid steps of tokens (B,) and pairs (B, 2) int64; None if all steps are valid.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TaskData:
    """The data of one task, all splits, mapped from disk."""

    task: str
    length: int  # of the longest sequence, at rate 1
    channels: int | None  # number of values per step; None for tokens
    vocabulary: int | None  # number of tokens; None for values
    classes: int | None  # None: a regression in raw units
    rate_hz: float | None  # samples a second at rate 1; None if it has no meaning
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
        """Tokens of each example (n,) int64; for a pair, those of its longer text. Only for tokens."""
        documents = np.asarray(self.arrays[f"{split}/documents"])
        lengths = np.asarray(self.arrays["starts"][documents + 1]) - self.arrays["starts"][documents]
        return lengths.reshape(len(lengths), -1).max(axis=1).astype(np.int64)

    def batch(self, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0) -> Batch:
        """The examples at `indices`; of values every `rate`-th sample, from the first on.

        `epoch`: of training; padded examples have other noise in each epoch. Raises UserError if tokens are asked for
        at another rate.
        """
        import torch

        y = torch.from_numpy(np.asarray(self.arrays[f"{split}/y"][indices]))
        if "tokens" not in self.arrays:
            return Batch(torch.from_numpy(values(self.arrays, split, indices, rate, epoch)), y)
        if rate != 1:
            raise UserError(f"the tokens of {self.task} have no sampling rate to change", "train.evaluate")
        x, lengths = tokens(self.arrays, split, indices)
        return Batch(torch.from_numpy(x), y, torch.from_numpy(lengths))


def bucketed(order: np.ndarray, lengths: np.ndarray, size: int, batches: int, rng: np.random.Generator) -> np.ndarray:
    """The examples of an epoch in `order` (n,), grouped by length; whole batches only, (n // size * size,).

    Each run of `batches` batches of `size` examples is sorted by `lengths` (of all examples), then all batches of the
    epoch are shuffled. So every example is used as often as without, but the lengths of a batch are alike.
    """
    whole = order[:len(order) // size * size]
    runs = [whole[start:start + size * batches] for start in range(0, len(whole), size * batches)]
    ordered = np.concatenate([run[np.argsort(lengths[run], kind="stable")] for run in runs])
    return ordered.reshape(-1, size)[rng.permutation(len(whole) // size)].ravel()


def values(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray, rate: int,
           epoch: int = 0) -> np.ndarray:
    """Normalised values (B, L/rate, channels) float32. Statistics are those of rate 1."""
    padding = Padding.of(arrays)
    if padding is not None and rate != 1:
        raise UserError("a sequence that is padded with noise has no other sampling rate", "train.evaluate")
    x = np.ascontiguousarray(np.asarray(arrays[f"{split}/x"])[indices][:, ::rate], np.float32)
    if "offset" in arrays:
        flat = x.reshape(len(x), -1)  # a view; NumPy is ten times slower with a last axis as short as channels
        for name, change in (("offset", np.subtract), ("scale", np.multiply)):
            change(flat, np.broadcast_to(arrays[name][::rate], x.shape[1:]).reshape(-1), out=flat)
    return x if padding is None else padding.added(x, split, indices, epoch)


def tokens(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts (B, L) or pairs (B, 2, L) int64, padded with 0 to the longest of them, and their lengths."""
    documents = np.asarray(arrays[f"{split}/documents"][indices])
    begins, ends = (np.asarray(arrays["starts"][documents + k]) for k in (0, 1))
    lengths = ends - begins
    x = np.zeros((documents.size, lengths.max(initial=0)), np.int64)
    for row, begin, end in zip(x, begins.ravel(), ends.ravel(), strict=True):
        row[:end - begin] = arrays["tokens"][begin:end]
    return x.reshape(*documents.shape, -1), lengths.astype(np.int64)


def to_download(config: lacking.Config) -> int:
    """Bytes, about, that a run with this configuration would have to download. Uses no network."""
    want = wanted(config.data, config.task)
    size = lacking.to_download(want.source)
    return 0 if size and want.is_prepared() else size


def check(config: Choice, task: str, allow_download: bool = False) -> None:
    """Raises UserError if the data of `task` are not prepared and cannot be: a file or the network is missing, or a
    file is damaged.

    Files with a public address are downloaded if they have at most `lacking.SMALL` bytes in all; larger ones only if
    `allow_download`, else the error says their size and the command that downloads them. Nothing is downloaded within a
    cluster job.
    """
    want = wanted(config, task)
    if want.is_prepared():
        return
    source = want.source
    if (size := lacking.to_download(source)) > lacking.SMALL and not allow_download:
        raise UserError(f"it is not here: {size / 1e6:,.0f} MB to download, which no run does unasked",
                        source.place, f"`{lacking.command(config.name, config.variant)} --task {task}` downloads "
                        f"and prepares it.{source.others()}")
    if not download.on_node():
        try:
            download.fetch([source], download.told_on_stderr)
        except UserError as error:
            _tell_both(source, error)
    source.check()


def _tell_both(source: Source, error: UserError) -> None:
    """Raises UserError with what is missing and why it could not be downloaded."""
    why = error.problems[0]
    try:
        source.check()
    except UserError as missing:
        problem = missing.problems[0]
        if why == problem or why.where == source.place:
            raise
        raise UserError(f"{problem.what}; and it could not be downloaded: {why.where}: {why.what}", source.place,
                        f"{why.fix}. {problem.fix}") from error


def load(config: Choice, task: str) -> TaskData:
    """The data of `task` as `config` chooses them, prepared and kept under SUITE_CACHE when first asked for.

    Raises UserError if the data set does not serve the task, and if its files are missing or damaged.
    """
    want = wanted(config, task)
    entry = cache.obtain(want.label, want.key, want.make)
    return TaskData(task=task, **asdict(entry.facts), fingerprint=entry.fingerprint, variant=config.variant,
                    arrays=entry.arrays)
