"""The form of the arrays of each family of data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Facts:
    """What a model must know about a data set. For values `channels` is set, for tokens `vocabulary`; see TaskData."""

    length: int
    channels: int | None = None
    vocabulary: int | None = None
    classes: int | None = None
    rate_hz: float | None = None


@dataclass(frozen=True)
class Prepared:
    """Facts and arrays of one task. `{split}` is train, val and test; `{split}/y` is (n,) int64 or float32.

    Values: `{split}/x` (n, L, channels) of any number type; the model sees (x - offset) * scale if there are
    arrays `offset` and `scale`, each (L or 1, channels) float32, else x. With an array `padding`, L of these is
    shorter than `Facts.length` by the steps of noise that each batch gets (`suite.data.padding`).
    Tokens: `tokens`, all documents end to end, and `starts` (documents + 1,), where each begins and the last ends;
    `{split}/documents` (n,) names the document of each example, or (n, 2) those of a pair.
    """

    facts: Facts
    arrays: Mapping[str, np.ndarray]
