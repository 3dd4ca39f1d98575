"""Images with permuted pixels, or followed by noise: a model that sees only the last steps cannot solve these tasks.

Permuted: one permutation of pixels for all images (2508.20441, C.2). Padded: the image, then noise, which is different
for each example (rows: 1902.09689, section 5.3; pixels: the noisy sCIFAR of 2405.13975).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from suite.data import draws
from suite.data.prepared_types import Facts, Prepared

NOISES = ("normal", "uniform")
SEED = 0
NAME = "padding"  # name of the array


@dataclass(frozen=True)
class Padding:
    """`steps` steps of noise after each example; `noise` is its kind, an index of NOISES. Kept with the arrays."""

    steps: int
    noise: int

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Padding | None:
        """The padding of prepared arrays. None if examples are not padded."""
        return cls(*map(int, arrays[NAME])) if NAME in arrays else None

    def added(self, x: np.ndarray, split: str, indices: np.ndarray, epoch: int) -> np.ndarray:
        """`x` (B, L, channels) float32 followed by noise, (B, L + steps, channels).

        The noise is a function of split and index, and in training also of the epoch.
        """
        count, length, channels = x.shape
        out = np.empty((count, length + self.steps, channels), np.float32)
        out[:, :length] = x
        for row, index in zip(out, np.asarray(indices).tolist(), strict=True):
            rng = draws.generator(SEED, split, index, epoch if split == "train" else 0)
            row[length:] = rng.random((self.steps, channels), np.float32) if self.noise else \
                rng.standard_normal((self.steps, channels), np.float32)
        return out


def arranged(made: Prepared, options: Mapping[str, Any], more: int) -> Prepared:
    """Images (n, pixels, channels), permuted or padded by the options `permute`, `permute_seed`, `pad_form`,
    `pad_noise`.

    `more`: steps of noise after each image. The noise is not stored: `Padding.added` draws it for each batch. With
    `pad_form: rows`, a step is a row of pixels.
    """
    facts, arrays = made.facts, dict(made.arrays)
    length, channels = facts.length, facts.channels or 1
    if options["permute"]:
        order = np.random.default_rng(options["permute_seed"]).permutation(length)
        arrays |= {f"{split}/x": arrays[f"{split}/x"][:, order] for split in draws.SPLITS}
    if options["pad_form"] == "rows":
        side = round(length**0.5)
        arrays |= {f"{split}/x": arrays[f"{split}/x"].reshape(-1, side, side * channels) for split in draws.SPLITS}
        arrays |= {name: np.tile(arrays[name], side) for name in ("offset", "scale")}
        length, channels = side, side * channels
    if more:
        arrays[NAME] = np.array([more, NOISES.index(options["pad_noise"])])
    return Prepared(Facts(length + more, channels, classes=facts.classes), arrays)
