"""Small stand-ins of public data sets on servers of the loopback, and a clone whose cards expect them."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import yaml
from fake_hub import fake_hub
from PIL import Image
from test_unpack import tar_of
from web_server import Page, web

from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from suite.data import cards, clips

ROOT = Path(__file__).parents[2]
LISTED = {"val": ["bed/b.wav", "zero/a.wav"], "test": ["visual/a.wav", "cat/b.wav"]}  # of two clips a word
COUNTS = {"train": 2 * len(clips.WORDS) - 4, "val": 2, "test": 2}
README = """---
configs:
- config_name: plain_text
  data_files:
  - {split: train, path: data/train.parquet}
  - {split: test, path: data/test.parquet}
---
"""
TS = "@problemName BIDMC32SpO2\n@timeStamps false\n@dimensions 2\n@seriesLength 4000\n@data\n"


def speech(folder: Path) -> bytes:
    """An archive of two clips of each word."""
    rng, files = np.random.default_rng(0), dict[str, bytes]()
    for word in clips.WORDS:
        for take in "ab":
            file = io.BytesIO()
            with wave.open(file, "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(16_000)
                out.writeframes(rng.integers(-20_000, 20_000, 16_000).astype("<i2").tobytes())
            files[f"./{word}/{take}.wav"] = file.getvalue()
    lists = {f"./{clips.LISTS[split]}": "\n".join(names).encode() + b"\n" for split, names in LISTED.items()}
    return tar_of(folder / "speech.tar.gz", files | lists).read_bytes()


def windows(seed: int, count: int) -> bytes:
    """A .ts file of windows of noise."""
    rng = np.random.default_rng(seed)
    lines = (":".join(",".join(f"{value:.4f}" for value in rng.standard_normal(4000)) for _ in range(2))
             + f":{rng.normal(97, 2):.2f}" for _ in range(count))
    return (TS + "\n".join(lines) + "\n").encode()


def images(path: Path, count: int) -> bytes:
    """A Parquet file of images, each of one colour."""
    rng, rows = np.random.default_rng(count), list[bytes]()
    for _ in range(count):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), tuple(rng.integers(0, 256, 3).tolist())).save(file, "png")
        rows.append(file.getvalue())
    features = Features({"img": ImageFeature(), "label": ClassLabel(num_classes=10)})
    table = {"img": [{"bytes": row, "path": None} for row in rows], "label": [k % 10 for k in range(count)]}
    Dataset.from_dict(table, features=features).to_parquet(path)
    return path.read_bytes()


def clone(folder: Path, archive: bytes) -> Path:
    """A clone, with what is not committed yet, whose card of Speech Commands expects the archive."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, capture_output=True)
    changed = subprocess.run(["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"], cwd=ROOT,
                             check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, changed):
        (folder / name).unlink(missing_ok=True)
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    path = folder / "datasets" / "speech_commands.yaml"
    card = yaml.safe_load(path.read_text())
    original = card["variants"]["original"]
    original["counts"] = COUNTS
    original["files"]["release"]["download"] |= {"bytes": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    path.write_text(yaml.safe_dump(card, sort_keys=False))
    return folder


@contextmanager
def bare_machine(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A clone, and the environment of a user who has nothing but it and a network in which the stand-ins are."""
    archive, hub = speech(folder), cards.load("cifar10").variant("original").hub
    assert hub
    pages = {f"/records/4001464/files/BIDMC32SpO2_{part}.ts": Page(windows(count, count))
             for part, count in (("TRAIN", 40), ("TEST", 20))}
    address = cards.load("speech_commands").variant("original").address("release")
    assert address
    pages[urlsplit(address.url).path] = Page(archive)
    files = {"README.md": README.encode(), "data/train.parquet": images(folder / "train.parquet", 5200),
             "data/test.parquet": images(folder / "test.parquet", 50)}
    with web() as site, fake_hub(files, None, hub.repo, hub.revision) as (url, _):
        site.pages.update(pages)
        (folder / "home").mkdir()
        yield clone(folder / "clone", archive), {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",  # its virtual environment is activated
            "HOME": str(folder / "home"), "SUITE_MIRROR": site.url, "HF_ENDPOINT": url,
            "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
