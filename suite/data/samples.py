"""Samples of images and reviews, drawn from the complete data sets. The card has a digest of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suite.data import parquet
from suite.data.source import Source
from suite.errors import UserError

SEED = 2022
CIFAR_COUNTS = {"train": 5000, "val": 1000, "test": 1000}
IMDB_LONGEST = 700  # characters
IMDB_FILMS = {"val": 150, "test": 300}  # the rest are for training
Files = Mapping[str, Path]


@dataclass(frozen=True)
class Part:
    """A split of a sample: its columns, and their Hugging Face features."""

    split: str
    columns: dict[str, Any]
    features: Any


def images(files: Files) -> Iterator[Part]:
    """Class-balanced parts of CIFAR-10, with the stored bytes of the images. Rows alternate between the classes."""
    rng = np.random.default_rng(SEED)
    for file, splits in (("train", ("train", "val")), ("test", ("test",))):
        rows = parquet.read(files[file])
        order = rounds(np.asarray(rows["label"]), rng)
        for split in splits:
            chosen, order = order[:CIFAR_COUNTS[split]], order[CIFAR_COUNTS[split]:]
            yield Part(split, {name: [rows[name][i] for i in chosen] for name in ("image", "label")}, rows["features"])


def rounds(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices (n,) in random order, such that consecutive blocks have one row of each class."""
    columns = np.stack([rng.permutation(np.flatnonzero(labels == k)) for k in range(labels.max() + 1)], axis=1)
    return rng.permuted(columns, axis=1).ravel()


def reviews(files: Files) -> Iterator[Part]:
    """Short reviews, half positive, half negative, of films with at least two. No film or text is in two splits."""
    from datasets import Features

    known: set[str] = set()
    for file in ("train", "test"):
        rows = parquet.read(files[file])
        chosen = short_reviews(rows, known)
        titles = list(dict.fromkeys(rows["title"][i] for i in chosen))
        known |= {*titles, *(rows["text"][i] for i in chosen)}
        order = [titles[i] for i in np.random.default_rng(SEED).permutation(len(titles))]
        first = IMDB_FILMS["val" if file == "train" else "test"]
        parts = {"train": order[first:], "val": order[:first]} if file == "train" else {"test": order[:first]}
        for split, films in parts.items():
            kept = equal_classes([i for i in chosen if rows["title"][i] in films], rows)
            features = Features({name: rows["features"][name] for name in ("text", "label", "title")})
            yield Part(split, {name: [rows[name][i] for i in kept] for name in features}, features)


def short_reviews(rows: Mapping[str, Any], known: set[str]) -> list[int]:
    """Rows with distinct short texts that are not in `known`, of films with at least two."""
    first: dict[str, int] = {}
    for i, (text, title) in enumerate(zip(rows["text"], rows["title"], strict=True)):
        if len(text) <= IMDB_LONGEST and text not in known and title not in known:
            first.setdefault(text, i)
    count = Counter(rows["title"][i] for i in first.values())
    return [i for i in first.values() if count[rows["title"][i]] > 1]


def equal_classes(chosen: list[int], rows: Mapping[str, Any]) -> list[int]:
    """The rows, with the larger class reduced to the size of the other. Each film keeps at least two reviews."""
    surplus = 2 * sum(rows["label"][i] for i in chosen) - len(chosen)
    count = Counter(rows["title"][i] for i in chosen)
    dropped: set[int] = set()
    for i in np.random.default_rng(SEED).permutation(chosen).tolist():
        if len(dropped) < abs(surplus) and rows["label"][i] == (surplus > 0) and count[rows["title"][i]] > 2:
            count[rows["title"][i]] -= 1
            dropped.add(i)
    return [i for i in chosen if i not in dropped]


MAKERS: dict[str, Callable[[Files], Iterator[Part]]] = {"cifar10": images, "imdb": reviews, "aan": reviews}


def draw(source: Source, origin: Source) -> list[Path]:
    """Write the files of a sample to the download folder. Returns their paths.

    Raises UserError if the files of `origin` are damaged, or if the sample is not the card's.
    """
    made = []
    for part in MAKERS[source.name]({name: origin.path(name) for name in origin.card.files}):
        file = source.card.files[part.split]
        digest = parquet.columns_digest(part.columns)
        if digest != file.rows_sha256:
            raise UserError(f"{origin.place} gives another sample: the digest of the rows of {part.split} is {digest}, "
                            f"the card expects {file.rows_sha256}", source.place, origin.ways())
        made.append(put(parquet.place(file.places[1:]), parquet.content(part.columns, part.features)))
    return made


def put(path: Path, content: bytes) -> Path:
    """Write a file atomically. Raises UserError if it cannot be written."""
    with parquet.atomically(path) as half:
        half.write_bytes(content)
    return path
