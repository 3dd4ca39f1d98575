"""Mistakes in a card: each is named with its file, line and key, and the nearest name that is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from suite.data import cards
from suite.errors import UserError

CARD = """\
name: toy
title: Toy
source: made up
licence: none
citation: none
tasks: [scifar]
variants:
  small:
    about: a few
    get: It is here.
    download_mb: 0
    prepared_mb: 1
    files:
      train: {path: toy.parquet}
    options:
      pool: {about: averaging, default: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(cards, "CARDS", tmp_path)
    monkeypatch.chdir(tmp_path)
    cards.load.cache_clear()
    yield tmp_path
    cards.load.cache_clear()


def test_a_good_card_is_read(folder: Path) -> None:
    (folder / "toy.yaml").write_text(CARD)
    assert cards.load("toy").variants["small"].options["pool"].default == 1


@pytest.mark.parametrize(("old", "new", "message"), [
    ("about: a few", "abuot: a few", "toy.yaml:9: variants.small.abuot: unknown key 'abuot'\n"
                                     "    did you mean 'about'? allowed: about, preparation, get"),
    ("about: averaging", "abuot: averaging", "toy.yaml:16: variants.small.options.pool.abuot: unknown key"),
    ("{path: toy.parquet}", "{path: toy.parquet, sha256: abc}",
     "toy.yaml:14: variants.small.files.train.sha256: it should be a SHA-256 digest: 64 of"),
    ("{path: toy.parquet}", "{path: 3}",
     "toy.yaml:14: variants.small.files.train.path: it should be a valid string, or be a valid list\n    it is 3"),
    ("{path: toy.parquet}", "{path: ../toy.parquet}",
     "toy.yaml:14: variants.small.files.train: a path must not contain .."),
    ("prepared_mb: 1", "prepared_mb: much", "toy.yaml:12: variants.small.prepared_mb: it should be a valid number"),
    ("  small:", "  ../small:", "toy.yaml:8: variants.../small: it should be a name of 1 to 80"),
    ("tasks: [scifar]", "tasks: [sifar]", "toy.yaml:6: tasks: 'sifar' is not a task")])
def test_a_mistake_is_named_with_its_line(folder: Path, old: str, new: str, message: str) -> None:
    assert CARD.count(old) == 1
    (folder / "toy.yaml").write_text(CARD.replace(old, new))
    with pytest.raises(UserError) as caught:
        cards.load("toy")
    assert message in str(caught.value)


def test_all_mistakes_are_named_at_once(folder: Path) -> None:
    (folder / "toy.yaml").write_text(CARD.replace("title: Toy\n", "").replace("download_mb: 0", "download_mb: -1"))
    with pytest.raises(UserError) as caught:
        cards.load("toy")
    assert [problem.where.partition(": ")[2] for problem in caught.value.problems] \
        == ["title", "variants.small.download_mb"]
