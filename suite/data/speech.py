"""Speech Commands: raw waveforms of one second. Paper, appendix B; see the card."""

from __future__ import annotations

from typing import Any

import numpy as np

from suite.data import clips, splits
from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError

VIEWS = {"sc_ar": "waveform", "sc_bi": "waveform"}
RATE = 16_000
SMALL_RATE = 2000  # of the sample in the repository; its clips are already padded and decimated
FULL_SCALE = 32768  # of 16-bit samples
# The published code divides by full scale twice before it adds 1e-5 to the standard deviation, so that 1e-5 dominates.
# In units of 16-bit samples, it adds this much.
PAPER_FLOOR = 1e-5 * FULL_SCALE**2
PLAIN_FLOOR = 1e-5
COLUMNS_AT_ONCE = 250  # of the training clips in float64: 170 MB for all of the original


def prepare(source: Source, view: str) -> Prepared:
    """Waveforms (n, rate, 1) int16, standardized at each time step over the training clips.

    Options: `normalization`: `paper`, (a - m)/(s + 0.32768) with a in [-1, 1] and the unbiased s, or `plain`,
    (a - m)/s; `decimate`; for the clips of the release also `train_count`. Raises UserError for a clip that is longer
    than a second or has another sampling rate.
    """
    small = source.variant == "sc17-2khz"
    factor = source.options["decimate"]
    if source.variant == "original":
        arrays, classes = clips.archive(source, RATE, factor), len(clips.WORDS)
    else:
        arrays, classes = from_parquet(source, SMALL_RATE if small else RATE, factor, padded=small)
    chosen = splits.drawn(len(arrays["train/y"]), 0 if small else source.options["train_count"])
    if len(chosen) < len(arrays["train/y"]):
        arrays |= {name: arrays[name][chosen] for name in ("train/x", "train/y")}
    arrays |= statistics(arrays["train/x"], PAPER_FLOOR if source.options["normalization"] == "paper" else PLAIN_FLOOR)
    rate = arrays["train/x"].shape[1]
    return Prepared(Facts(length=rate, channels=1, classes=classes, rate_hz=float(rate)), arrays)


def statistics(train: np.ndarray, floor: float) -> dict[str, np.ndarray]:
    """Offset and scale, each (L, 1) float32, from mean and unbiased deviation of clips (n, L, 1) at each time step."""
    mean, deviation = np.empty(train.shape[1:]), np.empty(train.shape[1:])
    for start in range(0, train.shape[1], COLUMNS_AT_ONCE):
        part = slice(start, start + COLUMNS_AT_ONCE)
        values = train[:, part].astype(np.float64)
        mean[part], deviation[part] = values.mean(0), values.std(0, ddof=1)
    return {"offset": mean.astype(np.float32), "scale": (1 / (deviation + floor)).astype(np.float32)}


def from_parquet(source: Source, rate: int, factor: int, padded: bool) -> tuple[dict[str, np.ndarray], int]:
    """Clips and labels of each split's Parquet file, and the number of classes. `padded`: clips have full length."""
    columns = {"waveform": "List", "sampling_rate": "Value", "label": "ClassLabel", "speaker": "Value", "file": "Value"}
    arrays: dict[str, np.ndarray] = {}
    classes = 0
    for split in source.splits:
        rows = source.rows(split, columns)
        classes = rows.features["label"].num_classes
        arrays |= {f"{split}/x": waveforms(rows, rate, factor, padded, f"{source.place}, {split}"),
                   f"{split}/y": np.asarray(rows["label"], np.int64)}
    return arrays, classes


def waveforms(rows: Any, rate: int, factor: int, padded: bool, where: str) -> np.ndarray:
    """Samples (n, rate/factor, 1) int16 of clips of a second."""
    seconds = np.empty((len(rows), rate // factor, 1), np.int16)
    for i, row in enumerate(track(rows.with_format("numpy"), "reading clips", len(rows))):
        if row["sampling_rate"] != rate:
            raise UserError(f"the clip {row['file']} has {row['sampling_rate']} samples per second, not {rate}", where)
        if padded and len(row["waveform"]) != rate:
            raise UserError(f"the clip {row['file']} has {len(row['waveform'])} samples, not {rate}", where)
        seconds[i, :, 0] = clips.second(row["waveform"], rate, factor, f"the clip {row['file']}", where)
    return seconds
