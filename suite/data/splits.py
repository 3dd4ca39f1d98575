"""Splits of examples, drawn by generators that do not depend on a run's seed."""

from __future__ import annotations

import numpy as np

from suite.errors import UserError

SEED = 42  # of the published code's validation split
RESHUFFLE = ((0.3, 0), (0.5, 1))  # held out, and test among these: share, seed of scikit-learn


def permutation(count: int) -> np.ndarray:
    """PyTorch's random permutation (count,) int64, with generator seed 42."""
    import torch

    return torch.randperm(count, generator=torch.Generator().manual_seed(SEED)).numpy()


def reshuffled(count: int) -> dict[str, np.ndarray]:
    """Indices of train, val and test by scikit-learn: 30 % are held out (seed 0), half of them for test (seed 1).

    The published procedure for BIDMC (paper section 5.3).
    """
    from sklearn.model_selection import train_test_split

    (held, first), (half, second) = RESHUFFLE
    train, rest = train_test_split(np.arange(count), test_size=held, random_state=first)
    val, test = train_test_split(rest, test_size=half, random_state=second)
    return {"train": train, "val": val, "test": test}


def balanced(labels: np.ndarray, count: int, classes: int) -> np.ndarray:
    """Indices of the first count/classes examples of each class, in the order of `labels` (n,). All if count is 0.

    Raises UserError if a class has fewer.
    """
    if count == 0:
        return np.arange(len(labels))
    most = int(np.bincount(labels, minlength=classes).min()) * classes
    if count % classes or count > most:
        raise UserError(f"{count} training examples cannot be divided equally among the classes", "data.train_count",
                        f"give a multiple of {classes}, at most {most}, or 0 for all")
    first = [np.flatnonzero(labels == k)[:count // classes] for k in range(classes)]
    return np.sort(np.concatenate(first))


def drawn(count: int, wanted: int) -> np.ndarray:
    """Sorted indices of `wanted` of `count` examples, drawn by `permutation`. All of them if `wanted` is 0.

    Raises UserError if there are fewer.
    """
    if wanted > count:
        raise UserError(f"{wanted} training examples are more than there are", "data.train_count",
                        f"give at most {count}, or 0 for all")
    return np.sort(permutation(count)[:wanted]) if wanted else np.arange(count)
