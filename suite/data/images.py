"""CIFAR-10 as sequences of pixels, row by row: in colour (`scifar`) or gray (`image`). Paper, appendix B; the card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from suite.data import cifar_binary, padding, splits
from suite.data.extent import noise_steps
from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError

VIEWS = {"scifar": "color", "image": "gray"}
SIZE = 32
# Mean and standard deviation of raw pixels in [0, 1], per channel.
STATISTICS = {"color": ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)), "gray": ((122.6 / 255,), (61.0 / 255,))}
VALIDATION = 5000


def prepare(source: Source, view: str) -> Prepared:
    """Images as (n, (32/pool)^2, 3 or 1) sums of pool^2 bytes, normalized by the statistics of raw pixels.

    Options: `pool`, `train_count`, and those of `suite.data.padding.arranged`. In a variant without a validation file,
    5,000 of the training images are for validation, chosen by PyTorch's permutation with seed 42. Raises UserError for
    images of another size or mode.
    """
    pool = source.options["pool"]
    files, labels = images_and_labels(source)
    classes = len(source.card.labels)
    mean, std = (np.asarray(part, np.float64)[None] for part in STATISTICS[view])
    full = 255 * pool**2
    arrays = {"offset": (full * mean).astype(np.float32), "scale": (1 / (full * std)).astype(np.float32)}
    for split, (file, rows) in divide(labels, source.options["train_count"], classes).items():
        arrays[f"{split}/x"] = decode(files[file], rows, view, pool, f"{source.place}, {file}")
        arrays[f"{split}/y"] = labels[file][rows]
    made = Prepared(Facts(length=(SIZE // pool) ** 2, channels=mean.size, classes=classes), arrays)
    return padding.arranged(made, source.options, noise_steps(source.options))


def images_and_labels(source: Source) -> tuple[Mapping[str, Any], Mapping[str, np.ndarray]]:
    """For each file, a table whose rows have an `image`, and the labels (n,) int64."""
    if source.variant == "binary":
        made = cifar_binary.read_archive(source)
        return {file: images for file, (images, _) in made.items()}, {file: y for file, (_, y) in made.items()}
    files = {file: source.rows(file, {"image": "Image", "label": "ClassLabel"}) for file in source.splits}
    return files, {file: np.asarray(rows["label"], np.int64) for file, rows in files.items()}


def decode(table: Any, rows: np.ndarray, view: str, pool: int, where: str) -> np.ndarray:
    """Pixels (n, (32/pool)^2, channels) in row-major order: bytes, or 16-bit sums over pool x pool pixels."""
    channels, side = len(STATISTICS[view][0]), SIZE // pool
    pixels = np.empty((len(rows), SIZE, SIZE, channels), np.uint8)
    for k, row in enumerate(track(rows.tolist(), f"decoding images of {where}")):
        try:
            image = table[row]["image"]
        except (OSError, ValueError, SyntaxError) as error:
            raise UserError(f"image {row} cannot be decoded: {error}", where) from error
        if image.size != (SIZE, SIZE) or image.mode != "RGB":
            form = f"{image.size[0]}x{image.size[1]} {image.mode}"
            raise UserError(f"image {row} is {form}, not {SIZE}x{SIZE} RGB", where)
        # Pillow's "L" is ITU-R 601, rounded to 8 bits.
        pixels[k] = np.asarray(image.convert("L") if view == "gray" else image).reshape(SIZE, SIZE, channels)
    if pool > 1:
        sums = pixels.reshape(len(rows), side, pool, side, pool, channels).sum((2, 4), dtype=np.uint16)
        return sums.reshape(len(rows), side**2, channels)
    return pixels.reshape(len(rows), SIZE**2, channels)


def divide(labels: Mapping[str, np.ndarray], count: int, classes: int) -> dict[str, tuple[str, np.ndarray]]:
    """For each split, its file and rows. `labels`: (n,) of each file; `count`: number of training images."""
    rows = {file: (file, np.arange(len(y))) for file, y in labels.items()}
    if "val" not in labels:
        train, val = permuted(len(labels["train"]))
        rows |= {"train": ("train", train), "val": ("train", val)}
    train = rows["train"][1]
    return rows | {"train": ("train", train[splits.balanced(labels["train"][train], count, classes)])}


def permuted(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation indices of `count` images."""
    order = splits.permutation(count)
    return order[:count - VALIDATION], order[count - VALIDATION:]
