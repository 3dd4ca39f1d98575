"""Batches of sequences about as long as each other, so that less of a batch is padding."""

from __future__ import annotations

import numpy as np


def bucketed(order: np.ndarray, lengths: np.ndarray, size: int, batches: int, rng: np.random.Generator) -> np.ndarray:
    """The examples of an epoch in `order` (n,), put together by length; whole batches only, (n // size * size,).

    Each run of `batches` batches of `size` examples is sorted by `lengths` (of all examples), then all batches of the
    epoch are shuffled. So every example has the same chance as without, but the lengths of a batch are alike.
    """
    whole = order[:len(order) // size * size]
    runs = [whole[start:start + size * batches] for start in range(0, len(whole), size * batches)]
    ordered = np.concatenate([run[np.argsort(lengths[run], kind="stable")] for run in runs])
    return ordered.reshape(-1, size)[rng.permutation(len(whole) // size)].ravel()
