"""Selective copying with one query: D symbols at random positions among blanks. Which one was the q-th?

After 2312.00752 (appendix E.1), where all symbols are to be copied; here a sequence has one answer. Tokens: 0 is the
blank, 1 to V are the symbols, V + 1 to V + D the queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from suite.data import draws
from suite.data.prepared_types import Prepared
from suite.data.source import Source

VIEWS = {"selcopy": "selcopy"}


def prepare(source: Source, view: str) -> Prepared:
    """Sequences of `length` tokens. The last token is the query q; the label is the q-th symbol, of V classes.

    Options: `symbols` (V), `marked` (D), `length`, `train_count`, `test_count`, `seed`; for `fresh`, see
    `suite.data.draws`.
    """
    options = source.options
    symbols = options["symbols"]
    return draws.sequences_of_tokens(options, drawing(options), 1 + symbols + options["marked"], symbols)


def drawing(options: Mapping[str, Any]) -> draws.Draw:
    """The function that draws one example."""
    return partial(_draw, length=options["length"], symbols=options["symbols"], marked=options["marked"])


def _draw(rng: np.random.Generator, length: int, symbols: int, marked: int) -> tuple[np.ndarray, int]:
    tokens = np.zeros(length, np.int64)
    data = rng.integers(symbols, size=marked)
    tokens[np.sort(rng.choice(length - 1, marked, replace=False))] = 1 + data
    asked = rng.integers(marked)
    tokens[-1] = 1 + symbols + asked
    return tokens, int(data[asked])
