"""Prepared data and their batches. `load(config.data, config.task)` is all that training needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from suite.data import cache, download, lacking
from suite.data.draws import Fresh
from suite.data.padding import Padding
from suite.data.source import Source
from suite.data.wanted import Choice, wanted
from suite.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tensors on the CPU. B examples, L steps.

    x: values (B, L, channels) float32, tokens (B, L) int64, or pairs (B, 2, L) int64. Texts are padded with 0 to L, the
       length of the longest text in the batch.
    y: classes (B,) int64, or targets (B,) float32 in raw units.
    lengths: number of valid steps of tokens (B,) or pairs (B, 2), int64; None for values.
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
    classes: int | None  # None: regression in raw units
    rate_hz: float | None  # samples per second at rate 1; None if it has no meaning
    fingerprint: str  # sha256 of the arrays
    variant: str
    arrays: Mapping[str, np.ndarray] = field(repr=False)  # as in suite.data.prepared_types.Prepared
    fresh: Fresh | None = None  # set if each training epoch has new examples

    def count(self, split: str) -> int:
        """The number of examples in train, val or test. Raises UserError for another split."""
        if f"{split}/y" not in self.arrays:
            splits = [name.removesuffix("/y") for name in self.arrays if name.endswith("/y")]
            raise UserError(f"the data of {self.task} have no split {split!r}", fix=nearest(split, splits))
        return len(self.arrays[f"{split}/y"])

    def lengths(self, split: str) -> np.ndarray:
        """The number of tokens of each example (n,) int64; of a pair, in its longer text. Only for tokens."""
        documents = np.asarray(self.arrays[f"{split}/documents"])
        lengths = np.asarray(self.arrays["starts"][documents + 1]) - self.arrays["starts"][documents]
        return lengths.reshape(len(lengths), -1).max(axis=1).astype(np.int64)

    def batch(self, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0) -> Batch:
        """The examples at `indices`. Of values, every `rate`-th sample, beginning with the first.

        `epoch`: training epoch, from 0. In each epoch, padded examples have new noise, and with the option `fresh`,
        generated examples are new. Raises UserError for tokens at another rate.
        """
        import torch

        if self.fresh is not None and split == "train" and epoch:
            return self._fresh_batch(self.fresh, indices, rate, epoch)
        y = torch.from_numpy(np.asarray(self.arrays[f"{split}/y"][indices]))
        if "tokens" not in self.arrays:
            return Batch(torch.from_numpy(values(self.arrays, split, indices, rate, epoch)), y)
        if rate != 1:
            raise UserError(f"the tokens of {self.task} have no sampling rate to change", "train.evaluate")
        x, lengths = tokens(self.arrays, split, indices)
        return Batch(torch.from_numpy(x), y, torch.from_numpy(lengths))

    def _fresh_batch(self, fresh: Fresh, indices: np.ndarray, rate: int, epoch: int) -> Batch:
        import torch

        x, y = (torch.from_numpy(part) for part in fresh.examples(indices, epoch))
        if "tokens" in self.arrays:
            return Batch(x, y, torch.full((len(x),), x.shape[1]))
        return Batch(x[:, ::rate, None].float(), y.float())


def bucketed(order: np.ndarray, lengths: np.ndarray, size: int, batches: int, rng: np.random.Generator) -> np.ndarray:
    """The examples of an epoch in `order` (n,), grouped by length. Complete batches only: (n // size * size,).

    Each run of `batches` batches of `size` examples is sorted by `lengths` (of all examples), then all batches of the
    epoch are shuffled. So each example is used as often as without buckets, but the lengths in a batch are similar.
    """
    complete = order[:len(order) // size * size]
    runs = [complete[start:start + size * batches] for start in range(0, len(complete), size * batches)]
    ordered = np.concatenate([run[np.argsort(lengths[run], kind="stable")] for run in runs])
    return ordered.reshape(-1, size)[rng.permutation(len(complete) // size)].ravel()


def values(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray, rate: int,
           epoch: int = 0) -> np.ndarray:
    """Normalized values (B, L/rate, channels) float32. Statistics are those of rate 1."""
    padding = Padding.of(arrays)
    if padding is not None and rate != 1:
        raise UserError("sequences padded with noise cannot be used at another sampling rate", "train.evaluate")
    x = np.ascontiguousarray(np.asarray(arrays[f"{split}/x"])[indices][:, ::rate], np.float32)
    if "offset" in arrays:
        flat = x.reshape(len(x), -1)  # a view; NumPy is ten times slower with a last axis as short as channels
        for name, change in (("offset", np.subtract), ("scale", np.multiply)):
            change(flat, np.broadcast_to(arrays[name][::rate], x.shape[1:]).reshape(-1), out=flat)
    return x if padding is None else padding.added(x, split, indices, epoch)


def tokens(arrays: Mapping[str, np.ndarray], split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts (B, L) or pairs (B, 2, L) int64, padded with 0 to the longest text, and their lengths."""
    documents = np.asarray(arrays[f"{split}/documents"][indices])
    begins, ends = (np.asarray(arrays["starts"][documents + k]) for k in (0, 1))
    lengths = ends - begins
    x = np.zeros((documents.size, lengths.max(initial=0)), np.int64)
    for row, begin, end in zip(x, begins.ravel(), ends.ravel(), strict=True):
        row[:end - begin] = arrays["tokens"][begin:end]
    return x.reshape(*documents.shape, -1), lengths.astype(np.int64)


def to_download(config: lacking.Config) -> int:
    """Approximate bytes that a run with this configuration has to download. Uses no network."""
    want = wanted(config.data, config.task)
    size = lacking.to_download(want.source)
    return 0 if size and want.is_prepared() else size


def check(config: Choice, task: str, allow_download: bool = False) -> None:
    """Raises UserError if the data of `task` are not prepared and cannot be prepared: a file is missing or damaged, or
    there is no network.

    Files with a public address are downloaded if they have at most `lacking.SMALL` bytes in total. Larger ones are
    downloaded only with `allow_download`; else the error states their size and the command that downloads them. Nothing
    is downloaded in a cluster job.
    """
    want = wanted(config, task)
    if want.is_prepared():
        return
    source = want.source
    if (size := lacking.to_download(source)) > lacking.SMALL and not allow_download:
        raise UserError(f"it is missing: {size / 1e6:,.0f} MB, which a run downloads only with --download",
                        source.place, f"`{lacking.command(config.name, config.variant)} --task {task}` downloads "
                        f"and prepares it.{source.others()}")
    if not download.on_node():
        try:
            download.fetch([source], download.print_to_stderr)
        except UserError as error:
            _raise_both(source, error)
    source.check()


def _raise_both(source: Source, error: UserError) -> None:
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
    """The data of `task` in the form that `config` chooses. On first use they are prepared, and kept in SUITE_CACHE.

    Raises UserError if the data set does not provide the task, and if its files are missing or damaged.
    """
    want = wanted(config, task)
    entry = cache.obtain(want.label, want.key, want.make)
    return TaskData(task=task, **asdict(entry.facts), fingerprint=entry.fingerprint, variant=config.variant,
                    arrays=entry.arrays, fresh=Fresh.of(want.module, want.source.options))
