"""ListOps: nested operations on lists of digits, as sequences of tokens. The label is the value. Paper, section 5.5.

Trees are drawn level by level, many at a time. A node is an operator with probability 1/4, and then has 2 to `max_args`
children. Trees that are too short or too long are dropped, and so are repeated expressions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from suite.data.prepared_types import Facts, Prepared
from suite.data.progress_bar import track
from suite.data.source import Source
from suite.data.vocabulary import Texts, tokens
from suite.errors import UserError

VIEWS = {"listops": "tokens"}
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
CLOSE = "X"
SYMBOLS = (*map(str, range(10)), *OPERATORS, CLOSE)  # the code of a symbol is its index
FIRST_OPERATOR, CLOSE_CODE = 10, len(SYMBOLS) - 1
OPERATOR_SHARE = 0.25
TREES = 8192  # drawn at a time; examples of a seed depend on it
MOST_REPEATS = 50  # draws without a new expression before giving up
LONGEST = 2048  # symbols of the released examples, including the end mark
HEADER = "Source\tTarget"


@dataclass(frozen=True)
class Rules:
    """Limits of an expression: `least` < number of symbols < `most`, depth of nesting, arguments of an operator."""

    least: int
    most: int
    depth: int
    args: int


@dataclass(frozen=True)
class Expressions:
    """Expressions: concatenated codes (uint8, indices of SYMBOLS), starts (n + 1,), values (n,)."""

    codes: np.ndarray
    starts: np.ndarray
    values: np.ndarray

    def some(self, chosen: list[int]) -> Expressions:
        """The expressions with these indices."""
        pieces = [self.codes[self.starts[k]:self.starts[k + 1]] for k in chosen]
        lengths = [len(piece) for piece in pieces]
        return Expressions(np.concatenate([np.zeros(0, np.uint8), *pieces]), ends(lengths), self.values[chosen])


def prepare(source: Source, view: str) -> Prepared:
    """Expressions as tokens with an end mark, and their values, of 10 classes.

    Options of the generator: `train_count`, `test_count` (also for validation), `min_length`, `max_length`,
    `max_depth`, `max_args`, `seed`. Raises UserError if a file is missing or in another format, and if there are too
    few different expressions.
    """
    if source.card.files:
        parts = {split: released(source, source.path(split)) for split in source.splits}
        counts = {split: len(part.values) for split, part in parts.items()}
        made = joined([*parts.values()])
    else:
        options = source.options
        counts = {"train": options["train_count"], "val": options["test_count"], "test": options["test_count"]}
        rules = Rules(options["min_length"], options["max_length"], options["max_depth"], options["max_args"])
        made = distinct(options["seed"], rules, sum(counts.values()))
    arrays = tokens(Texts(made.codes, made.starts), np.arange(counts["train"]), lambda code: SYMBOLS[code])
    begin = 0
    for split, count in counts.items():
        arrays |= {f"{split}/documents": np.arange(begin, begin + count),
                   f"{split}/y": made.values[begin:begin + count]}
        begin += count
    longest = int(np.diff(arrays["starts"]).max())
    return Prepared(Facts(length=longest, vocabulary=len(arrays["symbols"]), classes=10), arrays)


def distinct(seed: int, rules: Rules, count: int) -> Expressions:
    """The first `count` different expressions of the seed. Raises UserError if it finds fewer."""
    known: set[bytes] = set()
    parts: list[Expressions] = []
    repeats = 0
    for part in track(draws(seed, rules), "drawing expressions"):
        new = []
        for k, (begin, end) in enumerate(zip(part.starts, part.starts[1:], strict=False)):
            text = part.codes[begin:end].tobytes()
            if text not in known and len(known) < count:
                known.add(text)
                new.append(k)
        parts.append(part.some(new))
        if len(known) == count:
            return joined(parts)
        repeats = 0 if new else repeats + 1
        if repeats == MOST_REPEATS:
            raise UserError(f"only {len(known)} different expressions were found, not {count}", "data.max_length",
                            "use fewer examples, or allow longer or deeper ones")
    raise AssertionError("draws never ends")


def released(source: Source, path: Path) -> Expressions:
    """Read a released file: a header, then lines with an expression, a tab, and its value."""
    code = {symbol: number for number, symbol in enumerate(SYMBOLS)}
    codes, values = [], []
    for line, text in enumerate(track(source.lines(path), f"reading {path.name}"), 1):
        if line == 1 and text == HEADER:
            continue
        expression, tab, value = text.partition("\t")
        symbols = expression.replace("]", CLOSE).replace("(", " ").replace(")", " ").split()
        unknown = [symbol for symbol in symbols if symbol not in code]
        if not tab or len(value) != 1 or value not in "0123456789" or not symbols or unknown:
            what = f"the symbol {unknown[0][:20]!r}" if unknown else f"the text {text[:60]!r}"
            raise UserError(f"{path}, line {line} has {what}; a line has an expression, a tab and a digit",
                            source.place, "get the file again")
        codes.append(np.array([code[symbol] for symbol in symbols[:LONGEST - 1]], np.uint8))
        values.append(int(value))
    if not values:
        raise UserError(f"{path} is empty", source.place, "get the file again")
    return Expressions(np.concatenate(codes), ends([len(part) for part in codes]), np.array(values))


def joined(parts: list[Expressions]) -> Expressions:
    """The expressions of several parts, concatenated."""
    return Expressions(np.concatenate([part.codes for part in parts]),
                       ends(np.concatenate([np.diff(part.starts) for part in parts])),
                       np.concatenate([part.values for part in parts]))


def ends(lengths: list[int] | np.ndarray) -> np.ndarray:
    """The start of each of the concatenated texts of these lengths, and the end of the last one: (n + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


@dataclass(frozen=True)
class Level:
    """The nodes of many trees at one depth, left to right: the tree of each, and its number of children (digits: 0)."""

    tree: np.ndarray
    children: np.ndarray

    @property
    def operators(self) -> np.ndarray:
        """Which nodes are operators."""
        return self.children > 0

    @property
    def groups(self) -> np.ndarray:
        """The index of each operator's first child in the next level."""
        return np.cumsum(self.children[self.operators]) - self.children[self.operators]


def draws(seed: int, rules: Rules) -> Iterator[Expressions]:
    """Expressions of the right length, drawn from TREES trees at a time. Never ends."""
    number = 0
    while True:
        rng = np.random.default_rng([seed, number])
        yield express(grow(rng, rules), rng)
        number += 1


def grow(rng: np.random.Generator, rules: Rules) -> list[Level]:
    """The levels of the trees of the right length, among TREES random trees."""
    levels: list[Level] = []
    tree = np.arange(TREES, dtype=np.int32)
    length = np.zeros(TREES, np.int64)
    for depth in range(1, rules.depth + 1):
        children = np.zeros(len(tree), np.int64)
        if depth < rules.depth:
            operators = np.flatnonzero(rng.random(len(tree), np.float32) <= OPERATOR_SHARE)
            children[operators] = rng.integers(2, rules.args, len(operators), endpoint=True)
        length += np.bincount(tree, minlength=TREES) + np.bincount(tree[children > 0], minlength=TREES)
        levels.append(Level(tree, children))
        children = children * (length[tree] < rules.most)  # trees that are too long stop growing
        tree = np.repeat(tree, children)
    good = (rules.least < length) & (length < rules.most)
    kept = [good[level.tree] for level in levels]
    return [Level(level.tree[keep], level.children[keep]) for level, keep in zip(levels, kept, strict=True)]


def express(levels: list[Level], rng: np.random.Generator) -> Expressions:
    """Draw digits and operators for the trees. Returns them as expressions with their values."""
    symbols = [np.where(level.operators, rng.integers(FIRST_OPERATOR, CLOSE_CODE, len(level.tree), np.uint8),
                        rng.integers(0, 10, len(level.tree), np.uint8)) for level in levels]
    values, sizes = evaluate(levels, symbols)
    starts = ends(sizes[0])
    codes = np.empty(starts[-1], np.uint8)
    place = starts[:-1]
    for level, symbol, size, below in zip(levels, symbols, sizes, [*sizes[1:], np.zeros(0, np.int64)], strict=True):
        codes[place] = symbol
        parent = place[level.operators]
        codes[parent + size[level.operators] - 1] = CLOSE_CODE
        before = np.cumsum(below) - below  # symbols of this level's nodes to the left, over all groups
        place = np.repeat(parent + 1 - before[level.groups], level.children[level.operators]) + before
    return Expressions(codes, starts, values)


def evaluate(levels: list[Level], symbols: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Values of the roots, and the number of symbols of each node at each level. MED rounds down, SM is modulo 10."""
    values = np.zeros(0, np.int64)
    sizes: list[np.ndarray] = []
    for level, symbol in zip(reversed(levels), reversed(symbols), strict=True):
        below, values = values, symbol.astype(np.int64)
        size = np.ones(len(values), np.int64)
        operators = level.operators
        if operators.any():
            values[operators] = apply(symbol[operators], below, level.groups, level.children[operators])
            size[operators] = 2 + np.add.reduceat(sizes[-1], level.groups)
        sizes.append(size)
    return values, sizes[::-1]


def apply(operator: np.ndarray, below: np.ndarray, groups: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The value of each operator on its group of `counts` values of `below`."""
    group = np.repeat(np.arange(len(groups)), counts)
    ordered = np.sort(group * 10 + below) - group * 10
    median = (ordered[groups + (counts - 1) // 2] + ordered[groups + counts // 2]) // 2
    results = (ordered[groups], ordered[groups + counts - 1], median, np.add.reduceat(below, groups) % 10)
    return np.choose(operator - FIRST_OPERATOR, results)
