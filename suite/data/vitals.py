"""BIDMC: a vital sign from windows of photoplethysmogram and electrocardiogram. Paper, appendix B; see the card."""

from __future__ import annotations

from typing import Any

import numpy as np

from suite.data.families import Facts, Prepared
from suite.data.source import Source
from suite.errors import UserError

VIEWS = {"bidmc_hr": "hr", "bidmc_rr": "rr", "bidmc_spo2": "spo2"}
SECONDS = 32
RATES = {"sample": 31.25}
SIGNALS = ("ppg", "ecg")


def prepare(source: Source, view: str) -> Prepared:
    """Windows (n, 32 s, 2) float32 of PPG and ECG; targets in beats or breaths a minute, or percent.

    Windows whose target is null (the sign was not measured) are left out. Option `normalization`: `none`, as in the
    paper, or `window`, each signal of each window to mean 0 and standard deviation 1. Raises UserError for a window of
    another length or sampling rate and for a value that is no finite number.
    """
    columns = dict.fromkeys(SIGNALS, "List")
    columns |= dict.fromkeys(("scale", "sampling_rate", "recording", "start", view), "Value")
    rate = RATES[source.variant]
    arrays: dict[str, np.ndarray] = {}
    for split in source.splits:
        rows = source.rows(split, columns)
        x, y = windows(rows, view, rate, f"{source.place}, {split}")
        if source.options["normalization"] == "window":
            x = (x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-5)  # a flat line stays finite
        arrays |= {f"{split}/x": x.astype(np.float32), f"{split}/y": y.astype(np.float32)}
    return Prepared(Facts(length=int(SECONDS * rate), channels=len(SIGNALS), rate_hz=rate), arrays)


def windows(rows: Any, view: str, rate: float, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Signals (n, 32 s, 2) and targets (n,) float64 of the rows that have a target."""
    kept = [i for i, value in enumerate(rows[view]) if value is not None]
    size = int(SECONDS * rate)
    x = np.empty((len(kept), size, len(SIGNALS)))
    y = np.empty(len(kept))
    for k, row in enumerate(rows.select(kept).with_format("numpy")):
        name = f"the window of {row['recording']} at {row['start']} s"
        if row["sampling_rate"] != rate:
            raise UserError(f"{name} has {row['sampling_rate']} samples a second, not {rate}", where)
        for c, signal in enumerate(SIGNALS):
            if row[signal].shape != (size,):
                raise UserError(f"{name} has {len(row[signal])} samples of {signal}, not {size}", where)
            x[k, :, c] = row[signal] / row["scale"] if row["scale"] else np.nan
            if not np.isfinite(x[k, :, c]).all():
                raise UserError(f"{name} has a value of {signal} that is no finite number", where)
        if not np.isfinite(row[view]):
            raise UserError(f"{name} has a value of {view} that is no finite number", where)
        y[k] = row[view]
    return x, y
