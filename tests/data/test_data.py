"""Loading: arrays and batches of each data set against plain recomputations from the source files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_samples
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from suite.config.run_config import RunConfig
from suite.data import cards, images, splits
from suite.data.prepared import TaskData, load
from suite.errors import UserError

SAMPLE = {"scifar": "sample", "image": "sample", "sc_ar": "sc17-2khz", "sc_bi": "sc17-2khz", "bidmc_hr": "sample",
          "bidmc_rr": "sample", "bidmc_spo2": "sample"}


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for all tests here; none of them changes the data."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SUITE_CACHE", str(folder))
        yield folder


def get(task: str, **options: Any) -> TaskData:
    flat = {"task": task, "data.variant": SAMPLE[task]} | {f"data.{key}": value for key, value in options.items()}
    return load(RunConfig.build(flat).data, task)


def source(name: str, split: str) -> dict[str, Any]:
    return pq.read_table(make_samples.SAMPLES / f"{name}-{split}.parquet").to_pydict()


def pixels(split: str, rows: np.ndarray, mode: str) -> np.ndarray:
    """Images (n, 32, 32, channels) in [0, 1]."""
    stored = source("cifar10", split)["image"]
    decoded = [np.asarray(Image.open(io.BytesIO(stored[i]["bytes"])).convert(mode)) for i in rows]
    return np.stack(decoded).reshape(len(rows), 32, 32, -1) / 255


@pytest.mark.parametrize(("task", "counts", "facts"), [
    ("scifar", (5000, 1000, 1000), (1024, 3, 10, None)), ("image", (5000, 1000, 1000), (1024, 1, 10, None)),
    ("sc_ar", (1262, 224, 316), (2000, 1, 17, 2000.0)), ("sc_bi", (1262, 224, 316), (2000, 1, 17, 2000.0)),
    ("bidmc_hr", (555, 120, 120), (1000, 2, None, 31.25)), ("bidmc_rr", (552, 120, 120), (1000, 2, None, 31.25)),
    ("bidmc_spo2", (554, 120, 120), (1000, 2, None, 31.25))])
def test_counts_and_facts(task: str, counts: tuple[int, ...], facts: tuple[Any, ...]) -> None:
    data = get(task)
    assert tuple(data.count(split) for split in ("train", "val", "test")) == counts
    assert (data.length, data.channels, data.classes, data.rate_hz) == facts
    assert (data.task, data.variant, data.vocabulary) == (task, SAMPLE[task], None)
    batch = data.batch("val", np.array([3, 0, 3]))
    assert batch.x.shape == (3, data.length, data.channels) and batch.x.dtype == torch.float32
    assert batch.y.shape == (3,) and batch.y.dtype == (torch.float32 if data.classes is None else torch.int64)
    assert batch.lengths is None and batch.x.is_contiguous()
    assert torch.equal(batch.x[0], batch.x[2]) and not torch.equal(batch.x[0], batch.x[1])
    batch.x.zero_()  # a batch is the caller's own: the data do not change with it
    assert data.batch("val", np.array([3])).x.abs().sum() > 0


@pytest.mark.parametrize(("task", "mode", "mean", "std"), [
    ("scifar", "RGB", (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)), ("image", "L", (122.6 / 255,), (61 / 255,))])
@pytest.mark.parametrize("pool", [1, 2, 4])
def test_images_are_normalised_pixels_row_by_row(task: str, mode: str, mean: Any, std: Any, pool: int) -> None:
    rows = np.array([999, 0, 17])
    x = pixels("test", rows, mode).reshape(3, 32 // pool, pool, 32 // pool, pool, -1).mean((2, 4))
    batch = get(task, pool=pool, train_count=10).batch("test", rows)
    np.testing.assert_allclose(batch.x, ((x - mean) / std).reshape(3, (32 // pool) ** 2, -1), atol=2e-6)
    assert batch.y.tolist() == [source("cifar10", "test")["label"][i] for i in rows]


def test_images_have_about_the_published_statistics() -> None:
    x = get("scifar").batch("train", np.arange(5000)).x
    assert x.mean((0, 1)).abs().max() < 0.02 and (x.std((0, 1)) - 1).abs().max() < 0.02


def test_train_count_is_a_balanced_prefix() -> None:
    few, all_ = get("scifar", pool=4, train_count=200), get("scifar", pool=4)
    assert few.count("train") == 200 and few.count("val") == 1000
    small, big = few.batch("train", np.arange(200)), all_.batch("train", np.arange(5000))
    assert torch.equal(small.x, big.x[:200])
    assert torch.bincount(small.y).tolist() == [20] * 10 and torch.bincount(big.y).tolist() == [500] * 10
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 0])
    np.testing.assert_array_equal(splits.balanced(labels, 4, 2), [0, 1, 3, 5])
    for count in (7, 5010):
        with pytest.raises(UserError, match=r"data\.train_count.*\n.*multiple of 10, at most 5000"):
            get("scifar", train_count=count)


def test_validation_of_the_full_set_is_torchs_permutation_with_seed_42() -> None:
    train, val = images.permuted(50_000)
    order = torch.randperm(50_000, generator=torch.Generator().manual_seed(42)).numpy()
    np.testing.assert_array_equal(np.concatenate([train, val]), order)
    labels = {"train": np.arange(50_000) % 10, "test": np.zeros(3, int)}
    rows = images.divide(labels, 100, 10)
    assert {split: file for split, (file, _) in rows.items()} == {"train": "train", "val": "train", "test": "test"}
    np.testing.assert_array_equal(rows["val"][1], order[45_000:])
    assert np.bincount(labels["train"][rows["train"][1]]).tolist() == [10] * 10
    assert set(rows["train"][1]) < set(order[:150])  # the first that the permutation gives


@pytest.mark.parametrize("normalization", ["paper", "plain"])
def test_speech_is_normalised_by_the_formula(normalization: str) -> None:
    a = {split: np.array(source("speech_commands", split)["waveform"]) / 32768 for split in ("train", "test")}
    mean, std = a["train"].mean(0), a["train"].std(0, ddof=1)
    expected = (a["test"][:5] - mean) / (std + 0.32768 if normalization == "paper" else std)
    data = get("sc_ar", normalization=normalization)
    batch = data.batch("test", np.arange(5))
    np.testing.assert_allclose(batch.x[:, :, 0], expected, rtol=1e-4, atol=1e-6)
    assert batch.y.tolist() == source("speech_commands", "test")["label"][:5]
    spread = data.batch("train", np.arange(1262)).x.std().item()
    assert 0.15 < spread < 0.25 if normalization == "paper" else abs(spread - 1) < 0.01


def test_paper_normalization_is_that_of_the_published_code() -> None:
    # The code's own steps: a / 2^15, then (x - mean)/(std + 1e-5) per time step.
    x = np.array(source("speech_commands", "train")["waveform"]) / 32768 / 2**15
    quirk = (x[:3] - x.mean(0)) / (x.std(0, ddof=1) + 1e-5)
    np.testing.assert_allclose(get("sc_ar").batch("train", np.arange(3)).x[:, :, 0], quirk, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", ["sc_ar", "bidmc_hr"])
def test_half_rate_is_every_second_sample_of_the_normalised_signal(task: str) -> None:
    data, rows = get(task), np.array([7, 2])
    half = data.batch("val", rows, rate=2)
    assert torch.equal(half.x, data.batch("val", rows).x[:, ::2]) and half.x.is_contiguous()


@pytest.mark.parametrize("name", ["hr", "rr", "spo2"])
def test_vitals_are_raw_signals_and_targets(name: str) -> None:
    rows = source("bidmc", "train")
    kept = [i for i, value in enumerate(rows[name]) if value is not None]
    data = get(f"bidmc_{name}")
    batch = data.batch("train", np.arange(len(kept)))
    expected = np.stack([np.array([rows["ppg"][i], rows["ecg"][i]]).T / rows["scale"][i] for i in kept])
    np.testing.assert_allclose(batch.x, expected, rtol=1e-6)
    np.testing.assert_allclose(batch.y, [rows[name][i] for i in kept], rtol=1e-6)


def test_vitals_by_window_have_mean_0_and_deviation_1() -> None:
    x = get("bidmc_hr", normalization="window").batch("test", np.arange(120)).x
    assert x.mean(1).abs().max() < 1e-4 and (x.std(1) - 1).abs().max() < 0.01


def test_fingerprint_is_the_same_wherever_it_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = get("bidmc_rr").fingerprint
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "elsewhere"))
    assert get("bidmc_rr").fingerprint == here
    assert len({here, get("bidmc_hr").fingerprint, get("bidmc_rr", normalization="window").fingerprint}) == 3


def test_tasks_with_the_same_input_share_it(cache: Path) -> None:
    get("sc_ar")
    before = sorted(cache.iterdir())
    assert get("sc_bi").fingerprint == get("sc_ar").fingerprint and sorted(cache.iterdir()) == before


def test_imports_stay_light(cache: Path) -> None:
    get("bidmc_hr")
    code = ("import sys\nimport suite.data, suite.data.cards, suite.data.prepared\n"
            "from suite.config.fields import Data\n"
            "data = suite.data.prepared.load(Data(name='bidmc', variant='sample'), 'bidmc_hr')\n"
            "heavy = {'torch', 'datasets', 'pandas', 'pyarrow', 'PIL', 'scipy'}\n"
            "print(data.count('val'), heavy & {*sys.modules} or 'light')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=os.environ | {"SUITE_CACHE": str(cache)}, cwd=cards.CARDS.parent)
    assert done.stdout == "120 light\n"


def test_preparing_uses_no_network_and_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    environment = os.environ | {"SUITE_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path / "home")}
    code = ("import socket\nfrom suite.config.fields import Data\nfrom suite.data.prepared import load\n"
            "def refuse(*_): raise AssertionError('network')\n"
            "socket.socket.connect = socket.getaddrinfo = refuse\n"
            "print(load(Data(name='bidmc', variant='sample'), 'bidmc_hr').count('val'))")
    for name in ("HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment,
                          cwd=cards.CARDS.parent)
    assert (done.stdout, done.returncode) == ("120\n", 0), done.stderr
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_a_split_or_task_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"no split 'tset'\n.*did you mean 'test'"):
        get("bidmc_hr").count("tset")
    config = RunConfig.build({"task": "scifar", "data.variant": "sample"})
    with pytest.raises(UserError, match=r"'cifar10' does not provide the task 'sc_ar'\n.*scifar, image"):
        load(config.data, "sc_ar")
