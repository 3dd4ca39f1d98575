"""Random numbers of generated examples. Each example has its own generator, so the order does not matter.

With the option `fresh`, each epoch has new training examples; those of validation and test do not change. The first
epoch has the stored examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from suite.data.prepared_types import Facts, Prepared

SPLITS = ("train", "val", "test")
Draw: TypeAlias = Callable[[np.random.Generator], tuple[np.ndarray, int | float]]


def generator(seed: int, split: str, index: int, epoch: int = 0) -> np.random.Generator:
    """The generator of one example, a function of the task's seed, the split and the example's number.

    `epoch` is for numbers that are drawn again in each training epoch.
    """
    return np.random.default_rng((seed, SPLITS.index(split), index, epoch))


@dataclass(frozen=True)
class Fresh:
    """Training examples that are drawn on demand: a function of the task's seed, the example's number and the epoch."""

    draw: Draw
    seed: int

    @classmethod
    def of(cls, family: object, options: Mapping[str, Any]) -> Fresh | None:
        """The examples that the family's module draws, if `fresh` is true; else None."""
        drawing = getattr(family, "drawing", None)
        return cls(drawing(options), options["seed"]) if drawing and options.get("fresh") else None

    def examples(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (B, L) int64 or float64, and targets (B,)."""
        made = [self.draw(generator(self.seed, "train", index, epoch)) for index in np.asarray(indices).tolist()]
        return np.stack([x for x, _ in made]), np.array([y for _, y in made])


def counts(options: Mapping[str, Any]) -> dict[str, int]:
    """The number of examples of each split: `train_count`, and `test_count` for both validation and test."""
    return {"train": options["train_count"], "val": options["test_count"], "test": options["test_count"]}


def examples(options: Mapping[str, Any], split: str, draw: Draw) -> tuple[np.ndarray, list[int | float]]:
    """The results of `draw` for each example's generator: inputs (n, …), and the n targets."""
    made = [draw(generator(options["seed"], split, index)) for index in range(counts(options)[split])]
    return np.stack([x for x, _ in made]), [y for _, y in made]


def sequences_of_tokens(options: Mapping[str, Any], draw: Draw, vocabulary: int, classes: int) -> Prepared:
    """Sequences of `length` tokens, and their classes. `draw` returns the tokens (length,) and the class."""
    arrays: dict[str, np.ndarray] = {}
    texts, first = [], 0
    for split, x, y in _splits(options, draw):
        arrays[f"{split}/documents"] = first + np.arange(len(x))
        arrays[f"{split}/y"] = np.asarray(y, np.int64)
        texts.append(x.astype(np.min_scalar_type(vocabulary - 1)).ravel())
        first += len(x)
    length = options["length"]
    arrays |= {"tokens": np.concatenate(texts), "starts": np.arange(first + 1) * length}
    return Prepared(Facts(length=length, vocabulary=vocabulary, classes=classes), arrays)


def sequences_of_values(options: Mapping[str, Any], draw: Draw) -> Prepared:
    """Sequences of `length` values, and their targets. `draw` returns the values (length,) and the target."""
    arrays: dict[str, np.ndarray] = {}
    for split, x, y in _splits(options, draw):
        arrays |= {f"{split}/x": x.astype(np.float32)[..., None], f"{split}/y": np.asarray(y, np.float32)}
    return Prepared(Facts(length=options["length"], channels=1), arrays)


def _splits(options: Mapping[str, Any], draw: Draw) -> Iterator[tuple[str, np.ndarray, list[int | float]]]:
    for split in SPLITS:
        yield split, *examples(options, split, draw)
