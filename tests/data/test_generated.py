"""Generated tasks: an example is a function of seed, split and number, and has the statistics that its card states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.config.run_config import RunConfig
from suite.data import copying, delay, draws, recall
from suite.data.extent import extent
from suite.data.images import prepare as images
from suite.data.needs import needs
from suite.data.prepared import TaskData, load, values
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.data.wanted import wanted
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.report.examples import write

OPTIONS: dict[str, dict[str, Any]] = {
    "delay": {"length": 512, "delay": 128, "train_count": 400, "test_count": 50, "seed": 2022},
    "mqar1": {"vocabulary": 64, "pairs": 8, "length": 128, "filler": "blank", "train_count": 3000, "test_count": 50,
              "seed": 2022},
    "selcopy": {"symbols": 16, "marked": 8, "length": 64, "train_count": 3000, "test_count": 50, "seed": 2022}}
PREPARE = {"delay": delay.prepare, "mqar1": recall.prepare, "selcopy": copying.prepare}


def made(task: str, **options: Any) -> Prepared:
    return PREPARE[task](Source(task, "original", OPTIONS[task] | options, task), task)


def inputs(prepared: Prepared, split: str = "train") -> np.ndarray:
    """Sequences (n, length)."""
    if f"{split}/x" in prepared.arrays:
        return prepared.arrays[f"{split}/x"][..., 0]
    tokens = prepared.arrays["tokens"].reshape(-1, prepared.facts.length)
    return tokens[prepared.arrays[f"{split}/documents"]].astype(int)


@pytest.mark.parametrize("task", OPTIONS)
def test_an_example_is_a_function_of_seed_split_and_number(task: str) -> None:
    few, more = made(task, train_count=20), made(task, train_count=40, test_count=10)
    assert (inputs(few) == inputs(more)[:20]).all() and (inputs(few, "val")[:10] == inputs(more, "val")).all()
    assert (few.arrays["train/y"] == more.arrays["train/y"][:20]).all()
    other = made(task, train_count=20, seed=1)
    splits = [inputs(few)[:10], inputs(few, "val")[:10], inputs(few, "test")[:10], inputs(other)[:10]]
    assert all((a != b).any(axis=1).all() for k, a in enumerate(splits) for b in splits[:k])


def test_delay_is_noise_of_a_band_and_a_value_of_it() -> None:
    prepared = made("delay")
    u, y = inputs(prepared).astype(float), prepared.arrays["train/y"]
    assert (y == u[:, 511 - 128].astype(np.float32)).all() and prepared.facts.classes is None
    assert np.sqrt((u**2).mean()) == pytest.approx(0.5, abs=0.01) and np.abs(u.mean(axis=1)).max() < 1e-6
    spectrum = np.abs(np.fft.rfft(u)) ** 2
    assert spectrum[:, 129:].max() < 1e-9 * spectrum.max()
    assert spectrum[:, 1:129].mean(axis=0).std() < 0.1 * spectrum[:, 1:129].mean()


@pytest.mark.parametrize(("seen", "low", "high"), [(128, 0.0, 0.02), (96, 0.48, 0.49), (32, 0.497, 0.5)])
def test_how_well_the_noise_can_be_extrapolated(seen: int, low: float, high: float) -> None:
    """The best linear prediction of the delayed value from the last steps, from the law of the noise."""
    steps, k = np.arange(seen), np.arange(1, 129)

    def covariance(apart: np.ndarray) -> np.ndarray:
        return 0.25 * np.cos(2 * np.pi * apart[..., None] * k / 512).mean(-1)

    inner = covariance(steps[:, None] - steps) + 1e-10 * np.eye(seen)
    cross = covariance(128 - steps)
    assert low <= np.sqrt(max(0.25 - cross @ np.linalg.solve(inner, cross), 0)) <= high


@pytest.mark.parametrize("filler", ["blank", "values"])
def test_recall_asks_for_the_value_of_a_key(filler: str) -> None:
    prepared = made("mqar1", filler=filler)
    x, y = inputs(prepared), prepared.arrays["train/y"]
    keys, answers, middle, asked = x[:, 0:16:2], x[:, 1:16:2], x[:, 16:-1], x[:, -1]
    assert keys.min() >= 1 and keys.max() <= 31 and answers.min() >= 32 and answers.max() <= 63
    assert all(len(set(row)) == 8 for part in (keys, answers) for row in part.tolist())
    place = (keys == asked[:, None]).argmax(axis=1)
    assert (answers[np.arange(len(x)), place] - 32 == y).all() and prepared.facts.classes == 32
    assert (middle == 0).all() if filler == "blank" else middle.min() >= 32
    assert np.bincount(place).min() > 0.8 * len(x) / 8 and np.bincount(y, minlength=32).max() < 1.5 * len(x) / 32


@pytest.mark.parametrize(("marked", "bag"), [(16, 0.192), (8, 0.258)])
def test_copying_asks_for_one_of_the_symbols(marked: int, bag: float) -> None:
    prepared = made("selcopy", marked=marked)
    x, y = inputs(prepared), prepared.arrays["train/y"]
    data, asked = x[:, :-1], x[:, -1] - 17
    assert ((data > 0).sum(axis=1) == marked).all() and data.max() == 16 and set(asked) == set(range(marked))
    symbols = data[data > 0].reshape(-1, marked) - 1
    assert (symbols[np.arange(len(x)), asked] == y).all()
    assert (data > 0).mean(axis=0).std() < 0.02  # anywhere
    most = np.array([np.bincount(row, minlength=16).max() for row in symbols]) / marked
    assert most.mean() == pytest.approx(bag, abs=0.005)


def test_each_task_is_prepared_and_its_size_known() -> None:
    for task, options in OPTIONS.items():
        flat = {f"data.{key}": value for key, value in (options | {"train_count": 30}).items()}
        config = RunConfig.build({"task": task} | flat)
        data = load(config.data, task)
        known = extent(config.data, task)
        assert (known.length, known.counts["train"]) == (data.length, 30) == (options["length"], data.count("train"))
        batch = data.batch("train", np.arange(3))
        assert batch.x.shape[:2] == (3, data.length) and len(batch.y) == 3


SAMPLE = {"pool": 4, "train_count": 50, "permute": False, "permute_seed": 0, "pad_form": "none", "pad_steps": 0,
          "pad_noise": "normal"}


def pictures(**options: Any) -> TaskData:
    config = RunConfig.build({"task": "scifar", "data.variant": "sample"}
                             | {f"data.{key}": value for key, value in (SAMPLE | options).items()})
    data = load(config.data, "scifar")
    assert extent(config.data, "scifar").length == data.length
    return data


def test_a_permutation_is_the_same_for_all_images() -> None:
    plain, permuted, other = pictures(), pictures(permute=True), pictures(permute=True, permute_seed=1)
    order = np.random.default_rng(0).permutation(64)
    for split in draws.SPLITS:
        x, y = (data.batch(split, np.arange(9)).x.numpy() for data in (plain, permuted))
        assert (y == x[:, order]).all() and (other.batch(split, np.arange(9)).x.numpy() != y).any()


@pytest.mark.parametrize(("form", "noise"), [("rows", "normal"), ("pixels", "uniform")])
def test_padding_is_noise_of_each_example(form: str, noise: str) -> None:
    plain, padded = pictures(), pictures(pad_form=form, pad_steps=100, pad_noise=noise)
    steps, channels = (8, 24) if form == "rows" else (64, 3)
    assert (padded.length, padded.channels) == (steps + 100, channels)
    x = padded.batch("train", np.arange(20)).x.numpy()
    assert (x[:, :steps] == plain.batch("train", np.arange(20)).x.numpy().reshape(20, steps, channels)).all()
    behind = x[:, steps:]
    assert behind.mean() == pytest.approx(0.0 if noise == "normal" else 0.5, abs=0.03)
    assert behind.std() == pytest.approx(1.0 if noise == "normal" else 12**-0.5, abs=0.03)
    assert all((behind[0] != one).all() for one in behind[1:])
    one = padded.batch("train", np.array([7]))
    assert (one.x[0].numpy() == x[7]).all()  # whatever the batch
    again = [padded.batch(split, np.arange(2), epoch=epoch).x.numpy()[:, steps:]
             for split in ("train", "val") for epoch in (0, 1)]
    assert (again[0] != again[1]).all() and (again[2] == again[3]).all()
    with pytest.raises(UserError, match="another sampling rate"):
        padded.batch("val", np.arange(2), rate=2)


def test_the_original_sizes_of_padding() -> None:
    for form, length in (("rows", 1000), ("pixels", 2048)):
        config = RunConfig.build({"task": "scifar", "data.variant": "sample", "data.pad_form": form})
        assert extent(config.data, "scifar").length == length


def test_options_that_came_later_change_no_run_and_no_prepared_data() -> None:
    plain = RunConfig.build({"task": "scifar", "data.variant": "sample"})
    later = ("permute", "pad_")
    assert not any(word in plain.data.canonical or word in plain.data.price_key for word in later)
    assert not any(key.startswith(later) for key in wanted(plain.data, "scifar").key)
    moved = RunConfig.build({"task": "scifar", "data.variant": "sample", "data.permute": True})
    assert '"permute":true' in moved.data.canonical and wanted(moved.data, "scifar").key["permute"] is True


PADDED = "task: scifar, data.variant: sample, data.pad_form: rows"
CAUSAL = "model.decoder: last, model.bidirectional: false"


@pytest.mark.parametrize(("base", "line", "words"), [
    (f"{PADDED}, model.decoder: pool", 2, "the mean over time sees the image"),
    (f"{PADDED}, model.decoder: last, model.bidirectional: true", 2, "carries the noise back"),
    (f"{PADDED}, {CAUSAL}, data.permute: true", 2, "permuted pixels form no rows"),
    ("task: scifar, data.variant: sample, data.pad_steps: 9", 2, "for padded images"),
    ("task: scifar, data.variant: sample, data.permute_seed: 9", 2, "needs data.permute: true"),
    ("task: delay, data.length: 64, data.delay: 64", 2, "too short for its delay"),
    ("task: mqar1, data.length: 16, data.pairs: 8", 2, "too short for its pairs"),
    ("task: mqar1, data.vocabulary: 16, data.pairs: 8", 2, "more keys than data.pairs"),
    ("task: mqar1, data.vocabulary: 63, data.pairs: 8", 2, "must be even"),
    ("task: selcopy, data.length: 8, data.marked: 8", 2, "too short for its symbols")])
def test_what_has_no_meaning_is_refused_with_its_line(tmp_path: Path, base: str, line: int, words: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(f"name: g\nbase: {{{base}}}\nseeds: [0]\n")
    with pytest.raises(UserError) as caught:
        load_grid(path)
    assert words in str(caught.value) and f"g.yaml:{line}" in str(caught.value)


def test_values_without_padding_are_as_they_were() -> None:
    x = np.ones((2, 4, 1), np.float32)
    assert (values({"train/x": x}, "train", np.arange(2), 2) == x[:, ::2]).all()


def test_images_are_prepared_once_for_all_noise() -> None:
    """The noise itself is not stored: it would be gigabytes."""
    prepared = images(Source("cifar10", "sample", SAMPLE | {"pad_form": "rows"}, "scifar"), "color")
    assert prepared.arrays["train/x"].shape == (50, 8, 24) and prepared.facts.length == 976
    assert prepared.arrays["padding"].tolist() == [968, 0]


def test_plan_knows_what_is_prepared_and_show_draws_it(tmp_path: Path) -> None:
    sizes = "data.length: 30, data.delay: 3, data.train_count: 9, data.test_count: 9"
    (tmp_path / "g.yaml").write_text(f"name: g\nseeds: [0]\nblocks:\n- base: {{task: delay, {sizes}}}\n"
                                     "- base: {task: scifar, data.variant: sample, data.pool: 4, data.pad_form: rows, "
                                     "model.decoder: last}\n")
    configs = [run.config for run in load_grid(tmp_path / "g.yaml").runs]
    for config in configs:
        write(config.data.name, load(config.data, config.task), (), tmp_path / f"{config.task}.png")
        assert (tmp_path / f"{config.task}.png").stat().st_size > 1000
    assert not any(need.to_prepare for need in needs(configs))
