"""ListOps: the generator against the published rules written as a plain recursion, and the released form."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from own_cards import Cards, own_cards
from scipy import stats

from suite.data import listops
from suite.data.listops import Rules, distinct
from suite.errors import UserError

PUBLISHED = Rules(500, 2000, 10, 10)
SMALL = {"train_count": 300, "test_count": 20, "min_length": 5, "max_length": 60, "max_depth": 5, "max_args": 5}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    with own_cards(tmp_path, monkeypatch) as made:
        yield made


def twin(rng: random.Random, depth: int, rules: Rules) -> list[str]:
    """The symbols of a random tree, after the rules of the specification (section 5.5)."""
    if rng.random() > 0.25 or depth == rules.depth:
        return [str(rng.randrange(10))]
    arguments = [twin(rng, depth + 1, rules) for _ in range(rng.randint(2, rules.args))]
    return [rng.choice(listops.OPERATORS), *(symbol for argument in arguments for symbol in argument), "X"]


def value(symbols: list[str]) -> int:
    """What an expression amounts to, symbol by symbol."""
    stack: list[list[str | int]] = [[]]
    for symbol in symbols:
        if symbol in listops.OPERATORS:
            stack.append([symbol])
        elif symbol == "X":
            operator, *arguments = stack.pop()
            numbers = [int(a) for a in arguments]
            stack[-1].append({"[MIN": min, "[MAX": max, "[MED": lambda v: int(np.median(v)),
                              "[SM": lambda v: sum(v) % 10}[str(operator)](numbers))
        else:
            stack[-1].append(int(symbol))
    (result,), = stack
    return int(result)


def written(made: listops.Expressions) -> list[list[str]]:
    return [[listops.SYMBOLS[c] for c in made.codes[a:b]] for a, b in zip(made.starts, made.starts[1:], strict=False)]


def depth(symbols: list[str]) -> int:
    return 1 + max(np.cumsum([(s in listops.OPERATORS) - (s == "X") for s in symbols]))


def arities(symbols: list[str]) -> list[int]:
    stack, found = [0], []
    for symbol in symbols:
        if symbol == "X":
            found.append(stack.pop())
        else:
            stack[-1] += 1
            if symbol in listops.OPERATORS:
                stack.append(0)
    return found


def test_values_are_those_of_a_plain_evaluator() -> None:
    made = distinct(1, PUBLISHED, 200)
    assert [value(symbols) for symbols in written(made)] == made.values.tolist()
    small = distinct(1, Rules(0, 60, 4, 6), 2000)
    assert [value(symbols) for symbols in written(small)] == small.values.tolist()


def test_expressions_keep_to_the_rules() -> None:
    texts = written(distinct(2, PUBLISHED, 300))
    assert all(500 < len(text) < 2000 and depth(text) <= 10 for text in texts)
    assert max(map(depth, texts)) == 10
    assert {n for text in texts for n in arities(text)} == set(range(2, 11))
    assert len({tuple(text) for text in texts}) == 300


def test_lengths_and_values_are_distributed_as_published() -> None:
    rng = random.Random(3)
    trees = (twin(rng, 1, PUBLISHED) for _ in range(10**9))
    twins = list(islice((tree for tree in trees if 500 < len(tree) < 2000), 400))
    made = distinct(3, PUBLISHED, 4000)
    assert stats.ks_2samp([len(tree) for tree in twins], np.diff(made.starts)).pvalue > 0.01
    expected = np.bincount([value(tree) for tree in twins], minlength=10)
    found = np.bincount(made.values, minlength=10)
    assert stats.chi2_contingency([expected, found]).pvalue > 0.01
    symbols = np.bincount(made.codes, minlength=15) / len(made.codes)
    assert np.ptp(symbols[:10]) < 0.002 and np.ptp(symbols[10:14]) < 0.002  # digits, and operators, equally often
    assert symbols[10:14].sum() == pytest.approx(symbols[14])


def test_short_expressions_are_distributed_by_the_same_rules() -> None:
    small, twins = Rules(2, 12, 4, 4), random.Random(4)
    trees = [t for t in (twin(twins, 1, small) for _ in range(40_000)) if 2 < len(t) < 12]
    made = next(listops.draws(4, small))  # with repetitions
    assert stats.ks_2samp([len(t) for t in trees], np.diff(made.starts)).pvalue > 0.01


def test_the_seed_decides_and_a_smaller_set_is_the_beginning_of_a_larger_one() -> None:
    large, small, other = distinct(5, PUBLISHED, 60), distinct(5, PUBLISHED, 20), distinct(6, PUBLISHED, 20)
    assert written(large)[:20] == written(small) and large.values[:20].tolist() == small.values.tolist()
    assert written(other) != written(small)


def test_too_few_expressions_are_named() -> None:
    with pytest.raises(UserError, match=r"data\.max_length: only 10 different expressions were found, not 11"):
        distinct(0, Rules(0, 2, 3, 3), 11)  # the ten digits


def test_prepared(own: Cards) -> None:
    data = own.load("listops", "generated", **SMALL)
    assert [data.count(split) for split in ("train", "val", "test")] == [300, 20, 20]
    assert (data.vocabulary, data.classes) == (18, 10) and data.length <= 60
    assert data.arrays["symbols"][:3].tolist() == ["<pad>", "<unk>", "<eos>"]
    assert sorted(data.arrays["symbols"][3:]) == sorted(listops.SYMBOLS)
    for split in ("train", "val", "test"):
        batch = data.batch(split, np.arange(20))
        assert batch.lengths is not None
        for row, length, label in zip(batch.x.tolist(), batch.lengths.tolist(), batch.y.tolist(), strict=True):
            symbols = [data.arrays["symbols"][token] for token in row[:length]]
            assert symbols[-1] == "<eos>" and value(symbols[:-1]) == label and set(row[length:]) <= {0}
    seen = np.bincount(data.arrays["tokens"][:data.arrays["starts"][300]], minlength=18)
    assert (np.diff(seen[3:]) <= 0).all()  # by frequency in training


def released(own: Cards, **lines: list[str]) -> None:
    folder = own.home / "listops-1000"
    folder.mkdir(exist_ok=True)
    for split in ("train", "val", "test"):
        text = lines.get(split, ["( ( ( [MAX 2 ) 9 ) ] )\t9", "5\t5"])
        (folder / f"basic_{split}.tsv").write_text("\n".join(["Source\tTarget", *text]) + "\n")


def test_released_files(own: Cards) -> None:
    released(own, train=["( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )\t9", "3\t3"])
    data = own.load("listops", "original")
    batch = data.batch("train", np.array([0, 1]))
    texts = [[data.arrays["symbols"][t] for t in row] for row in batch.x.tolist()]
    assert texts == [["[MAX", "2", "9", "[MIN", "4", "7", "X", "X", "<eos>"], ["3", "<eos>", *["<pad>"] * 7]]
    assert batch.y.tolist() == [9, 3] and data.count("val") == 2


@pytest.mark.parametrize(("line", "what"), [
    ("( [MAX 2 ] )", "the text '( [MAX 2 ] )'"), ("( [ADD 2 ] )\t2", "the symbol '[ADD'"), ("5\t10", "the text"),
    ("\t1", "the text")])
def test_malformed_rows_are_named_with_their_line(own: Cards, line: str, what: str) -> None:
    released(own, val=["5\t5", line])
    assert f"basic_val.tsv, line 3 has {what}" in own.error("listops", "original")


def test_missing_files_tell_all_ways(own: Cards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRA_RELEASE", raising=False)
    text = own.error("listops", "original")
    assert "LRA_RELEASE is not set; nor: " in text and "lra_release.gz" in text
    assert "--set data.variant=generated (expressions by the published rules, made here)" in text
