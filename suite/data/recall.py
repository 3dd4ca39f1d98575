"""Associative recall with one query: pairs of keys and values, then filler, then one of the keys. What was its value?

It is MQAR (2312.04927, zoology) with one query, so a sequence has one answer. Tokens: 0 is the blank, 1 to V/2 - 1 are
keys, V/2 to V - 1 are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from suite.data import draws
from suite.data.prepared_types import Prepared
from suite.data.source import Source

VIEWS = {"mqar1": "mqar1"}


def prepare(source: Source, view: str) -> Prepared:
    """Sequences k1 v1 … kD vD, filler, k of `length` tokens. The label is the value that follows k, of V/2 classes.

    Keys and values are each drawn without repetition. Options: `vocabulary` (V), `pairs` (D), `length`, `filler`,
    `train_count`, `test_count`, `seed`; for `fresh`, see `suite.data.draws`.
    """
    options = source.options
    return draws.sequences_of_tokens(options, drawing(options), options["vocabulary"], options["vocabulary"] // 2)


def drawing(options: Mapping[str, Any]) -> draws.Draw:
    """The function that draws one example."""
    return partial(_draw, length=options["length"], pairs=options["pairs"], half=options["vocabulary"] // 2,
                   values=options["filler"] == "values")


def _draw(rng: np.random.Generator, length: int, pairs: int, half: int, values: bool) -> tuple[np.ndarray, int]:
    tokens = rng.integers(half, 2 * half, length) if values else np.zeros(length, np.int64)
    keys = 1 + rng.choice(half - 1, pairs, replace=False)
    answers = rng.choice(half, pairs, replace=False)
    tokens[0:2 * pairs:2], tokens[1:2 * pairs:2] = keys, half + answers
    asked = rng.integers(pairs)
    tokens[-1] = keys[asked]
    return tokens, int(answers[asked])
