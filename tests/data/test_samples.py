"""The samples in the repository: what they hold, and that their script makes them from the full files."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import make_samples
import numpy as np
import pyarrow.parquet as pq
import pytest

from suite.data import cards
from suite.errors import UserError

SAMPLED = {"cifar10": "sample", "speech_commands": "sc17-2khz", "bidmc": "sample", "imdb": "sample"}


@pytest.fixture(scope="module")
def tables() -> Mapping[str, Mapping[str, Any]]:
    """Data set, split → Arrow table."""
    files = {name: cards.load(name).variants[variant].files for name, variant in SAMPLED.items()}
    return {name: {split: pq.read_table(file.find()) for split, file in files[name].items()} for name in files}


@pytest.mark.parametrize("name", SAMPLED)
def test_files_are_those_of_the_card(name: str, tables: Any) -> None:
    variant = cards.load(name).variants[SAMPLED[name]]
    assert set(variant.files) == {"train", "val", "test"}
    for split, file in variant.files.items():
        assert hashlib.sha256(file.find().read_bytes()).hexdigest() == file.sha256
        assert len(tables[name][split]) == variant.counts[split]


def test_all_samples_fit_in_12_megabytes() -> None:
    sizes = {path.name: path.stat().st_size for path in make_samples.SAMPLES.iterdir()}
    assert sum(sizes.values()) <= 12_000_000
    assert set(sizes) == {f"{name}-{split}.parquet" for name in SAMPLED for split in ("train", "val", "test")}


def test_cifar_classes_are_equal_in_any_prefix(tables: Any) -> None:
    for table in tables["cifar10"].values():
        labels = np.asarray(table["label"]).reshape(-1, 10)
        assert (np.sort(labels, axis=1) == np.arange(10)).all()
        assert len({tuple(row) for row in labels}) > 90  # the order within a round differs: nothing cyclic to learn


def test_no_image_is_in_two_splits(tables: Any) -> None:
    files = [{image["path"] for image in table["image"].to_pylist()} for table in tables["cifar10"].values()]
    pixels = [{image["bytes"] for image in table["image"].to_pylist()} for table in tables["cifar10"].values()]
    assert [len(f) for f in files] == [5000, 1000, 1000]
    assert not files[0] & files[1]  # the test images come from another file with names of its own
    assert not pixels[0] & pixels[1] and not pixels[0] & pixels[2] and not pixels[1] & pixels[2]


def test_speech_has_every_word_in_each_split_and_no_speaker_in_two(tables: Any) -> None:
    counts = [np.bincount(table["label"], minlength=17) for table in tables["speech_commands"].values()]
    assert min(count.min() for count in counts) >= 9
    assert (sum(counts) == 106).all()
    speakers = [set(table["speaker"].to_pylist()) for table in tables["speech_commands"].values()]
    assert len(set.union(*speakers)) == sum(map(len, speakers))


def test_reviews_are_balanced_and_no_film_or_text_is_in_two_splits(tables: Any) -> None:
    columns = {split: table.to_pydict() for split, table in tables["imdb"].items()}
    for name in ("text", "title"):
        values = [set(part[name]) for part in columns.values()]
        assert len(set.union(*values)) == sum(map(len, values))
    for part in columns.values():
        assert 2 * sum(part["label"]) == len(part["label"])
        assert len(set(part["text"])) == len(part["text"]) and max(map(len, part["text"])) <= 700
        assert min(Counter(part["title"]).values()) >= 2


def test_bidmc_has_every_recording_once_and_none_in_two_splits(tables: Any) -> None:
    recordings = [set(table["recording"].to_pylist()) for table in tables["bidmc"].values()]
    assert [len(r) for r in recordings] == [37, 8, 8]
    assert set.union(*recordings) == {f"bidmc_{k:02d}" for k in range(1, 54)}
    for table in tables["bidmc"].values():
        assert set(np.unique(table["start"])) == set(range(0, 480, 32))


def test_bidmc_targets_missing_are_those_of_the_card(tables: Any) -> None:
    train = tables["bidmc"]["train"].to_pylist()
    missing = {(name, row["recording"], row["start"]) for row in train for name in ("hr", "rr", "spo2")
               if row[name] is None}
    assert missing == {("rr", "bidmc_13", 192), ("rr", "bidmc_13", 224), ("rr", "bidmc_13", 416),
                       ("spo2", "bidmc_19", 384)}
    about = cards.load("bidmc").variants["sample"].about
    assert "bidmc_13 at 192, 224 and 416 s" in " ".join(about.split())
    for split in ("val", "test"):
        assert all(tables["bidmc"][split][name].null_count == 0 for name in ("hr", "rr", "spo2"))


def test_hugging_face_reads_names_and_images(tmp_path: Path) -> None:
    import datasets

    files = {split: str(make_samples.SAMPLES / f"cifar10-{split}.parquet") for split in ("val", "test")}
    sets = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    row = sets["val"][0]
    assert row["image"].size == (32, 32) and row["image"].mode == "RGB"
    assert sets["test"].features["label"].names[:3] == ["airplane", "automobile", "bird"]


def test_decimation_keeps_low_tones_and_removes_high_ones() -> None:
    time = np.arange(16_000) / 16_000
    low, high = (10_000 * np.sin(2 * np.pi * tone * time) for tone in (400, 3000))
    kept = make_samples.slower(low.astype(np.int16))
    expected = 10_000 * np.sin(2 * np.pi * 400 * np.arange(2000) / 2000)
    assert kept.shape == (2000,) and kept.dtype == np.int16
    assert np.abs(kept - expected)[100:-100].max() < 100  # sample k stands for time k/2000: no delay
    assert np.abs(make_samples.slower(high.astype(np.int16)))[100:-100].max() < 20


def test_short_clips_end_in_silence_and_loud_ones_are_clipped() -> None:
    assert np.abs(make_samples.slower(np.full(8000, 5000, np.int16))[1100:]).max() == 0
    square = np.where(np.arange(16_000) // 40 % 2, 32767, -32768)
    assert make_samples.slower(square).max() == 32767 and make_samples.slower(square).min() == -32768


@pytest.mark.parametrize("start", [0, -1])
def test_windows_and_their_targets_cover_the_same_seconds(start: int) -> None:
    ramp = np.arange(481.0) + start  # the value of each second is its time
    gaps = ramp.copy()
    gaps[10:20] = np.nan  # a third of window 0: the mean is over the rest
    gaps[40:60] = np.nan  # most of window 1
    signal = np.arange(60_001) / 125 / 480  # a slow ramp passes the filter
    rows = list(make_samples.windows_of({"id": "r", "ppg": signal, "ecg": -signal, "hr": ramp, "rr": gaps, "spo2": ramp,
                             "numerics_start": start}))
    assert [row["start"] for row in rows] == list(range(0, 480, 32))
    assert [row["hr"] for row in rows] == [32 * k + 15.5 for k in range(15)]
    assert rows[1]["rr"] is None and rows[2]["rr"] == rows[2]["hr"]
    present = [t for t in range(32) if not 10 <= t - start < 20]
    assert rows[0]["rr"] == pytest.approx(np.mean(present))
    ppg = np.concatenate([row["ppg"] for row in rows]) / make_samples.VITALS_SCALE
    assert ppg.shape == (15_000,)
    assert np.abs(ppg - np.arange(15_000) / 31.25 / 480).max() < 1e-3


def test_script_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no sample of 'cifar'\n.*did you mean 'cifar10'"):
        make_samples.main(["cifar"])
    monkeypatch.delenv("SUITE_DATA", raising=False)
    with pytest.raises(UserError, match="SUITE_DATA is not set"):
        make_samples.main([])
    monkeypatch.setenv("SUITE_DATA", str(tmp_path))
    monkeypatch.setattr(make_samples, "SAMPLES", tmp_path / "out")
    with pytest.raises(UserError, match=r"recordings\.parquet: no such file"):
        make_samples.main(["bidmc"])
    (tmp_path / "bidmc").mkdir()
    (tmp_path / "bidmc" / "recordings.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UserError, match=r"recordings\.parquet: this Parquet file cannot be read"):
        make_samples.main(["bidmc"])
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.environ.get("SUITE_DATA"), reason="SUITE_DATA is not set: the full files are not here")
def test_script_makes_the_same_bytes_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(make_samples, "SAMPLES", tmp_path)
    make_samples.main([])
    made = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert made == {file.find().name: file.sha256 for name, variant in SAMPLED.items()
                    for file in cards.load(name).variants[variant].files.values()}
