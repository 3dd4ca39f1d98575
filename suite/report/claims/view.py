"""The numbers of a claim at a look: its cells over the first seeds, and the variance of a seed in each column.

At look k, the rows that the claim names count with their first k seeds, and all other rows of the column with the first
`start` seeds. So a verdict does not change if more seeds of another row are run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from suite.report.claims.claim import Stated
from suite.report.claims.numbers import Datum, Numbers, first_of
from suite.report.statistics.variance import Variance, alike, alike_in_blocks, in_blocks, pooled


@dataclass(frozen=True)
class Pool:
    """The pooled variance of a seed over the cells of a column with one kind of model; None and `why` if not pooled."""

    variance: Variance | None
    rows: int
    why: str = ""


@dataclass(frozen=True)
class Column:
    """The cells of a column by row, over all seeds and over the `first` ones; `alike`: their variances may be pooled.

    A row that the table has twice is in `first` only once; `names` maps each row to its name there.
    """

    cells: Mapping[str, Datum]
    first: Mapping[str, Datum]
    names: Mapping[str, str]
    alike: bool


@dataclass
class Cache:
    """Results shared by the views of one set of numbers."""

    columns: dict[tuple[object, ...], Column] = field(default_factory=dict)
    pools: dict[tuple[object, ...], Pool] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """The numbers of a claim over its first `seeds`, or over all seeds if that is None."""

    stated: Stated
    numbers: Numbers
    seeds: Sequence[int] | None = None
    cache: Cache = field(default_factory=Cache)

    def datum(self, row: str, column: str) -> Datum:
        """The cell, restricted to the seeds of this look."""
        datum = self.numbers.datum(self.stated.claim, row, column)
        return datum if self.seeds is None or datum.constant or not datum.values else datum.at(self.seeds)

    def is_chance(self, datum: Datum) -> bool:
        """Whether the cell is an X, which means that most of its first seeds end no better than chance."""
        if not datum.chance:
            return False
        seeds = list(datum.values) if self.seeds is None else self._first
        return 2 * sum(seed in datum.chance for seed in seeds) > len(seeds)

    def is_never_pooled(self, datum: Datum) -> bool:
        """Whether the variance of the cell must not be pooled, whatever the rules of its family."""
        return datum.deterministic or datum.failed or self.is_chance(datum)

    def pool(self, column: str, model: str) -> Pool:
        """The pooled variance of the cells of a column with this kind of model."""
        if self.stated.rules.variance == "cell":
            return Pool(None, 0)
        key = (*self._key(column), model, None if self.seeds is None else (self._named, tuple(self.seeds)))
        if key not in self.cache.pools:
            self.cache.pools[key] = self._pool(column, model)
        return self.cache.pools[key]

    def left_out(self, column: str) -> tuple[str, ...]:
        """Rows of the column that are not pooled, because some of their first seeds ended without a number."""
        return tuple(row for row, datum in self._column(column).items() if datum.ended.keys() & set(self._first))

    def incomplete_rows(self, column: str) -> tuple[str, ...]:
        """Rows of the column with first seeds that have no number yet but may still get one."""
        return tuple(row for row, datum in self._column(column).items()
                     if any(seed not in datum.values and seed not in datum.ended for seed in self._first))

    @property
    def _by_seed(self) -> bool:
        return self.stated.claim.by == "seed"

    @cached_property
    def _first(self) -> Sequence[int]:
        """The seeds that decide on X and on pooling, and with which all other rows count."""
        plan = self.stated.rules.plan
        return self.numbers.seeds[:plan.start] if plan else ()

    @cached_property
    def _named(self) -> frozenset[str]:
        claim = self.stated.claim
        return frozenset(claim.places if claim.rows else claim.names)

    def _key(self, column: str) -> tuple[object, ...]:
        claim = self.stated.claim
        return claim.table, column, claim.epoch, self._by_seed, self.stated.rules.looks, self.seeds is None

    def _column(self, column: str) -> Mapping[str, Datum]:
        """The cells of the column that have runs or printed seeds."""
        claim = self.stated.claim
        data = {row: self.numbers.datum(claim, row, column) for row in self.numbers.rows(claim)}
        return {row: datum for row, datum in data.items() if not datum.constant and (datum.planned or datum.n)}

    def _pool(self, column: str, model: str) -> Pool:
        key = (*self._key(column), model)
        if key not in self.cache.columns:
            self.cache.columns[key] = self._poolable(column, model)
        poolable = self.cache.columns[key]
        now = poolable.first
        if self.seeds is not None:
            named = {poolable.names[row]: row for row in poolable.names.keys() & self._named}
            now = {row: poolable.cells[named[row]].at(self.seeds) if row in named else datum
                   for row, datum in poolable.first.items()}
        if len(now) < 2:
            return Pool(None, len(now))
        variance = in_blocks({row: datum.values for row, datum in now.items()}) if self._in_blocks(now) else \
            pooled(_variances(now))
        if variance is None:
            return Pool(None, len(now))
        return Pool(variance, len(now)) if poolable.alike else Pool(None, len(now), "the variances differ")

    def _poolable(self, column: str, model: str) -> Column:
        """The cells that may be pooled, and whether Bartlett's test on their first seeds allows it."""
        cells = {row: datum for row, datum in self._column(column).items()
                 if datum.n and datum.model == model and not self.is_never_pooled(datum)}
        first = cells
        if self.seeds is not None:
            first = {row: datum.at(self._first) for row, datum in cells.items()}
            first = {row: datum for row, datum in first.items() if datum.n == len(self._first)}
        first = {row: datum for row, datum in first.items() if datum.summary and datum.summary.std is not None}
        names = first_of(first)
        first = {row: datum for row, datum in first.items() if names[row] == row}
        alike_ = alike_in_blocks({row: datum.values for row, datum in first.items()}) if self._in_blocks(first) else \
            alike(_variances(first))
        return Column(cells, first, names, alike_)

    def _in_blocks(self, data: Mapping[str, Datum]) -> bool:
        return self._by_seed and bool(data) and all(datum.values for datum in data.values())


def _variances(data: Mapping[str, Datum]) -> list[Variance]:
    return [v for datum in data.values() if datum.summary and (v := datum.summary.variance) is not None]
