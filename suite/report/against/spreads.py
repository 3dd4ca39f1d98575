"""The error of ours − published, from the variance of a seed in the column, for our mean and the printed one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.report.statistics.contrast import Estimate, Term, combined, summarise
from suite.report.statistics.variance import Variance, alike, pooled
from suite.report.tables.table import Cell, Offset, Table, each_once

if TYPE_CHECKING:
    from suite.grid.model import Grid


@dataclass(frozen=True)
class Spread:
    """The variance of a seed in a cell (`own`), and in an absolute number of its column, for the `printed` one."""

    own: Variance | None
    printed: Variance | None

    def interval(self, cell: Cell, value: float, n_paper: int, level: float) -> tuple[float, float]:
        """The interval of the cell's mean − `value`, which is a mean over `n_paper` seeds or a difference of two."""
        difference = (cell.mean or 0.0) - value
        if self.own is None:  # an average over columns has its own interval
            low, high = cell.interval or (cell.mean or 0.0, cell.mean or 0.0)
            return low - value, high - value
        terms = [Term(1.0, cell.mean or 0.0, cell.n, self.own),
                 Term(-math.sqrt(2 if cell.base else 1), 0.0, n_paper, self.printed or self.own)]
        if not any(term.variance.value for term in terms):
            return difference, difference
        low, high = combined(terms).interval(level)
        return low - value, high - value


class Spreads:
    """The variances of a table, pooled over cells of a column with the same kind of model and number."""

    def __init__(self, table: Table | None = None, grid: Grid | None = None) -> None:
        models = {run.run_id: run.config.model.name for run in grid.runs} if grid else {}
        found: dict[tuple[str, str, bool], list[Variance]] = {}
        self._models = models
        for cell in each_once(cell for row in table.cells for cell in row) if table else ():
            own = _own(cell)
            if own is not None and not cell.chance and own.value:
                found.setdefault(self._key(cell, bool(cell.base)), []).append(own)
        self._pools = {key: pooled(variances) for key, variances in found.items()
                       if len(variances) > 1 and alike(variances)}

    def of(self, cell: Cell) -> Spread:
        """The variances for a cell: its own one if it is not pooled."""
        own = _own(cell)
        mine = own if own is None or not own.value else self._pools.get(self._key(cell, bool(cell.base)), own)
        return Spread(mine, self._pools.get(self._key(cell, False)) if mine is not own or cell.base else mine)

    def _key(self, cell: Cell, differs: bool) -> tuple[str, str, bool]:
        return cell.column, self._models.get(next(iter(cell.run_ids), ""), ""), differs


def _own(cell: Cell) -> Variance | None:
    values = list((cell.values or {}).values())
    return summarise(values).variance if len(values) > 1 else None


def offsets(table: Table, spreads: Spreads, n_paper: int) -> tuple[Offset, ...]:
    """The mean of ours − published, by seed, for each column with at least two compared cells."""
    found = (_offset(column, spreads, n_paper) for column in zip(*table.cells, strict=True))
    return tuple(one for one in found if one is not None)


def _offset(column: Iterable[Cell], spreads: Spreads, n_paper: int) -> Offset | None:
    cells = [cell for cell in each_once(column) if cell.judged and cell.judged[0].interval is not None and cell.values
             and not cell.base and not cell.chance]
    seeds = sorted(set.intersection(*(set(cell.values or {}) for cell in cells))) if len(cells) > 1 else []
    if len(seeds) < 2:
        return None
    by_seed = summarise([_mean((cell.values or {})[seed] - (cell.judged[0].value or 0.0) for cell in cells)
                         for seed in seeds])
    spread = [one for cell in cells if (one := spreads.of(cell).printed) is not None]
    if by_seed.variance is None or not by_seed.variance.value or not spread:
        return None
    paper = _mean(one.value for one in spread) / (len(cells) * n_paper)
    error = math.sqrt(by_seed.variance.value / by_seed.n + paper)
    made = Estimate(by_seed.mean, error, by_seed.n - 1, 0.0)  # degrees of freedom of the seeds, which are few
    return Offset(cells[0].column, by_seed.mean, made.interval(0.95), len(cells), len(seeds))


def _mean(values: Iterable[float] | Sequence[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
