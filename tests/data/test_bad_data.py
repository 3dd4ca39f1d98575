"""Source files that are missing, damaged or of another form: each is one error, and nothing stays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import make_samples
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from datasets import Features
from suite.config.run_config import RunConfig
from suite.data import cards, parquet
from suite.data.prepared import load
from suite.data.tasks import TASKS
from suite.errors import UserError

SAMPLED = {"cifar10": "sample", "speech_commands": "sc17-2khz", "bidmc": "sample"}


class TestBadFiles:
    """Each is one UserError that says what, where and how to mend it, and leaves nothing in the cache."""

    @pytest.fixture(autouse=True)
    def own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """A cache and cards of this test's own."""
        self.cards, self.cache, self.patch = tmp_path / "datasets", tmp_path / "cache", monkeypatch
        self.cards.mkdir()
        for path in cards.CARDS.glob("*.yaml"):
            (self.cards / path.name).write_text(path.read_text().replace("datasets/samples", str(make_samples.SAMPLES)))
        monkeypatch.setattr(cards, "CARDS", self.cards)
        monkeypatch.setenv("SUITE_CACHE", str(self.cache))
        cards.load.cache_clear()
        yield
        cards.load.cache_clear()

    def message(self, task: str, variant: str = "") -> str:
        flat = {"task": task, "data.variant": variant or SAMPLED[TASKS[task].data]}
        with pytest.raises(UserError) as caught:
            load(RunConfig.build(flat).data, task)
        assert len(caught.value.problems) == 1
        assert [path for path in self.cache.iterdir() if path.suffix != ".lock"] == []
        return str(caught.value)

    def replace(self, name: str, content: bytes) -> None:
        """Make this file all splits of the card, with the right sha256."""
        file = self.cards / "other.parquet"
        file.write_bytes(content)
        card = self.cards / f"{name}.yaml"
        fields = yaml.safe_load(card.read_text())
        variant = fields["variants"][SAMPLED[name]]
        entry = {"path": str(file), "sha256": hashlib.sha256(content).hexdigest()}
        variant["files"] = {split: dict(entry) for split in ("train", "val", "test")}
        card.write_text(yaml.safe_dump(fields, sort_keys=False))
        cards.load.cache_clear()

    def edit(self, name: str, change: Callable[[dict[str, list[Any]]], object]) -> None:
        """Make a few changed rows of the test split all splits of the card."""
        table = pq.read_table(make_samples.SAMPLES / f"{name}-test.parquet").slice(0, 30)
        columns = table.to_pydict()
        change(columns)
        self.replace(name, parquet.content(columns, Features.from_arrow_schema(table.schema)))

    def test_environment_variable_not_set(self) -> None:
        self.patch.delenv("SUITE_DATA", raising=False)
        text = self.message("scifar", "jpeg")
        assert "data set cifar10, variant jpeg: ${SUITE_DATA}/cifar10/train.parquet is needed" in text
        assert "export SUITE_DATA=" in text and "--set data.variant=sample (7,000 images, in the repository)" in text

    def test_file_missing(self, tmp_path: Path) -> None:
        self.patch.setenv("SUITE_DATA", str(tmp_path))
        text = self.message("scifar", "jpeg")
        assert f"{tmp_path}/cifar10/train.parquet is not there" in text
        assert "data prepare cifar10 --variant jpeg` builds the Parquet files" in text
        assert "--set data.variant=sample" in text

    def test_another_file_than_the_cards(self) -> None:
        expected = cards.load("bidmc").variants["sample"].files["test"].sha256
        card = self.cards / "bidmc.yaml"
        card.write_text(card.read_text().replace(expected, "0" * 64))
        cards.load.cache_clear()
        text = self.message("bidmc_hr")
        assert f"sha256 {expected}, the card expects {'0' * 64}" in text and "tools/make_samples.py bidmc" in text

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all" * 99])
    def test_no_parquet(self, content: bytes) -> None:
        self.replace("bidmc", content)
        assert "other.parquet cannot be read as a Parquet file" in self.message("bidmc_hr")

    def test_parquet_cut_short(self) -> None:
        self.replace("bidmc", (make_samples.SAMPLES / "bidmc-test.parquet").read_bytes()[:-100])
        assert "other.parquet cannot be read as a Parquet file" in self.message("bidmc_hr")

    def test_a_row_group_that_is_corrupt(self) -> None:
        content = bytearray((make_samples.SAMPLES / "speech_commands-test.parquet").read_bytes())
        middle = len(content) // 2
        content[middle:middle + 400] = bytes(400)
        self.replace("speech_commands", bytes(content))
        assert "other.parquet cannot be read as a Parquet file" in self.message("sc_ar")

    def test_columns_of_another_data_set(self) -> None:
        self.replace("bidmc", (make_samples.SAMPLES / "speech_commands-test.parquet").read_bytes())
        text = self.message("bidmc_rr")
        assert "lacks the columns ppg (List), ecg (List), scale (Value)" in text and "waveform (List)" in text

    def test_image_of_another_size(self) -> None:
        other = io.BytesIO()
        Image.new("RGB", (28, 32)).save(other, "JPEG")
        self.edit("cifar10", lambda columns: columns["image"].__setitem__(4, {"bytes": other.getvalue(), "path": None}))
        assert "variant sample, train: image 4 is 28x32 RGB, not 32x32 RGB" in self.message("scifar")

    def test_gray_image(self) -> None:
        other = io.BytesIO()
        Image.new("L", (32, 32)).save(other, "PNG")
        self.edit("cifar10", lambda columns: columns["image"].__setitem__(0, {"bytes": other.getvalue(), "path": None}))
        assert "image 0 is 32x32 L, not 32x32 RGB" in self.message("image")

    @pytest.mark.parametrize("content", [b"no image", None])
    def test_image_that_is_none(self, content: bytes | None) -> None:
        def cut(columns: dict[str, list[Any]]) -> None:
            columns["image"][2]["bytes"] = content or columns["image"][2]["bytes"][:400]
        self.edit("cifar10", cut)
        assert "variant sample, train: image 2 cannot be decoded" in self.message("scifar")

    def test_clip_of_another_length(self) -> None:
        self.edit("speech_commands", lambda columns: columns["waveform"][3].pop())
        assert "_nohash_" in (text := self.message("sc_ar")) and "has 1999 samples, not 2000" in text

    def test_clip_of_another_rate(self) -> None:
        self.edit("speech_commands", lambda columns: columns["sampling_rate"].__setitem__(3, 8000))
        assert "has 8000 samples per second, not 2000" in self.message("sc_bi")

    def test_vitals_that_are_no_numbers(self) -> None:
        self.edit("bidmc", lambda columns: columns["hr"].__setitem__(3, float("nan")))
        assert "window of bidmc_01 at 96 s has a value of hr that is not a finite number" in self.message("bidmc_hr")

    def test_signal_that_is_no_number(self) -> None:
        self.edit("bidmc", lambda columns: columns["scale"].__setitem__(1, 0))
        text = self.message("bidmc_spo2")
        assert "the window of bidmc_01 at 32 s has a value of ppg that is not a finite number" in text

    def test_window_of_another_length_or_rate(self) -> None:
        self.edit("bidmc", lambda columns: columns["ecg"].__setitem__(0, [1, 2, 3]))
        assert "bidmc_01 at 0 s has 3 samples of ecg, not 1000" in self.message("bidmc_hr")
        self.edit("bidmc", lambda columns: columns["sampling_rate"].__setitem__(0, 125.0))
        assert "bidmc_01 at 0 s has 125.0 samples per second, not 31.25" in self.message("bidmc_hr")

