"""The arrays that each family of data sets returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Facts:
    """What a model must know about a data set. `channels` is set for values, `vocabulary` for tokens; see TaskData."""

    length: int
    channels: int | None = None
    vocabulary: int | None = None
    classes: int | None = None
    rate_hz: float | None = None


@dataclass(frozen=True)
class Prepared:
    """Facts and arrays of one task. `{split}` is train, val and test; `{split}/y` is (n,) int64 or float32.

    Values: `{split}/x` (n, L, channels) of any number type. The model sees (x - offset) * scale if there are arrays
    `offset` and `scale`, each (L or 1, channels) float32, else x. With an array `padding`, L is less than
    `Facts.length` by the steps of noise that are added to each batch (`suite.data.padding`).
    Tokens: `tokens`, all documents concatenated, and `starts` (documents + 1,), where each begins and the last ends.
    `{split}/documents` has the number of the document of each example (n,), or of both documents of a pair (n, 2).
    """

    facts: Facts
    arrays: Mapping[str, np.ndarray]
