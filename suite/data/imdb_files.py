"""The reviews as Parquet, built from a checkout or archive of the public copy of the Large Movie Review Dataset.

As in the authors' archive, the copy has one file per review, `aclImdb/<split>/<neg or pos>/<number>_<stars>.txt`, and
the lines of `urls_neg.txt` and `urls_pos.txt` name the film of each review. The rows of the Parquet file are sorted by
number and alternate between negative and positive. Some reviews of the copy differ from the authors', so the digest of
the rows does, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.data import parquet
from suite.data.card import Variant
from suite.errors import UserError
from suite.files import unpack

REPOSITORY = "https://github.com/PVidyadhar/Detection-of-Fraud-apps-using-Sentiment-Analysis, commit 81406d56"
GET = f"use a complete checkout, .zip or .tar.gz of {REPOSITORY}"
CLASSES = ("neg", "pos")
REVIEW = re.compile(r"(?:.*/)?aclImdb/(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")
FILMS = re.compile(r"(?:.*/)?aclImdb/(train|test)/urls_(neg|pos)\.txt")
FILM = re.compile(rb"/title/(tt\d+)/")
TYPES = {"text": "string", "label": "int64", "rating": "int8", "review_id": "int32", "title": "string"}
ROWS_OF_A_GROUP = 5000


def build(origin: Path, card: Variant) -> dict[str, Path]:
    """Write the Parquet file of each split of the card to the download folder. Returns their paths.

    Raises UserError if `origin` is neither a folder nor an archive, lacks reviews, or has other reviews than the card.
    """
    if not origin.exists():
        raise UserError(f"{origin} is not there", "--from", GET)
    found = unpack.contents(origin, ".txt")
    made = {split: rows(found, split, card, origin) for split in card.files}
    return {split: parquet.write(_table(columns), parquet.place(card.files[split].places), ROWS_OF_A_GROUP)
            for split, columns in made.items()}


def rows(found: Mapping[str, bytes], split: str, card: Variant, origin: Path) -> dict[str, list[Any]]:
    """The columns of a split. Raises UserError if they are not the card's."""
    films = {match[2]: FILM.findall(content) for name, content in found.items()
             if (match := FILMS.fullmatch(name)) and match[1] == split}
    reviews = sorted((int(match[3]), CLASSES.index(match[2]), int(match[4]), content) for name, content in found.items()
                     if (match := REVIEW.fullmatch(name)) and match[1] == split)
    columns: dict[str, list[Any]] = {name: [] for name in TYPES}
    for number, label, stars, content in reviews:
        titles = films.get(CLASSES[label], [])
        if number >= len(titles):
            raise unpack.BadArchive(f"urls_{CLASSES[label]}.txt of {split} names no film of review {number}",
                                    str(origin), GET)
        row = {"text": content.decode(errors="replace"), "label": label, "rating": stars, "review_id": number,
               "title": titles[number].decode()}
        for name, value in row.items():
            columns[name].append(value)
    digest, expected = parquet.columns_digest(columns), card.files[split].rows_sha256
    if digest != expected:
        raise unpack.BadArchive(f"its {len(reviews):,} reviews of {split} are not those of the card: digest {digest}, "
                                f"expected {expected}", str(origin), GET)
    return columns


def _table(columns: Mapping[str, list[Any]]) -> Any:
    """The columns with the features that `datasets` reads."""
    import pyarrow as pa

    features = {name: {"dtype": kind, "_type": "Value"} for name, kind in TYPES.items()}
    features["label"] = {"names": list(CLASSES), "_type": "ClassLabel"}  # type: ignore[dict-item]
    made = pa.table({name: pa.array(columns[name], pa.type_for_alias(kind)) for name, kind in TYPES.items()})
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
