"""Makes `datasets/samples/*.parquet` from the Parquet files in SUITE_DATA: `python tools/make_samples.py [NAME ...]`.

The same source and the same pyarrow give the same bytes. What was drawn, filtered and left out stands on the cards.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from suite.data import cards, clips
from suite.errors import UserError, nearest

SAMPLES = cards.CARDS / "samples"
COMMAND = "python tools/make_samples.py"
LARGEST = 12_000_000  # bytes, all samples together
SEED = 2022
CIFAR_COUNTS = {"train": 5000, "val": 1000, "test": 1000}
WORDS = ["bed", "cat", "down", "eight", "five", "go", "happy", "left", "no", "off", "on", "one", "right", "stop", "up",
         "yes", "zero"]
SPEECH_RATE, SPEECH_FACTOR = 16_000, 8
VITALS_RATE, VITALS_FACTOR, VITALS_SECONDS = 125, 4, 32
VITALS_SCALE = 4096  # steps a unit: finer than the finest digitiser of the recordings, and +-8 fits 16 bits
VITALS_SPLITS = {"train": 37, "val": 8, "test": 8}
VITALS_TARGETS = ("hr", "rr", "spo2")
IMDB_LONGEST = 700  # characters
IMDB_FILMS = {"val": 150, "test": 300}  # the rest are for training
Columns = dict[str, Any]


def main(names: Sequence[str]) -> None:
    """Write the samples of these data sets (all, if none is named). Raises UserError, and then leaves no half file."""
    unknown = [name for name in names if name not in MAKERS]
    if unknown:
        raise UserError(f"no sample is made of {unknown[0]!r}", COMMAND, nearest(unknown[0], MAKERS))
    if not os.environ.get("SUITE_DATA"):
        raise UserError("the environment variable SUITE_DATA is not set", COMMAND,
                        "export SUITE_DATA=/folder/of/the/full/Parquet/files")
    for name in names or MAKERS:
        for split, columns, features in MAKERS[name](Path(os.environ["SUITE_DATA"])):
            content = parquet_bytes(columns, features)
            path = write(SAMPLES / f"{name}-{split}.parquet", content)
            print(f"{path.name}: {len(columns['label' if 'label' in columns else 'hr'])} rows, {len(content):,} bytes, "
                  f"sha256 {hashlib.sha256(content).hexdigest()}")
    total = sum(path.stat().st_size for path in SAMPLES.glob("*.parquet"))
    print(f"{total:,} bytes in all")
    if total > LARGEST:
        raise UserError(f"the samples take {total:,} bytes, more than {LARGEST:,}", str(SAMPLES), "lower the counts")


def cifar10(source: Path) -> Iterator[tuple[str, Columns, Any]]:
    """Class-balanced parts of CIFAR-10 with the images' stored bytes. Rows go in rounds of all classes."""
    rng = np.random.default_rng(SEED)
    for file, splits in (("train", ("train", "val")), ("test", ("test",))):
        rows = read_table(source / "cifar10" / f"{file}.parquet")
        order = rounds(np.asarray(rows["label"]), rng)
        for split in splits:
            chosen, order = order[:CIFAR_COUNTS[split]], order[CIFAR_COUNTS[split]:]
            images = rows["image"]
            yield split, {"image": [images[i] for i in chosen], "label": [rows["label"][i] for i in chosen]}, \
                rows["features"]


def rounds(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices (n,) in random order such that each stretch of as many rows as classes holds every class once."""
    columns = np.stack([rng.permutation(np.flatnonzero(labels == k)) for k in range(labels.max() + 1)], axis=1)
    return rng.permuted(columns, axis=1).ravel()


def speech_commands(source: Path) -> Iterator[tuple[str, Columns, Any]]:
    """The 17 well-filled words at 2 kHz, in the splits of the source, which share no speaker."""
    from datasets import ClassLabel, Features, List, Value

    features = Features({"waveform": List(Value("int16")), "sampling_rate": Value("int32"),
                         "label": ClassLabel(names=WORDS), "speaker": Value("string"), "file": Value("string")})
    for split in ("train", "val", "test"):
        rows = read_table(source / "speech_commands" / f"{'validation' if split == 'val' else split}.parquet")
        words = rows["features"]["label"].names
        chosen = [i for i, label in enumerate(rows["label"]) if words[label] in WORDS]
        yield split, {
            "waveform": [slower(rows["waveform"][i]) for i in chosen],
            "sampling_rate": [SPEECH_RATE // SPEECH_FACTOR] * len(chosen),
            "label": [WORDS.index(words[rows["label"][i]]) for i in chosen],
            **{key: [rows[key][i] for i in chosen] for key in ("speaker", "file")},
        }, features


def slower(clip: Sequence[int]) -> np.ndarray:
    """One second at 2 kHz (2000,) of a clip at 16 kHz, zero-padded at its end and low-passed before decimation."""
    full = np.zeros(SPEECH_RATE)
    full[:len(clip)] = clip
    return clips.decimated_clip(full, SPEECH_FACTOR)


def bidmc(source: Path) -> Iterator[tuple[str, Columns, Any]]:
    """Windows of 32 s at 31.25 Hz, end to end, with the mean of each vital sign. No recording is in two splits."""
    from datasets import Features, List, Value

    signal = List(Value("int16"))
    features = Features({"ppg": signal, "ecg": signal, "scale": Value("int32"), "sampling_rate": Value("float32"),
                         **{name: Value("float32") for name in VITALS_TARGETS},
                         "recording": Value("string"), "start": Value("int32")})
    rows = read_table(source / "bidmc" / "recordings.parquet")
    order = np.random.default_rng(SEED).permutation(len(rows["id"]))
    for split, count in VITALS_SPLITS.items():
        chosen, order = np.sort(order[:count]), order[count:]
        recordings = ({key: rows[key][i] for key in rows if key != "features"} for i in chosen)
        windows = [window for recording in recordings for window in windows_of(recording)]
        yield split, {key: [window[key] for window in windows] for key in features}, features


def windows_of(recording: Columns) -> Iterator[Columns]:
    """The windows of one recording: signals (1000,) int16 in steps of 1/4096, targets None where half is missing."""
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


def imdb(source: Path) -> Iterator[tuple[str, Columns, Any]]:
    """Short reviews, half for and half against, of films with two or more. No film and no text is in two splits."""
    from datasets import Features

    known: set[str] = set()
    for file in ("train", "test"):
        rows = read_table(source / "imdb" / f"{file}.parquet")
        chosen = short_reviews(rows, known)
        titles = list(dict.fromkeys(rows["title"][i] for i in chosen))
        known |= {*titles, *(rows["text"][i] for i in chosen)}
        order = [titles[i] for i in np.random.default_rng(SEED).permutation(len(titles))]
        first = IMDB_FILMS["val" if file == "train" else "test"]
        parts = {"train": order[first:], "val": order[:first]} if file == "train" else {"test": order[:first]}
        for split, films in parts.items():
            kept = equal_classes([i for i in chosen if rows["title"][i] in films], rows)
            features = Features({name: rows["features"][name] for name in ("text", "label", "title")})
            yield split, {name: [rows[name][i] for i in kept] for name in features}, features


def short_reviews(rows: Columns, known: set[str]) -> list[int]:
    """Rows with short texts that are not known, each text once, of films of which there are two."""
    first: dict[str, int] = {}
    for i, (text, title) in enumerate(zip(rows["text"], rows["title"], strict=True)):
        if len(text) <= IMDB_LONGEST and text not in known and title not in known:
            first.setdefault(text, i)
    count = Counter(rows["title"][i] for i in first.values())
    return [i for i in first.values() if count[rows["title"][i]] > 1]


def equal_classes(chosen: list[int], rows: Columns) -> list[int]:
    """The rows without so many of the commoner class that both are equal; films keep two reviews."""
    surplus = 2 * sum(rows["label"][i] for i in chosen) - len(chosen)
    count = Counter(rows["title"][i] for i in chosen)
    dropped: set[int] = set()
    for i in np.random.default_rng(SEED).permutation(chosen).tolist():
        if len(dropped) < abs(surplus) and rows["label"][i] == (surplus > 0) and count[rows["title"][i]] > 2:
            count[rows["title"][i]] -= 1
            dropped.add(i)
    return [i for i in chosen if i not in dropped]


def read_table(path: Path) -> Columns:
    """Columns of a Parquet file as lists, images as they are stored, and its Hugging Face `features`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from datasets import Features

    if not path.is_file():
        raise UserError("no such file", str(path), "SUITE_DATA must name the folder of the full Parquet files")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"not a Parquet file that can be read: {error}", str(path)) from error
    return {name: table[name].to_pylist() for name in table.column_names} | \
        {"features": Features.from_arrow_schema(table.schema)}


def parquet_bytes(columns: Columns, features: Any) -> bytes:
    """The columns as one Parquet file, with the column types that Hugging Face `datasets` reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features.arrow_schema
    table = pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
    # Neighbouring samples of a signal are close to each other: differences take fewer bits than values.
    signals = {f"{field.name}.list.element": "DELTA_BINARY_PACKED" for field in schema if pa.types.is_list(field.type)}
    plain = {field.name: "PLAIN" for field in schema if not pa.types.is_nested(field.type)}
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd", compression_level=19,
                   **({"use_dictionary": False, "column_encoding": signals | plain} if signals else {}))
    return file.getvalue()


def write(path: Path, content: bytes) -> Path:
    """Put the file in place whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        half.write_bytes(content)
        half.replace(path)
    except OSError as error:
        raise UserError(f"the file cannot be written: {error.strerror}", str(path)) from error
    finally:
        half.unlink(missing_ok=True)
    return path


MAKERS: dict[str, Callable[[Path], Iterator[tuple[str, Columns, Any]]]] = {
    "cifar10": cifar10, "speech_commands": speech_commands, "bidmc": bidmc,
    "imdb": imdb}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
