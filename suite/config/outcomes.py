"""The outcome of each example of an evaluation: right or wrong for classes, the absolute error for numbers.

A run keeps these for its best and its last epoch, as `outcomes.npz` in its folder. The order of the examples of an
evaluation is fixed, so the place in an array is the example. A class takes one bit, an error two bytes:
at most 40 KB for 10,000 examples and both epochs.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from suite.config.rows import Row

ByEntry: TypeAlias = dict[str, np.ndarray]  # by entry of `train.evaluate`: (examples,) bool, or float16 for errors
Outcomes: TypeAlias = dict[int, ByEntry]  # by epoch


def best_epoch(rows: Sequence[Row], select: str) -> int | None:
    """The epoch that `train.select` chooses; the first one wins a tie. None if a value is missing or not finite."""
    direction, _, name = select.partition(" ")
    values = np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        return None
    return int(rows[int(values.argmax() if direction == "max" else values.argmin())]["epoch"])


def kept(known: Outcomes, fresh: ByEntry, rows: Sequence[Row], select: str) -> Outcomes:
    """The outcomes of the best and the last epoch: from those known so far, and from `fresh`, those of the newest row.

    The best epoch is left out if it was recorded before outcomes were kept.
    """
    if not fresh:
        return {}
    last = int(rows[-1]["epoch"])
    every = known | {last: fresh}
    return {epoch: every[epoch] for epoch in sorted({best_epoch(rows, select) or last, last}) if epoch in every}


def encode(outcomes: Outcomes) -> bytes:
    """The content of the .npz file: an array for each epoch and entry, `epoch/entry/examples`, with packed bits."""
    arrays = {f"{epoch}/{entry}/{len(values)}": np.packbits(values) if values.dtype == bool else values
              for epoch, entries in outcomes.items() for entry, values in entries.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    return buffer.getvalue()


def decode(data: bytes) -> Outcomes:
    """The outcomes that `encode` was given. Raises ValueError if the data are damaged."""
    found: Outcomes = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            for name, values in _arrays(arrays).items():
                epoch, entry, count = name.split("/")
                found.setdefault(int(epoch), {})[entry] = _whole(values, int(count))
    except (OSError, EOFError, LookupError, TypeError, AttributeError, RuntimeError, struct.error, zlib.error,
            zipfile.BadZipFile) as error:  # raised by readers of archives and arrays for damaged data
        raise ValueError(str(error)) from None
    return found


def _arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: arrays[name] for name in arrays}


def _whole(values: np.ndarray, count: int) -> np.ndarray:
    if values.dtype == np.uint8:
        values = np.unpackbits(values, count=count).astype(bool)
    if values.shape != (count,) or values.dtype not in (np.dtype(bool), np.dtype(np.float16)):
        raise ValueError(f"{values.dtype} {values.shape} are not the outcomes of {count} examples")
    return values
