"""Length buckets: which examples a batch has, and that the option is in a run's identity, and off by default."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_data import small

from suite.config.rules import violations
from suite.data.prepared import TaskData, bucketed
from suite.train.trainer import Trainer

RNG = np.random.default_rng(3)
LENGTHS = RNG.integers(20, 2000, 1003)


def padding(order: np.ndarray, size: int) -> float:
    """The share of padding in the batches of an epoch."""
    batches = LENGTHS[order[:len(order) // size * size]].reshape(-1, size)
    return 1 - batches.sum() / (batches.max(1) * size).sum()


def test_batches_are_alike_in_length_and_hold_every_example_once() -> None:
    order = np.random.default_rng(1).permutation(1003)
    made = bucketed(order, LENGTHS, 10, 25, np.random.default_rng(2))
    assert sorted(made) == sorted(order[:1000])  # the same incomplete last batch is dropped as without buckets
    assert padding(made, 10) < 0.05 < 0.3 < padding(order, 10)
    runs = {frozenset(batch) for batch in made.reshape(-1, 10).tolist()}
    first = order[:250][np.argsort(LENGTHS[order[:250]], kind="stable")]
    assert frozenset(first[:10].tolist()) in runs and frozenset(first[-10:].tolist()) in runs
    means = LENGTHS[made].reshape(-1, 10).mean(1)
    assert abs(np.corrcoef(means, np.arange(100))[0, 1]) < 0.3  # long batches come at any time


def test_order_is_a_function_of_the_generator_and_short_epochs_work() -> None:
    order = np.arange(7)
    one, two, other = (bucketed(order, LENGTHS, 2, 100, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.tolist() == two.tolist() != other.tolist() and sorted(one) == list(range(6))


def tokens(count: int = 21) -> TaskData:
    starts = np.concatenate([[0], np.cumsum(LENGTHS[:count] % 50 + 1)])
    arrays = {"tokens": np.full(starts[-1], 2, np.uint8), "starts": starts}
    for split in ("train", "val", "test"):
        arrays |= {f"{split}/documents": np.arange(count), f"{split}/y": np.arange(count) % 4}
    return TaskData("text", 50, None, 9, 4, None, "f" * 64, "sample", arrays)


def test_lengths_of_texts_and_pairs() -> None:
    arrays = {"starts": np.array([0, 3, 4, 9]), "train/documents": np.array([[0, 1], [1, 2]])}
    pairs = TaskData("retrieval", 5, None, 9, 2, None, "", "sample", arrays)
    assert pairs.lengths("train").tolist() == [3, 5]
    assert tokens().lengths("val").tolist() == (LENGTHS[:21] % 50 + 1).tolist()


def test_training_sees_the_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, list[list[int]]] = {0: [], 3: []}
    for buckets, batches in seen.items():
        data = tokens()
        trainer = Trainer(small(task="text", train__buckets=buckets, train__epochs=2, model__layers=1,
                                optim__warmup_epochs=0.0), data, torch.device("cpu"))
        with monkeypatch.context() as patch:
            def recorded(self: TaskData, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0,
                         batches: list[list[int]] = batches, batch: Any = TaskData.batch) -> object:
                if split == "train":
                    batches.append(indices.tolist())
                return batch(self, split, indices, rate, epoch)
            patch.setattr(TaskData, "batch", recorded)
            while not trainer.finished:
                trainer.advance()
    for batches in seen.values():
        assert [len(part) for part in batches] == [4] * 10 and batches[:5] != batches[5:]
    assert {*sum(seen[0][:5], [])} == {*sum(seen[3][:5], [])} and seen[0] != seen[3]


def test_the_option_is_part_of_the_identity_and_off_by_default() -> None:
    plain = small(task="text")
    assert plain.train.buckets == 0 and small(task="text", train__buckets=0).run_id == plain.run_id
    assert small(task="text", train__buckets=8).run_id != plain.run_id
    assert "buckets" not in plain.canonical  # runs from before the option keep their ids


def test_values_have_no_buckets() -> None:
    config = small(train__buckets=2)
    assert [rule.because for rule in violations(config) if "train.buckets" in rule.fields] \
        == ["buckets are for tokens: all sequences of this task have the same length"]
