"""The forms of CIFAR-10 beyond the sample: the authors' binary archive and the hub, small, and the full JPEG set."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from own_cards import Cards, own_cards
from PIL import Image as Picture

from datasets import ClassLabel, Dataset, Features, Image
from suite.config.fields import Data
from suite.data import cards, images, splits
from suite.data.prepared import load

EACH = 1100  # images of each of the five training files: more than the 5,000 of validation in all
RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (5 * EACH + 40, 32, 32, 3), np.uint8)
LABELS = RNG.permutation(np.arange(len(PIXELS)) % 10)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    with own_cards(tmp_path, monkeypatch) as own:
        yield own


def archive(made: Cards, spoil: bytes = b"") -> None:
    records = np.concatenate([LABELS[:, None].astype(np.uint8), PIXELS.transpose(0, 3, 1, 2).reshape(-1, 3072)], axis=1)
    parts = {f"data_batch_{k + 1}.bin": records[k * EACH:(k + 1) * EACH] for k in range(5)}
    parts = {"batches.meta.txt": np.frombuffer(b"airplane\n", np.uint8), "test_batch.bin": records[5 * EACH:]} | parts
    with tarfile.open(made.home / "cifar-10-binary.tar.gz", "w:gz", compresslevel=1) as tar:
        for name, content in reversed(parts.items()):  # the order in the archive does not matter
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            data = content.tobytes() + (spoil if name == "data_batch_3.bin" else b"")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    made.accept("cifar10", "binary")


def test_the_authors_archive_in_their_order(made: Cards) -> None:
    archive(made)
    color, gray = made.load("scifar", "binary"), made.load("image", "binary")
    order = splits.permutation(5 * EACH)
    assert [color.count(split) for split in ("train", "val", "test")] == [500, 5000, 40]
    assert (color.length, color.channels, color.classes, gray.channels) == (1024, 3, 10, 1)
    for split, rows in (("train", order[:500]), ("val", order[500:]), ("test", 5 * EACH + np.arange(40))):
        np.testing.assert_array_equal(color.arrays[f"{split}/x"], PIXELS[rows].reshape(-1, 1024, 3))
        np.testing.assert_array_equal(color.arrays[f"{split}/y"], LABELS[rows])
    expected = np.asarray(Picture.fromarray(PIXELS[order[0]]).convert("L")).reshape(1024, 1)
    np.testing.assert_array_equal(gray.arrays["train/x"][0], expected)
    weighted = PIXELS[order[:50]].reshape(50, 1024, 3) @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray.arrays["train/x"][:50, :, 0], weighted, atol=0.51)  # paper section 5.2, rounded


def test_a_damaged_archive_is_one_error(made: Cards) -> None:
    archive(made, spoil=b"more")
    assert "has incomplete records in data_batch_3.bin" in made.error("scifar", "binary")
    path = made.home / "cifar-10-binary.tar.gz"
    path.write_bytes(path.read_bytes()[:-9000])
    assert "is damaged or not the right file: sha256" in made.error("scifar", "binary")
    made.accept("cifar10", "binary")
    assert "is truncated or damaged" in made.error("scifar", "binary")
    path.unlink()
    text = made.error("scifar", "binary")
    assert "CIFAR10_BINARY is not set" in text and "cifar-10-binary.tar.gz is not there" in text


def test_the_hubs_columns_and_splits(made: Cards, tmp_path: Path) -> None:
    repo, count = tmp_path / "repo", 5040
    repo.mkdir()
    features = Features({"img": Image(), "label": ClassLabel(names=cards.load("cifar10").variants["original"].labels)})

    def png(pixels: np.ndarray) -> dict[str, object]:
        file = io.BytesIO()
        Picture.fromarray(pixels).save(file, "PNG", compress_level=0)
        return {"bytes": file.getvalue(), "path": None}
    for split, rows in (("train", range(count)), ("test", range(count, count + 20))):
        columns = {"img": [png(PIXELS[row]) for row in rows], "label": LABELS[rows].tolist()}
        Dataset.from_dict(columns, features=features).to_parquet(repo / f"{split}.parquet")
    made.change("cifar10", "original", lambda fields: fields["hub"].update(repo=str(repo), config=None))
    data = made.load("scifar", "original")
    assert [data.count(split) for split in ("train", "val", "test")] == [40, 5000, 20]
    order = splits.permutation(count)
    np.testing.assert_array_equal(data.arrays["train/x"], PIXELS[order[:40]].reshape(-1, 1024, 3))
    np.testing.assert_array_equal(data.arrays["val/y"], LABELS[order[40:]])


@pytest.mark.skipif("SUITE_DATA" not in os.environ, reason="SUITE_DATA is not set: the full files are not here")
def test_the_full_jpeg_set_has_the_counts_and_split_of_the_paper(monkeypatch: pytest.MonkeyPatch,
                                                                tmp_path: Path) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path))
    decoded: dict[str, int] = {}

    def counted(table: object, rows: np.ndarray, view: str, pool: int, where: str) -> np.ndarray:
        decoded[where.rpartition(" ")[2]] = decoded.get(where.rpartition(" ")[2], 0) + len(rows)
        return np.zeros((len(rows), 64, 3), np.uint16)  # decoding them all takes half a minute
    monkeypatch.setattr(images, "decode", counted)
    data = load(Data(name="cifar10", variant="jpeg", pool=4), "scifar")
    assert [data.count(split) for split in ("train", "val", "test")] == [45_000, 5_000, 10_000]
    assert decoded == {"train": 50_000, "test": 10_000}
    assert np.bincount(data.arrays["test/y"]).tolist() == [1000] * 10
