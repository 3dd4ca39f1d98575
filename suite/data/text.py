"""Text: is a film review positive? It is read character by character. Paper, section 5.5; see the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.data import splits
from suite.data.prepared_types import Facts, Prepared
from suite.data.source import Source
from suite.data.vocabulary import characters, tokens
from suite.errors import UserError

VIEWS = {"text": "characters"}
HELD_OUT = 0.1  # share of the training reviews that is held out for validation


def prepare(source: Source, view: str) -> Prepared:
    """Characters of reviews as tokens, at most `max_length` including the end mark. Labels: 0 negative, 1 positive.

    Options: `max_length`, `min_freq`, `train_count`, and, if there is no validation file, `validation`: `test`, as
    published, or `train`, a tenth of the training reviews. Raises UserError if a file is missing, damaged or in another
    format.
    """
    texts: list[str] = []
    labels: dict[str, np.ndarray] = {}
    documents: dict[str, np.ndarray] = {}
    for split in source.splits:
        rows = text_columns(source, split, {"text": "Value", "label": "ClassLabel"})
        documents[split] = len(texts) + np.arange(len(rows["text"]))
        labels[split] = np.asarray(rows["label"], np.int64)
        texts += rows["text"]
    everything = np.concatenate([labels[split] for split in source.splits])
    if "val" not in documents:
        documents |= validation(documents, source.options["validation"])
    documents["train"] = fewer(documents["train"], everything, source.options["train_count"])
    arrays = tokens(characters(texts, source.options["max_length"] - 1), documents["train"],
                    least=source.options["min_freq"])
    for split, part in documents.items():
        arrays |= {f"{split}/documents": part, f"{split}/y": everything[part]}
    longest = int(np.diff(arrays["starts"]).max())
    return Prepared(Facts(length=longest, vocabulary=len(arrays["symbols"]), classes=2), arrays)


def fewer(examples: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """`count` of the examples, half of them with label 1. All if `count` is 0. `labels`: of all examples."""
    drawn = examples[splits.permutation(len(examples))]  # reviews of one film are adjacent in the files
    return np.sort(drawn[splits.balanced(labels[drawn], count, 2)])


def validation(documents: Mapping[str, np.ndarray], of: str) -> dict[str, np.ndarray]:
    """The validation reviews and, if they are taken from the training reviews, the rest of these."""
    if of == "test":
        return {"val": documents["test"]}
    order = splits.permutation(len(documents["train"]))
    held = int(HELD_OUT * len(order))
    return {"train": documents["train"][order[held:]], "val": documents["train"][order[:held]]}


def text_columns(source: Source, split: str, kinds: Mapping[str, str]) -> dict[str, list[Any]]:
    """Columns of a source, including text. Raises UserError if a text is missing or not UTF-8."""
    rows = source.rows(split, kinds)
    read = {}
    for name in kinds:
        try:
            read[name] = list(rows[name])
        except UnicodeDecodeError as error:
            raise UserError(f"{split}: the column {name} is not UTF-8: {error.reason}", source.place,
                            source.card.way) from None
        if None in read[name]:
            raise UserError(f"{split}, row {read[name].index(None)} has no {name}", source.place, source.card.way)
    return read
