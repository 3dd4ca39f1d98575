"""Retrieval: are two texts related? Either papers of the ACL Anthology, where one cites the other (paper, section 5.5),
or reviews of one film. See the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.data.text import fewer, text_columns
from suite.data.vocabulary import characters, tokens
from suite.errors import UserError

VIEWS = {"retrieval": "pairs"}
LABELS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
COLUMNS = ("label", "id of the first", "id of the second", "first text", "second text")
SEED = 2022  # for pairing reviews, and for holding out films for validation
VALIDATION_FILMS = 0.1


@dataclass(frozen=True)
class Pairs:
    """Numbers of the texts of each pair (n, 2), and whether they are related (n,)."""

    documents: np.ndarray
    labels: np.ndarray


def prepare(source: Source, view: str) -> Prepared:
    """Pairs of texts as tokens, at most `max_length` of each text including the end mark.

    Options: `max_length`, `min_freq`, `train_count`. Raises UserError if a file is missing, damaged or in another
    format.
    """
    texts, pairs = citations(source) if source.variant == "original" else films(source)
    train = pairs["train"]
    chosen = fewer(np.arange(len(train.labels)), train.labels, source.options["train_count"])
    pairs["train"] = Pairs(train.documents[chosen], train.labels[chosen])
    limit, least = source.options["max_length"] - 1, source.options["min_freq"]
    arrays = tokens(characters(texts, limit), pairs["train"].documents, least=least)
    for split, part in pairs.items():
        arrays |= {f"{split}/documents": part.documents, f"{split}/y": part.labels}
    longest = int(np.diff(arrays["starts"]).max())
    return Prepared(Facts(length=longest, vocabulary=len(arrays["symbols"]), classes=2), arrays)


def citations(source: Source) -> tuple[list[str], dict[str, Pairs]]:
    """The released pairs: distinct texts, cut at `max_length`, and the pairs of each split."""
    limit = source.options["max_length"]
    numbers: dict[str, int] = {}
    pairs = {}
    for split in source.splits:
        path = source.path(split)
        documents, labels = [], []
        for line, text in enumerate(track(source.lines(path), f"reading {path.name}"), 1):
            fields = text.split("\t")
            if len(fields) != len(COLUMNS) or fields[0] not in LABELS:
                what = f"{len(fields)} columns" if len(fields) != len(COLUMNS) else f"the label {fields[0][:20]!r}"
                raise UserError(f"{path}, line {line} has {what}; a line has {len(COLUMNS)}, separated by tabs: "
                                + ", ".join(COLUMNS) + "; the label is 0 or 1", source.place, "get the file again")
            labels.append(LABELS[fields[0]])
            documents.append([numbers.setdefault(part[:limit], len(numbers)) for part in fields[3:]])
        if not labels:
            raise UserError(f"{path} is empty", source.place, "get the file again")
        pairs[split] = Pairs(np.array(documents), np.array(labels))
    return [*numbers], pairs


def films(source: Source) -> tuple[list[str], dict[str, Pairs]]:
    """Reviews, and the pairs of each split. No film and no text is in two splits. If there is no validation file, a
    tenth of the training films is held out for validation.
    """
    known: set[str] = set()
    texts: list[str] = []
    sentiments: list[int] = []
    titles: list[str] = []
    groups: dict[str, list[int]] = {}
    taken: set[str] = set()
    for split in source.splits:
        rows = text_columns(source, split, {"text": "Value", "label": "ClassLabel", "title": "Value"})
        groups[split] = []
        for text, label, title in zip(rows["text"], rows["label"], rows["title"], strict=True):
            if text in known or title in taken:
                continue
            known.add(text)
            groups[split].append(len(texts))
            texts.append(text)
            sentiments.append(label)
            titles.append(title)
        taken |= {titles[k] for k in groups[split]}
    number = {title: k for k, title in enumerate(dict.fromkeys(titles))}
    film = np.array([number[title] for title in titles])
    reviews = {split: np.array(group) for split, group in groups.items()}
    rng = np.random.default_rng(SEED)
    if "val" not in reviews:
        all_films = np.unique(film[reviews["train"]])
        held = np.isin(film[reviews["train"]], rng.permutation(all_films)[:int(VALIDATION_FILMS * len(all_films))])
        reviews |= {"train": reviews["train"][~held], "val": reviews["train"][held]}
    order = [split for split in ("train", "val", "test") if split in reviews]
    return texts, {split: pair(reviews[split], film, np.array(sentiments), rng) for split in order}


def pair(reviews: np.ndarray, film: np.ndarray, sentiment: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Pair each review with another one of its film, and with one of another film.

    Both kinds of pairs have the same second texts, and the same combinations of sentiments. So neither a single text
    nor an agreement in sentiment reveals the label. Films with one review are left out.
    """
    shuffled = rng.permutation(reviews)
    shuffled = shuffled[np.argsort(film[shuffled], kind="stable")]
    _, begin, size = np.unique(film[shuffled], return_index=True, return_counts=True)
    follows = np.arange(1, len(shuffled) + 1)
    follows[begin + size - 1] = begin  # the last review of a film is followed by its first
    first = shuffled[np.repeat(size > 1, size)]
    second = shuffled[follows][np.repeat(size > 1, size)]
    other = second.copy()
    for verdict in np.unique(sentiment[second]):
        rows = np.flatnonzero(sentiment[second] == verdict)
        other[rows] = second[apart(film[first[rows]], film[second[rows]], rng, rows)]
    documents = np.stack([np.stack([first, second], 1), np.stack([first, other], 1)], axis=1).reshape(-1, 2)
    return Pairs(documents, np.tile([1, 0], len(first)))


def apart(first: np.ndarray, second: np.ndarray, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """The `rows` in an order in which no `second` meets a `first` of the same film.

    Raises UserError if no such order is found.
    """
    order = rng.permutation(len(rows))
    for _ in range(1000):
        wrong = np.flatnonzero(first == second[order])
        if not len(wrong):
            return rows[order]
        for here, there in zip(wrong, rng.integers(0, len(rows), len(wrong)), strict=True):
            order[[here, there]] = order[[there, here]]
    raise UserError("the reviews are of too few films to pair different films")
