"""Text and retrieval: tokens of reviews, vocabulary, splits, pairs, and texts that are damaged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_samples
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_cards import Cards, own_cards

from suite.data import retrieval, vocabulary
from suite.data.prepared import TaskData
from suite.errors import UserError

full = pytest.mark.skipif(not os.environ.get("SUITE_DATA"), reason="SUITE_DATA is not set: the full files are not here")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    with own_cards(tmp_path, monkeypatch) as made:
        monkeypatch.delenv("LRA_RELEASE", raising=False)
        yield made


def sample(split: str) -> dict[str, list[Any]]:
    return pq.read_table(make_samples.SAMPLES / f"imdb-{split}.parquet").to_pydict()


def read(data: TaskData, document: int) -> str:
    """A text, from its tokens; the end mark is left out."""
    begin, end = data.arrays["starts"][document:document + 2]
    assert data.arrays["tokens"][end - 1] == vocabulary.END
    return "".join(data.arrays["symbols"][data.arrays["tokens"][begin:end - 1]])


def test_tokens_by_hand() -> None:
    texts = vocabulary.characters(["abba", "", "bxé€"], 3)
    arrays = vocabulary.tokens(texts, np.array([0, 1]))
    assert arrays["symbols"].tolist() == ["<pad>", "<unk>", "<eos>", "b", "a"]  # b twice in "abb"
    assert arrays["tokens"].tolist() == [4, 3, 3, 2, 2, 3, 1, 1, 2] and arrays["starts"].tolist() == [0, 4, 5, 9]
    assert vocabulary.tokens(texts, np.array([0, 2]), least=2)["symbols"].tolist()[3:] == ["b"]
    assert vocabulary.tokens(texts, np.array([2]))["symbols"].tolist()[3:] == ["b", "x", "é"]  # equally often: by name


def test_reviews_are_their_characters(own: Cards) -> None:
    data = own.load("text", "sample")
    train = sample("train")
    counts = Counter(c for review in train["text"] for c in review)
    known = sorted((c for c in counts if counts[c] >= 15), key=lambda c: (-counts[c], c))
    assert data.arrays["symbols"].tolist() == ["<pad>", "<unk>", "<eos>", *known] and data.vocabulary == len(known) + 3
    assert (data.length, data.classes) == (701, 2)
    for split in ("train", "val", "test"):
        rows = sample(split)
        assert data.arrays[f"{split}/y"].tolist() == rows["label"]
        for k in (0, 17, len(rows["text"]) - 1):
            expected = "".join(c if c in known else "<unk>" for c in rows["text"][k])
            assert read(data, data.arrays[f"{split}/documents"][k]) == expected


def test_long_reviews_are_cut_and_the_vocabulary_is_that_of_what_is_left(own: Cards) -> None:
    data = own.load("text", "sample", max_length=64, min_freq=1)
    assert data.length == 64 and np.diff(data.arrays["starts"]).max() == 64
    assert set(data.arrays["symbols"][3:]) == {c for review in sample("train")["text"] for c in review[:63]}


def test_fewer_training_reviews_are_balanced_and_from_many_films(own: Cards) -> None:
    data = own.load("text", "sample", train_count=200)
    documents = data.arrays["train/documents"]
    assert np.bincount(data.arrays["train/y"]).tolist() == [100, 100] and (np.diff(documents) > 0).all()
    assert len({sample("train")["title"][k] for k in documents}) > 120
    assert data.count("val") == 608
    assert "give a multiple of 2, at most 4058" in own.error("text", "sample", train_count=5000)


def whole(own: Cards, **files: dict[str, list[Any]]) -> None:
    """The sample's reviews in the place of the full files."""
    (own.home / "imdb").mkdir()
    schema = pq.read_schema(make_samples.SAMPLES / "imdb-train.parquet")
    for split in ("train", "test"):
        columns = files.get(split) or sample(split)
        pq.write_table(pa.table({name: columns[name] for name in schema.names}, schema=schema),
                       own.home / "imdb" / f"{split}.parquet")
    own.accept("imdb", "parquet")
    own.accept("aan", "films")


def test_test_doubles_as_validation_or_training_reviews_are_held_out(own: Cards) -> None:
    whole(own)
    data = own.load("text", "parquet")
    assert [data.count(split) for split in ("train", "val", "test")] == [4058, 1152, 1152]
    assert (data.arrays["val/documents"] == data.arrays["test/documents"]).all()
    honest = own.load("text", "parquet", validation="train")
    assert [honest.count(split) for split in ("train", "val", "test")] == [3653, 405, 1152]
    parts = [set(honest.arrays[f"{split}/documents"].tolist()) for split in ("train", "val", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 4058 + 1152
    assert own.load("text", "parquet").fingerprint == data.fingerprint


def test_missing_and_broken_texts(own: Cards) -> None:
    for task, variant in (("text", "parquet"), ("retrieval", "films")):
        message = own.error(task, variant)
        assert "imdb/train.parquet is not there" in message and f"--variant {variant}` builds the Parquet" in message
        assert "in the repository" in message
    broken = sample("train")
    broken["text"][7] = None
    whole(own, train=broken)
    assert "train, row 7 has no text" in own.error("text", "parquet")
    table = pq.read_table(own.home / "imdb" / "test.parquet")
    bad = [pa.array([b"\xff\xfe"] * len(table)).view(pa.string()), table["label"], table["title"]]
    pq.write_table(pa.table(bad, schema=table.schema), own.home / "imdb" / "train.parquet")
    own.accept("imdb", "parquet")
    assert "train: the column text is not UTF-8" in own.error("text", "parquet")


@full
def test_vocabulary_of_the_full_set_is_about_135(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pq.read_table(Path(os.environ["SUITE_DATA"]) / "imdb" / "train.parquet", columns=["text"])["text"]
    texts = vocabulary.characters(rows.to_pylist(), 4095)
    arrays = vocabulary.tokens(texts, np.arange(25_000), least=15)
    assert len(arrays["symbols"]) == 134 and arrays["symbols"][3:7].tolist() == [" ", "e", "t", "a"]
    assert np.diff(arrays["starts"]).max() == 4096


class TestPairs:
    """Films: no single text, no verdict and no split gives the answer away."""

    def pairs(self, data: TaskData, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        documents, y = data.arrays[f"{split}/documents"], data.arrays[f"{split}/y"]
        return documents[:, 0], documents[:, 1], y

    def test_of_one_film_or_of_two(self, own: Cards) -> None:
        data = own.load("retrieval", "films-sample", min_freq=1)
        used = []
        for split in ("train", "val", "test"):
            rows = sample(split)
            of = {review: k for k, review in enumerate(rows["text"])}
            first, second, y = self.pairs(data, split)
            shown = {k: read(data, k) for k in np.unique([first, second])}
            known = {k: of[review] for k, review in shown.items() if "<unk>" not in review}
            pairs = [(known[a], known[b], label) for a, b, label in zip(first, second, y, strict=True)
                     if a in known and b in known]
            assert len(pairs) > 0.95 * len(y)
            assert all((rows["title"][a] == rows["title"][b]) == label and a != b for a, b, label in pairs)
            used.append(set(first) | set(second))
        assert not used[0] & used[1] and not used[0] & used[2] and not used[1] & used[2]

    def test_no_text_and_no_pair_of_verdicts_tells_the_label(self, own: Cards) -> None:
        data = own.load("retrieval", "films-sample")
        verdict = np.concatenate([sample(split)["label"] for split in ("train", "val", "test")])
        for split in ("train", "val", "test"):
            first, second, y = self.pairs(data, split)
            assert np.bincount(y).tolist() == [len(y) // 2] * 2
            for part in (first, second):
                assert Counter(part[y == 1]) == Counter(part[y == 0])
            agree = Counter(zip(verdict[first], verdict[second], y, strict=True))
            assert all(agree[a, b, 0] == agree[a, b, 1] for a in (0, 1) for b in (0, 1))

    def test_a_film_in_both_parts_is_for_training_only_and_texts_are_used_once(self, own: Cards) -> None:
        train, test = sample("train"), sample("test")
        shared = train["title"][0]
        test["title"][:5] = [shared] * 5
        test["text"][10] = train["text"][3]
        whole(own, train=train, test=test)
        data = own.load("retrieval", "films", min_freq=1)
        texts = {split: {read(data, k) for k in np.unique(data.arrays[f"{split}/documents"])}
                 for split in ("train", "val", "test")}
        assert not texts["test"] & {*test["text"][:5], train["text"][3]}
        assert not texts["train"] & texts["val"] and not texts["train"] & texts["test"]
        titles = [{t for t, review in zip(train["title"], train["text"], strict=True) if review in texts[split]}
                  for split in ("train", "val")]
        assert not titles[0] & titles[1] and 0.05 < len(titles[1]) / len(titles[0] | titles[1]) < 0.15

    def test_the_same_each_time(self) -> None:
        film, verdict = np.repeat(np.arange(40), 3), np.arange(120) % 2
        made = [retrieval.pair(np.arange(120), film, verdict, np.random.default_rng(1)) for _ in range(2)]
        assert (made[0].documents == made[1].documents).all()
        with pytest.raises(UserError, match="too few films"):
            retrieval.pair(np.arange(3), np.zeros(3, int), np.zeros(3, int), np.random.default_rng(1))


class TestReleasedPairs:
    ROWS = ["1\tP1\tP2\tone paper\tanother paper", "0.0\tP1\tP3\tone paper\tthird \"paper",
            "0\tP2\tP3\tanother paper\tz"]

    def write(self, own: Cards, rows: list[str], split: str = "eval") -> None:
        (own.home / "tsv_data").mkdir()
        for name in ("train", "eval", "test"):
            lines = rows if name == split else self.ROWS
            (own.home / "tsv_data" / f"new_aan_pairs.{name}.tsv").write_bytes(
                "\n".join(lines).encode("utf-8", "surrogateescape"))

    def test_read(self, own: Cards) -> None:
        self.write(own, self.ROWS)
        data = own.load("retrieval", "original", max_length=13)
        assert [data.count(split) for split in ("train", "val", "test")] == [3, 3, 3]
        assert data.arrays["train/y"].tolist() == [1, 0, 0]
        assert data.arrays["train/documents"].tolist() == [[0, 1], [0, 2], [1, 3]]  # each text is kept once
        assert [read(data, k) for k in range(4)] == ["one paper", "another pape", "third \"paper", "z"]
        assert data.vocabulary == len({*"one paperanother papthird \"z"}) + 3

    @pytest.mark.parametrize(("row", "what"), [
        ("1\tP1\tP2\tone paper", "has 4 columns; a line has 5"), ("2\tP1\tP2\ta\tb", "has the label '2'"),
        ("1\tP1\tP2\ta\tb\tc", "has 6 columns"), ("1\tP1\tP2\ta\t\udcff", "not UTF-8"), ("", "has 1 columns")])
    def test_malformed(self, own: Cards, row: str, what: str) -> None:
        self.write(own, [self.ROWS[0], row, self.ROWS[1]])
        message = own.error("retrieval", "original")
        assert "new_aan_pairs.eval.tsv, line 2" in message and what in message

    def test_missing(self, own: Cards) -> None:
        message = own.error("retrieval", "original")
        assert "LRA_RELEASE is not set" in message and "films-sample" in message and "7,700 MB" in message
