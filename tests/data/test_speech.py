"""The release of Speech Commands, as a folder and as an archive, small; and the subset where it is there."""

from __future__ import annotations

import io
import os
import tarfile
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from own_cards import Cards, own_cards
from scipy.signal import resample_poly

from suite.config.fields import Data
from suite.data import clips
from suite.data.prepared import load

COUNTS = {"train": 66, "val": 2, "test": 2}
LISTED = {"val": ["bed/b.wav", "zero/a.wav"], "test": ["visual/a.wav", "cat/b.wav"]}


def wav(samples: np.ndarray, rate: int = 16_000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(samples.dtype.itemsize)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def sound(word: str, take: str) -> np.ndarray:
    rng = np.random.default_rng([clips.WORDS.index(word), ord(take)])
    return rng.integers(-20_000, 20_000, 16_000 if take == "a" else 12_345).astype("<i2")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    """A release of two clips a word, unpacked, which the card takes for whole."""
    with own_cards(tmp_path, monkeypatch) as own:
        own.change("speech_commands", "original", lambda fields: fields.update(counts=COUNTS))
        folder = own.home / "speech_commands_v0.02"
        for word in (*clips.WORDS, "_background_noise_"):
            (folder / word).mkdir(parents=True)
        for word in clips.WORDS:
            for take in "ab":
                (folder / word / f"{take}.wav").write_bytes(wav(sound(word, take)))
        (folder / "_background_noise_" / "noise.wav").write_bytes(wav(np.zeros(99_999, "<i2")))
        for split, names in LISTED.items():
            (folder / clips.LISTS[split]).write_text("\n".join(names) + "\n")
        yield own


def pack(made: Cards, prefix: str = "./") -> Path:
    """The release as an archive in place of the folder."""
    folder, path = made.home / "speech_commands_v0.02", made.home / "speech_commands_v0.02.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(folder.rglob("*"), reverse=True):
            tar.add(file, prefix + file.relative_to(folder).as_posix(), recursive=False)
    folder.rename(made.home / "elsewhere")
    return path


def test_official_lists_and_zero_padding(made: Cards) -> None:
    data = made.load("sc_ar", "original")
    assert (data.length, data.channels, data.classes, data.rate_hz) == (16_000, 1, 35, 16_000.0)
    assert {split: data.count(split) for split in COUNTS} == COUNTS
    for split, names in LISTED.items():
        words = sorted(names)
        assert data.arrays[f"{split}/y"].tolist() == [clips.WORDS.index(name.partition("/")[0]) for name in words]
        for row, name in enumerate(words):
            samples = sound(name.partition("/")[0], name[-5])
            np.testing.assert_array_equal(data.arrays[f"{split}/x"][row, :len(samples), 0], samples)
            assert not data.arrays[f"{split}/x"][row, len(samples):].any()
    train = data.arrays["train/x"]
    assert len(np.unique(train[:, :100, 0], axis=0)) == 66
    a = train[:, :, 0] / 32768
    expected = (a[:3] - a.mean(0)) / (a.std(0, ddof=1) + 0.32768)
    np.testing.assert_allclose(data.batch("train", np.arange(3)).x[:, :, 0], expected, rtol=1e-4, atol=1e-6)
    half = data.batch("val", np.arange(2), rate=2)
    np.testing.assert_array_equal(half.x, data.batch("val", np.arange(2)).x[:, ::2])


def test_archive_and_folder_give_the_same(made: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made.load("sc_bi", "original").fingerprint
    path = pack(made)
    assert made.load("sc_bi", "original").fingerprint == folder
    monkeypatch.setenv("SPEECH_COMMANDS", str(path.rename(made.home / "named.tar.gz")))
    assert made.load("sc_bi", "original").fingerprint == folder


def test_small_options(made: Cards) -> None:
    few = made.load("sc_bi", "original", decimate=8, train_count=40, normalization="plain")
    assert (few.count("train"), few.count("val"), few.length, few.rate_hz) == (40, 2, 2000, 2000.0)
    expected = np.rint(resample_poly(np.pad(sound("bed", "b"), (0, 16_000 - 12_345)).astype(float), 1, 8))
    np.testing.assert_array_equal(few.arrays["val/x"][0, :, 0], expected)
    assert "66" in made.error("sc_bi", "original", train_count=67)


class TestDamage:
    """A release that is not whole, or not what it should be, is one error, and nothing is prepared."""

    def clip(self, made: Cards, content: bytes) -> str:
        (made.home / "speech_commands_v0.02" / "bed" / "a.wav").write_bytes(content)
        return made.error("sc_ar", "original")

    def test_missing(self, made: Cards) -> None:
        (made.home / "speech_commands_v0.02").rename(made.home / "other")
        text = made.error("sc_ar", "original")
        assert "SPEECH_COMMANDS is not set" in text and "speech_commands_v0.02.tar.gz is not there" in text
        assert "(2,429 MB to download)" in text and "--set data.variant=sc17-2khz" in text

    def test_clip_at_another_rate(self, made: Cards) -> None:
        text = self.clip(made, wav(sound("bed", "a")[:8000], rate=8000))
        assert "clip bed/a.wav has 1 channels of 16 bits at 8000 samples per second, not 1 of 16 bits at 16000" in text

    def test_clip_of_another_form(self, made: Cards) -> None:
        assert "2 channels of 16 bits" in self.clip(made, wav(sound("bed", "a"), channels=2))
        assert "1 channels of 8 bits" in self.clip(made, wav(np.zeros(9, np.uint8)))
        assert "bed/a.wav cannot be read as a WAV file" in self.clip(made, b"no sound")
        assert "bed/a.wav cannot be read as a WAV file: it ends early" in self.clip(made, b"")
        assert "bed/a.wav ends after 15500 of 16000 samples" in self.clip(made, wav(sound("bed", "a"))[:-1000])
        assert "bed/a.wav has 16001 samples, more than the 16000" in self.clip(made, wav(np.zeros(16_001, "<i2")))

    def test_clips_missing(self, made: Cards) -> None:
        folder = made.home / "speech_commands_v0.02"
        (folder / "dog" / "a.wav").unlink()
        assert "has 65 clips for train, not 66" in made.error("sc_ar", "original")
        (folder / "cat" / "b.wav").unlink()
        assert "lacks the clip cat/b.wav of its lists, and 0 more" in made.error("sc_ar", "original")

    def test_list_missing_or_not_utf8(self, made: Cards) -> None:
        path = made.home / "speech_commands_v0.02" / "testing_list.txt"
        path.write_bytes(b"cat/\xff.wav\n")
        assert "testing_list.txt is not UTF-8: invalid start byte at byte 4" in made.error("sc_ar", "original")
        path.unlink()
        assert "lacks testing_list.txt" in made.error("sc_ar", "original")

    @pytest.mark.parametrize("kept", [0, 10, 5_000, -2_000])
    def test_download_that_stopped(self, made: Cards, kept: int) -> None:
        path = pack(made)
        path.write_bytes(path.read_bytes()[:kept])
        assert "is truncated or damaged, as after an interrupted download" in made.error("sc_ar", "original")


@pytest.mark.skipif("SUITE_DATA" not in os.environ, reason="SUITE_DATA is not set: the full files are not here")
def test_the_real_subset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path))
    data = load(Data(name="speech_commands", variant="subset"), "sc_ar")
    assert [data.count(split) for split in ("train", "val", "test")] == [1532, 276, 381]
    assert (data.length, data.classes, data.rate_hz) == (16_000, 35, 16_000.0)
    spread = data.batch("train", np.arange(0, 1532, 4)).x.std().item()
    assert 0.1 < spread < 0.3  # paper section 5.4: about 0.2
    assert set(np.unique(data.arrays["test/y"])) == set(range(35))
    padded = [row for row in data.arrays["train/x"][:, :, 0] if not row[-100:].any()]
    assert 0 < len(padded) < 200


def test_the_sample_decimated(made: Cards) -> None:
    whole, small = (made.load("sc_ar", "sc17-2khz", **options) for options in ({}, {"decimate": 4}))
    assert (whole.length, small.length, small.rate_hz) == (2000, 500, 500.0)
    assert small.count("train") == 1262
