"""Speech Commands as raw waveforms of one second. Paper, appendix B; see the card."""

from __future__ import annotations

from typing import Any

import numpy as np

from suite.data.families import Facts, Prepared
from suite.data.source import Source
from suite.errors import UserError

VIEWS = {"sc_ar": "waveform", "sc_bi": "waveform"}
RATES = {"sc17-2khz": 2000}
FULL_SCALE = 32768  # of 16-bit samples
# The published code divides by full scale twice before it adds 1e-5 to the standard deviation, so that the 1e-5
# outweighs it. In units of 16-bit samples it adds this much.
PAPER_FLOOR = 1e-5 * FULL_SCALE**2
PLAIN_FLOOR = 1e-5


def prepare(source: Source, view: str) -> Prepared:
    """Waveforms (n, rate, 1) int16, standardised per time step over the training clips.

    Option `normalization`: `paper`, (a - m)/(s + 0.32768) with a in [-1, 1] and the unbiased s; `plain`, (a - m)/s.
    Raises UserError for a clip of another length or sampling rate.
    """
    rate = RATES[source.variant]
    columns = {"waveform": "List", "sampling_rate": "Value", "label": "ClassLabel", "speaker": "Value", "file": "Value"}
    arrays: dict[str, np.ndarray] = {}
    classes = 0
    for split in source.splits:
        rows = source.rows(split, columns)
        classes = rows.features["label"].num_classes
        arrays |= {f"{split}/x": waveforms(rows, rate, f"{source.place}, {split}"),
                   f"{split}/y": np.asarray(rows["label"], np.int64)}
    train = arrays["train/x"].astype(np.float64)
    floor = PAPER_FLOOR if source.options["normalization"] == "paper" else PLAIN_FLOOR
    arrays |= {"offset": train.mean(0).astype(np.float32),
               "scale": (1 / (train.std(0, ddof=1) + floor)).astype(np.float32)}
    return Prepared(Facts(length=rate, channels=1, classes=classes, rate_hz=float(rate)), arrays)


def waveforms(rows: Any, rate: int, where: str) -> np.ndarray:
    """Samples (n, rate, 1) int16 of clips of exactly one second."""
    clips = np.empty((len(rows), rate, 1), np.int16)
    for i, row in enumerate(rows.with_format("numpy")):
        if row["sampling_rate"] != rate:
            raise UserError(f"the clip {row['file']} has {row['sampling_rate']} samples a second, not {rate}", where)
        if row["waveform"].shape != (rate,):
            raise UserError(f"the clip {row['file']} has {len(row['waveform'])} samples, not {rate}", where)
        clips[i, :, 0] = row["waveform"]
    return clips
