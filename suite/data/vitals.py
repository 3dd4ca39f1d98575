"""BIDMC: vital signs from windows of photoplethysmogram (PPG) and electrocardiogram (ECG). Paper, appendix B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from suite.data import splits, ts
from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError

VIEWS = {"bidmc_hr": "hr", "bidmc_rr": "rr", "bidmc_spo2": "spo2"}
SECONDS, STRIDE = 32, 3  # length of a window, and distance of windows
RATE = 125
SIGNALS = ("ppg", "ecg")
RECORDINGS = {"train": 37, "val": 8, "test": 8}  # split by recording, drawn by NumPy's generator with this seed
RECORDINGS_SEED = 2022
Windows = tuple[np.ndarray, np.ndarray, np.ndarray]  # signals (n, L, 2), targets (n,), recordings (n,) or (0,)


def prepare(source: Source, view: str) -> Prepared:
    """Windows (n, 32 s, 2) float32 of PPG and ECG. Targets are in beats or breaths per minute, or percent.

    Options: `normalization` (of each window), `split`, `decimate`; `train_count` if the source has all windows;
    `targets` for the sample.
    Raises UserError for a signal of another length or sampling rate, and for a value that is not finite.
    """
    if source.variant == "sample":
        factor, rate = source.options["decimate"], 31.25
        parts = {split: sampled(source, split, view, rate, factor) for split in source.splits}
        rate /= factor
        if source.options["split"] == "reshuffle":
            x, y = (np.concatenate(arrays) for arrays in zip(*parts.values(), strict=True))
            parts = {split: (x[chosen], y[chosen]) for split, chosen in splits.reshuffled(len(y)).items()}
    else:
        factor = source.options["decimate"]
        rate = RATE / factor
        x, y, recordings = READERS[source.variant](source, view, factor)
        rows = by_recording(recordings) if source.options.get("split") == "recording" else splits.reshuffled(len(y))
        rows["train"] = rows["train"][splits.drawn(len(rows["train"]), source.options["train_count"])]
        parts = {split: (x[chosen], y[chosen]) for split, chosen in rows.items()}
    offset = parts["train"][1].mean() if source.options.get("targets") == "centred" else 0.0
    arrays: dict[str, np.ndarray] = {}
    for split, (signals, targets) in parts.items():
        if source.options["normalization"] == "window":
            normalize(signals)
        arrays |= {f"{split}/x": signals.astype(np.float32, copy=False),
                   f"{split}/y": (targets - offset).astype(np.float32)}
    return Prepared(Facts(length=int(SECONDS * rate), channels=len(SIGNALS), rate_hz=rate), arrays)


def normalize(x: np.ndarray) -> None:
    """Standardize each signal of each window (n, L, 2) to mean 0 and standard deviation 1, in place."""
    for window in x:  # one at a time: a float64 copy of all windows would need much memory
        values = window.astype(np.float64)
        window[:] = (values - values.mean(0)) / (values.std(0) + 1e-5)  # a constant signal remains finite


def by_recording(recordings: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the windows of each split, with each recording in one split. `recordings`: (n,), of each window."""
    names = np.unique(recordings)
    order = np.random.default_rng(RECORDINGS_SEED).permutation(len(names))
    ends = np.cumsum(list(RECORDINGS.values()))
    return {split: np.flatnonzero(np.isin(recordings, names[order[end - count:end]]))
            for end, (split, count) in zip(ends, RECORDINGS.items(), strict=True)}


def cut_windows(source: Source, view: str, factor: int) -> Windows:
    """Windows of the full recordings, one every 3 s, each with the mean of the vital sign over its 32 s.

    The mean is over existing values. Windows without any, or with a mean of 0 (the monitor counted no breath), are left
    out.
    """
    kinds = dict.fromkeys((*SIGNALS, view), "List") | dict.fromkeys(("id", "signal_rate", "numerics_start"), "Value")
    rows = source.rows("recordings", kinds)
    x, y, recordings = [], [], []
    for row in track(rows.with_format("numpy"), "cutting windows", len(rows)):
        signals = decimated_signals(signals_of(row, source.place), factor)
        size = SECONDS * RATE // factor
        seconds = len(row[SIGNALS[0]]) // RATE
        for start in range(0, seconds - SECONDS + 1, STRIDE):
            begin = start - int(row["numerics_start"])
            target = mean(np.asarray(row[view], np.float64)[begin:begin + SECONDS])
            if not target:
                continue
            first = round(start * RATE / factor)
            x.append(signals[first:first + size].astype(np.float32))
            y.append(target)
            recordings.append(str(row["id"]))
    return np.stack(x), np.asarray(y), np.asarray(recordings)


def mean(values: np.ndarray) -> float:
    """The mean of the values (n,) that are not NaN. 0 if all are NaN."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else 0.0


def signals_of(row: Mapping[str, Any], where: str) -> np.ndarray:
    """PPG and ECG (samples, 2) float64 of one recording. Raises UserError for another sampling rate, and for NaN."""
    if row["signal_rate"] != RATE:
        raise UserError(f"{row['id']} has {row['signal_rate']} samples per second, not {RATE}", where)
    for signal in SIGNALS:
        if len(row[signal]) != len(row[SIGNALS[0]]):
            raise UserError(f"{row['id']} has {len(row[signal])} samples of {signal}, "
                            f"not {len(row[SIGNALS[0]])}", where)
        if not np.isfinite(row[signal]).all():
            at = int(np.flatnonzero(~np.isfinite(row[signal]))[0])
            raise UserError(f"{row['id']} has a value of {signal} that is not a finite number, at {at / RATE:g} s",
                            where)
    return np.stack([row[signal] for signal in SIGNALS], axis=1).astype(np.float64)


def decimated_signals(x: np.ndarray, factor: int) -> np.ndarray:
    """Signals (…, ceil(samples/factor), 2), low-pass filtered and decimated. Unchanged if the factor is 1."""
    from scipy.signal import resample_poly

    return x if factor == 1 else resample_poly(x, 1, factor, axis=-2, padtype="line")


def published(source: Source, view: str, factor: int) -> Windows:
    """Windows of the archive's TRAIN file, followed by those of its TEST file."""
    x, y = ts.read_files(source, [f"{view}_{part}" for part in ("train", "test")], len(SIGNALS), SECONDS * RATE)
    if factor > 1:
        x = np.stack([decimated_signals(window, factor).astype(np.float32) for window in x])
    return x, y, np.zeros(0)


def sampled(source: Source, split: str, view: str, rate: float, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Signals (n, 32 s, 2), decimated by `factor`, and targets (n,) float64, of the windows with a target."""
    columns = dict.fromkeys(SIGNALS, "List")
    columns |= dict.fromkeys(("scale", "sampling_rate", "recording", "start", view), "Value")
    rows, where = source.rows(split, columns), f"{source.place}, {split}"
    kept = [i for i, value in enumerate(rows[view]) if value is not None]
    size = int(SECONDS * rate)
    x = np.empty((len(kept), size, len(SIGNALS)))
    y = np.empty(len(kept))
    for k, row in enumerate(rows.select(kept).with_format("numpy")):
        name = f"the window of {row['recording']} at {row['start']} s"
        if row["sampling_rate"] != rate:
            raise UserError(f"{name} has {row['sampling_rate']} samples per second, not {rate}", where)
        for c, signal in enumerate(SIGNALS):
            if row[signal].shape != (size,):
                raise UserError(f"{name} has {len(row[signal])} samples of {signal}, not {size}", where)
            x[k, :, c] = row[signal] / row["scale"] if row["scale"] else np.nan
            if not np.isfinite(x[k, :, c]).all():
                raise UserError(f"{name} has a value of {signal} that is not a finite number", where)
        if not np.isfinite(row[view]):
            raise UserError(f"{name} has a value of {view} that is not a finite number", where)
        y[k] = row[view]
    return decimated_signals(x, factor), y


READERS: dict[str, Callable[[Source, str, int], Windows]] = {"original": published, "cut": cut_windows}
