"""BIDMC: the archive's files and windows cut from full recordings, small; and the real recordings where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_cards import Cards, own_cards
from sklearn.model_selection import train_test_split

from suite.config.fields import Data
from suite.config.run_config import RunConfig
from suite.data import splits, vitals
from suite.data.prepared import load

HEADER = "# made for a test\n@problemName BIDMC32HR\n@timeStamps false\n@dimensions 2\n@seriesLength 4000\n@data\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    with own_cards(tmp_path, monkeypatch) as own:
        yield own


def window(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((4000, 2)).astype(np.float32)


def line(number: int) -> str:
    ppg, ecg = (",".join(map(str, signal.tolist())) for signal in window(number).T)
    return f"{ppg}:{ecg}:{60 + number}.5"


def archive(made: Cards, name: str = "BIDMC32HR", train: int = 7, test: int = 3) -> Path:
    """The two files, in a folder below that of the variant; the TRAIN file's place."""
    folder = made.home / "bidmc32" / name
    folder.mkdir(parents=True)
    for part, numbers in (("TRAIN", range(train)), ("TEST", range(train, train + test))):
        (folder / f"{name}_{part}.ts").write_text(HEADER + "\n".join(map(line, numbers)) + "\n")
    return folder / f"{name}_TRAIN.ts"


def test_the_published_reshuffle() -> None:
    for count, expected in ((7949, (5564, 1192, 1193)), (7870, (5509, 1180, 1181))):
        rows = splits.reshuffled(count)
        assert tuple(len(part) for part in rows.values()) == expected
        train, rest = train_test_split(np.arange(count), test_size=0.3, random_state=0)
        val, test = train_test_split(rest, test_size=0.5, random_state=1)
        for split, indices in (("train", train), ("val", val), ("test", test)):
            np.testing.assert_array_equal(rows[split], indices)
    # Fixed for ever: the first indices that scikit-learn 1.9 gives.
    assert splits.reshuffled(7949)["train"][:3].tolist() == [4225, 7371, 6695]


def test_archive_is_train_then_test_reshuffled_and_raw(made: Cards) -> None:
    archive(made)
    data = made.load("bidmc_hr", "original")
    assert (data.length, data.channels, data.classes, data.rate_hz) == (4000, 2, None, 125.0)
    for split, rows in splits.reshuffled(10).items():
        batch = data.batch(split, np.arange(data.count(split)))
        np.testing.assert_array_equal(batch.x, np.stack([window(number) for number in rows]))
        assert batch.y.tolist() == [60.5 + number for number in rows]


def test_small_options_of_the_archive(made: Cards) -> None:
    archive(made, "BIDMC32SpO2")
    few = made.load("bidmc_spo2", "original", decimate=4, train_count=3, normalization="window")
    assert (few.length, few.rate_hz, few.count("train"), few.count("test")) == (1000, 31.25, 3, 2)
    x = few.batch("train", np.arange(3)).x
    assert x.mean(1).abs().max() < 1e-4 and (x.std(1) - 1).abs().max() < 0.01
    assert "give at most 7" in made.error("bidmc_spo2", "original", train_count=8)


class TestDamagedArchive:
    """Each is one error with file and line, and nothing is prepared."""

    def error(self, made: Cards, content: bytes) -> str:
        archive(made).write_bytes(content)
        return made.error("bidmc_hr", "original")

    def test_missing(self, made: Cards) -> None:
        text = made.error("bidmc_rr", "original")
        assert "BIDMC32 is not set; nor: " in text and "https://zenodo.org/records/4001456" in text
        archive(made)
        assert "bidmc32/BIDMC32RR_TRAIN.ts is not there" in made.error("bidmc_rr", "original")

    @pytest.mark.parametrize("value", ["nan", "?", "NaN", "inf", "1.5e", ""])
    def test_value_that_is_no_number(self, made: Cards, value: str) -> None:
        text = self.error(made, (HEADER + line(0) + "\n" + line(1).replace(",", f",{value},", 1)).encode())
        assert "BIDMC32HR_TRAIN.ts, line 8: " in text
        assert "value 2 is not a finite number" in text or "not a number" in text

    def test_target_that_is_no_number(self, made: Cards) -> None:
        assert "line 7: value 1 is not a finite number" in self.error(made, (HEADER + line(0)[:-4] + "nan").encode())

    def test_cut_short(self, made: Cards) -> None:
        whole = (HEADER + line(0) + "\n" + line(1)).encode()
        assert "line 8: 1 dimensions and a target, not 2" in self.error(made, whole[:-len(line(1)) // 4])

    def test_other_length(self, made: Cards) -> None:
        text = self.error(made, (HEADER + "1,2,3:1,2,3:60").encode())
        assert "line 7: series of 3, 3 values, not 4000: the file is truncated, or of another data set" in text

    def test_no_examples(self, made: Cards) -> None:
        assert "has no examples after a line @data" in self.error(made, HEADER.encode())

    def test_not_utf8(self, made: Cards) -> None:
        assert "BIDMC32HR_TRAIN.ts, line 1: not UTF-8" in self.error(made, b"# \xe9\n" + HEADER.encode())


def recordings(made: Cards, **changes: object) -> None:
    """Two recordings of 64 s, as the card wants them."""
    rng = np.random.default_rng(5)
    rows = [{"id": f"bidmc_{k:02}", "ppg": rng.standard_normal(8001), "ecg": rng.standard_normal(8001),
             "hr": 60.0 + np.arange(65), "rr": np.where(np.arange(65) < 40, 0.0, 12.0), "spo2": np.full(65, 97.0),
             "signal_rate": 125, "numerics_start": -k} for k in (0, 1)]
    rows[0]["spo2"][:36] = np.nan
    rows[1] |= changes
    kinds = {"id": pa.string(), "signal_rate": pa.int32(), "numerics_start": pa.int32()}
    table = pa.table({key: pa.array([row[key] if key in kinds else np.asarray(row[key], np.float32) for row in rows],
                                    kinds.get(key, pa.list_(pa.float32()))) for key in rows[0]})
    (made.home / "bidmc").mkdir()
    pq.write_table(table, made.home / "bidmc" / "recordings.parquet")
    made.accept("bidmc", "cut")


def test_windows_every_3_seconds_with_the_mean_of_the_sign(made: Cards) -> None:
    recordings(made)
    data = made.load("bidmc_hr", "cut")
    rows = pq.read_table(made.home / "bidmc" / "recordings.parquet").to_pylist()
    assert sum(data.count(split) for split in ("train", "val", "test")) == 22
    y, x = np.zeros(22), np.zeros((22, 4000, 2))
    for split, numbers in splits.reshuffled(22).items():
        y[numbers], x[numbers] = data.arrays[f"{split}/y"], data.arrays[f"{split}/x"]
    starts = 3 * np.arange(11)
    np.testing.assert_allclose(y, np.concatenate([60 + starts + 15.5, 60 + starts + 16.5]))  # the second starts at -1 s
    for k, row in enumerate(rows):
        for number, start in enumerate(starts):
            np.testing.assert_array_equal(x[11 * k + number, :, 1],
                                          np.float32(row["ecg"][125 * start:125 * start + 4000]))


def test_a_window_without_the_sign_is_left_out(made: Cards) -> None:
    recordings(made)
    for task, starts in (("bidmc_rr", ([9, 12, 15, 18, 21, 24, 27, 30],) * 2),
                         ("bidmc_spo2", ([6, 9, 12, 15, 18, 21, 24, 27, 30], range(0, 33, 3)))):
        data = made.load(task, "cut")
        assert sum(data.count(split) for split in ("train", "val", "test")) == sum(map(len, starts)), task
    assert (made.load("bidmc_spo2", "cut").batch("train", np.arange(4)).y == 97).all()


def test_no_recording_is_in_two_splits() -> None:
    names = np.repeat([f"bidmc_{k:02}" for k in range(53)], 3)
    rows = vitals.by_recording(names)
    parts = {split: set(names[indices]) for split, indices in rows.items()}
    assert [len(part) for part in parts.values()] == [37, 8, 8] and len(set.union(*parts.values())) == 53
    assert sorted(np.concatenate(list(rows.values()))) == list(range(159))


@pytest.mark.parametrize(("changes", "text"), [
    ({"signal_rate": 250}, "bidmc_01 has 250 samples per second, not 125"),
    ({"ecg": np.zeros(8000)}, "bidmc_01 has 8000 samples of ecg, not 8001"),
    ({"ppg": np.where(np.arange(8001) == 250, np.nan, 0)}, "bidmc_01 has a value of ppg that is not a finite number"),
])
def test_bad_recordings(made: Cards, changes: dict[str, object], text: str) -> None:
    recordings(made, **changes)
    assert text in made.error("bidmc_hr", "cut")


def test_a_recordings_file_that_is_another(made: Cards) -> None:
    recordings(made)
    with (made.home / "bidmc" / "recordings.parquet").open("ab") as file:
        file.write(b"more")
    assert "is damaged or not the right file: sha256" in made.error("bidmc_hr", "cut")


@pytest.mark.skipif("SUITE_DATA" not in os.environ, reason="SUITE_DATA is not set: the full files are not here")
def test_the_real_recordings_give_the_published_counts_plus_one(tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path))
    counts = {}
    for task in ("bidmc_hr", "bidmc_rr"):
        data = load(Data(name="bidmc", variant="cut", decimate=8), task)
        counts[task] = [data.count(split) for split in ("train", "val", "test")]
        assert (data.length, data.rate_hz) == (500, 15.625)
    assert counts == {"bidmc_hr": [5565, 1192, 1193], "bidmc_rr": [5509, 1181, 1181]}
    assert (sum(counts["bidmc_hr"]), sum(counts["bidmc_rr"])) == (7949 + 1, 7870 + 1)
    honest = load(Data(name="bidmc", variant="cut", decimate=8, split="recording"), "bidmc_hr")
    assert [honest.count(split) for split in ("train", "val", "test")] == [5550, 1200, 1200]


class TestSample:
    """The windows in the repository, as they are and in the small forms of the mini profile."""

    def test_reshuffled_as_published(self, made: Cards) -> None:
        whole = made.load("bidmc_spo2", "sample")
        mixed = made.load("bidmc_spo2", "sample", split="reshuffle")
        parts = {split: whole.batch(split, np.arange(whole.count(split))) for split in ("train", "val", "test")}
        x, y = (np.concatenate([getattr(part, name).numpy() for part in parts.values()]) for name in ("x", "y"))
        for split, rows in splits.reshuffled(794).items():
            batch = mixed.batch(split, np.arange(mixed.count(split)))
            np.testing.assert_array_equal(batch.x, x[rows])
            np.testing.assert_array_equal(batch.y, y[rows])

    def test_decimated_and_centred(self, made: Cards) -> None:
        whole = made.load("bidmc_hr", "sample")
        small = made.load("bidmc_hr", "sample", decimate=4, targets="centred")
        assert (small.length, small.rate_hz, small.count("val")) == (250, 31.25 / 4, 120)
        every = np.arange(120)
        expected = np.stack([vitals.decimated_signals(window, 4) for window in whole.batch("val", every).x.numpy()])
        np.testing.assert_allclose(small.batch("val", every).x, expected, atol=1e-5)
        mean = float(whole.batch("train", np.arange(whole.count("train"))).y.mean())
        np.testing.assert_allclose(small.batch("val", every).y + mean, whole.batch("val", every).y, atol=1e-4)

    def test_options_at_what_was_done_before_them_are_no_part_of_a_runs_identity(self) -> None:
        before = {"split": "recording", "decimate": 1, "targets": "raw"}
        ids = {RunConfig.build({"task": "bidmc_hr", "data.variant": "sample"} | options).run_id
               for options in ({}, {f"data.{key}": value for key, value in before.items()})}
        assert len(ids) == 1
