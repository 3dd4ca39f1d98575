"""Makes `datasets/samples/*.parquet` from the Parquet files in SUITE_DATA: `python tools/make_samples.py [NAME ...]`.

The same source and the same pyarrow give the same bytes. The cards say what was drawn, filtered and left out.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from suite.data import cards, clips, parquet, samples
from suite.data.samples import SEED, Part
from suite.errors import UserError, nearest

SAMPLES = cards.CARDS / "samples"
COMMAND = "python tools/make_samples.py"
LARGEST = 12_000_000  # bytes of all samples together
WORDS = ["bed", "cat", "down", "eight", "five", "go", "happy", "left", "no", "off", "on", "one", "right", "stop", "up",
         "yes", "zero"]
SPEECH_RATE, SPEECH_FACTOR = 16_000, 8
VITALS_RATE, VITALS_FACTOR, VITALS_SECONDS = 125, 4, 32
VITALS_SCALE = 4096  # steps per unit: finer than the finest digitiser of the recordings, and ±8 fits into 16 bits
VITALS_SPLITS = {"train": 37, "val": 8, "test": 8}
VITALS_TARGETS = ("hr", "rr", "spo2")
Columns = dict[str, Any]


def main(names: Sequence[str]) -> None:
    """Write the samples of these data sets (default: all). Raises UserError, without leaving incomplete files."""
    unknown = [name for name in names if name not in MAKERS]
    if unknown:
        raise UserError(f"there is no sample of {unknown[0]!r}", COMMAND, nearest(unknown[0], MAKERS))
    if not os.environ.get("SUITE_DATA"):
        raise UserError("the environment variable SUITE_DATA is not set", COMMAND,
                        "export SUITE_DATA=/folder/of/the/full/Parquet/files")
    for name in names or MAKERS:
        for part in MAKERS[name](Path(os.environ["SUITE_DATA"])):
            content = parquet.content(part.columns, part.features)
            path = samples.put(SAMPLES / f"{name}-{part.split}.parquet", content)
            rows = len(next(iter(part.columns.values())))
            digest = "" if name not in samples.MAKERS else f", of its rows {parquet.columns_digest(part.columns)}"
            print(f"{path.name}: {rows} rows, {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
                  + digest)
    total = sum(path.stat().st_size for path in SAMPLES.glob("*.parquet"))
    print(f"{total:,} bytes in all")
    if total > LARGEST:
        raise UserError(f"the samples take {total:,} bytes, more than {LARGEST:,}", str(SAMPLES), "lower the counts")


def speech_commands(source: Path) -> Iterator[Part]:
    """The 17 most frequent words at 2 kHz, in the splits of the source, which share no speaker."""
    from datasets import ClassLabel, Features, List, Value

    features = Features({"waveform": List(Value("int16")), "sampling_rate": Value("int32"),
                         "label": ClassLabel(names=WORDS), "speaker": Value("string"), "file": Value("string")})
    for split in ("train", "val", "test"):
        rows = parquet.read(source / "speech_commands" / f"{'validation' if split == 'val' else split}.parquet")
        words = rows["features"]["label"].names
        chosen = [i for i, label in enumerate(rows["label"]) if words[label] in WORDS]
        yield Part(split, {
            "waveform": [slower(rows["waveform"][i]) for i in chosen],
            "sampling_rate": [SPEECH_RATE // SPEECH_FACTOR] * len(chosen),
            "label": [WORDS.index(words[rows["label"][i]]) for i in chosen],
            **{key: [rows[key][i] for i in chosen] for key in ("speaker", "file")},
        }, features)


def slower(clip: Sequence[int]) -> np.ndarray:
    """One second at 2 kHz (2000,) of a clip at 16 kHz: zero-padded at the end, low-pass filtered and decimated."""
    full = np.zeros(SPEECH_RATE)
    full[:len(clip)] = clip
    return clips.decimated_clip(full, SPEECH_FACTOR)


def bidmc(source: Path) -> Iterator[Part]:
    """Consecutive windows of 32 s at 31.25 Hz, with the mean of each vital sign. No recording is in two splits."""
    from datasets import Features, List, Value

    signal = List(Value("int16"))
    features = Features({"ppg": signal, "ecg": signal, "scale": Value("int32"), "sampling_rate": Value("float32"),
                         **{name: Value("float32") for name in VITALS_TARGETS},
                         "recording": Value("string"), "start": Value("int32")})
    rows = parquet.read(source / "bidmc" / "recordings.parquet")
    order = np.random.default_rng(SEED).permutation(len(rows["id"]))
    for split, count in VITALS_SPLITS.items():
        chosen, order = np.sort(order[:count]), order[count:]
        recordings = ({key: rows[key][i] for key in rows if key != "features"} for i in chosen)
        windows = [window for recording in recordings for window in windows_of(recording)]
        yield Part(split, {key: [window[key] for window in windows] for key in features}, features)


def windows_of(recording: Columns) -> Iterator[Columns]:
    """The windows of one recording: signals (1000,) int16 in steps of 1/4096; targets None if over half is missing."""
    size = VITALS_SECONDS * VITALS_RATE // VITALS_FACTOR
    low = {key: resample_poly(np.asarray(recording[key], float), 1, VITALS_FACTOR, padtype="line")
           for key in ("ppg", "ecg")}
    for k in range((len(recording["ppg"]) - 1) // (VITALS_SECONDS * VITALS_RATE)):
        begin = k * VITALS_SECONDS - recording["numerics_start"]
        values = {key: np.asarray(recording[key][begin:begin + VITALS_SECONDS], float) for key in VITALS_TARGETS}
        yield {
            **{key: np.rint(low[key][k * size:(k + 1) * size] * VITALS_SCALE).astype(np.int16) for key in low},
            **{key: None if 2 * np.isnan(v).sum() > len(v) else float(np.nanmean(v)) for key, v in values.items()},
            "scale": VITALS_SCALE, "sampling_rate": VITALS_RATE / VITALS_FACTOR,
            "recording": recording["id"], "start": k * VITALS_SECONDS,
        }


def _full_files(name: str, source: Path) -> dict[str, Path]:
    return {split: source / name / f"{split}.parquet" for split in ("train", "test")}


MAKERS: dict[str, Callable[[Path], Iterator[Part]]] = {
    "cifar10": lambda source: samples.images(_full_files("cifar10", source)), "speech_commands": speech_commands,
    "bidmc": bidmc, "imdb": lambda source: samples.reviews(_full_files("imdb", source))}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
