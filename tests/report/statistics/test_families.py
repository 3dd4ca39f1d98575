"""A data set of tokens, and one of pairs, added by a card and a line in the registry: nothing else has to change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from suite.config.run_config import RunConfig
from suite.data import cards, families
from suite.data.prepared import TaskData, load
from suite.data.prepared_types import Facts, Prepared
from suite.errors import UserError

CARD = """
name: {name}
title: toy
source: made here
licence: none
citation: none
tasks: [{task}]
variants:
  generated:
    about: toy
    get: made when asked for
    download_mb: 0
    prepared_mb: 0.1
    options:
      extra: {{about: tokens added to each text, default: 0, least: 0}}
"""
TEXTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9], [2, 2]]


class Toy(ModuleType):
    """A family without source files. The texts of `listops` are single, those of `retrieval` go in pairs."""

    VIEWS = {"listops": "one", "retrieval": "two"}

    def prepare(self, source: Any, view: str) -> Prepared:
        texts = [text + [1] * source.options["extra"] for text in TEXTS]
        arrays = {"tokens": np.concatenate(texts).astype(np.uint8),
                  "starts": np.cumsum([0, *map(len, texts)])}
        for split in ("train", "val", "test"):
            one = np.arange(4)
            arrays |= {f"{split}/documents": one if view == "one" else np.stack([one, one[::-1]], axis=1),
                       f"{split}/y": one % 2}
        return Prepared(Facts(length=max(map(len, texts)), vocabulary=10, classes=2), arrays)


@pytest.fixture(autouse=True)
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cards, "CARDS", tmp_path)
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    for name, task in (("listops", "listops"), ("aan", "retrieval"), ("unknown", "text")):
        (tmp_path / f"{name}.yaml").write_text(CARD.format(name=name, task=task))
    monkeypatch.setitem(sys.modules, "toy_family", Toy("toy_family"))
    for name in ("listops", "aan"):
        monkeypatch.setitem(families.FAMILIES, name, "toy_family")
    cards.load.cache_clear()
    yield
    cards.load.cache_clear()


def get(task: str, **options: Any) -> TaskData:
    flat = {"task": task, "data.variant": "generated"} | {f"data.{key}": value for key, value in options.items()}
    return load(RunConfig.build(flat).data, task)


def test_tokens_are_padded_to_the_longest_of_the_batch() -> None:
    data = get("listops")
    assert (data.length, data.channels, data.vocabulary, data.classes, data.rate_hz) == (5, None, 10, 2, None)
    batch = data.batch("train", np.array([3, 0, 1]))
    assert batch.x.tolist() == [[2, 2, 0], [1, 2, 3], [4, 0, 0]]
    assert batch.lengths is not None and batch.lengths.tolist() == [2, 3, 1] and batch.y.tolist() == [1, 0, 1]
    assert {batch.x.dtype, batch.lengths.dtype, batch.y.dtype} == {torch.int64}
    assert data.batch("val", np.array([2])).x.tolist() == [TEXTS[2]]


def test_pairs_have_two_texts_and_two_lengths() -> None:
    batch = get("retrieval").batch("test", np.array([0, 1]))
    assert batch.x.tolist() == [[[1, 2, 3, 0, 0], [2, 2, 0, 0, 0]], [[4, 0, 0, 0, 0], [5, 6, 7, 8, 9]]]
    assert batch.lengths is not None and batch.lengths.tolist() == [[3, 2], [1, 5]]


def test_options_of_the_card_reach_the_family() -> None:
    assert get("listops", extra=2).length == 7
    assert get("listops", extra=2).fingerprint != get("listops").fingerprint


def test_tokens_have_no_other_rate() -> None:
    with pytest.raises(UserError, match=r"train\.evaluate: the tokens of listops have no sampling rate"):
        get("listops").batch("val", np.array([0]), rate=2)


def test_a_data_set_that_no_code_prepares_is_named() -> None:
    with pytest.raises(UserError, match=r"no code prepares the data set 'unknown'\n.*suite/data/families\.py"):
        get("text", name="unknown")
