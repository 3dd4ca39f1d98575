"""The estimate of a comparison from its cells: the choice of variance and test, or why it is impossible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suite.report.claims.numbers import Datum
from suite.report.claims.view import Pool, View
from suite.report.statistics import contrast
from suite.report.statistics.contrast import PAIRED, WELCH, Estimate, Summary, Term
from suite.report.statistics.variance import Variance

FEW_SEEDS = "a comparison needs two seeds on each side, but {} and {} have a number"
NO_SEEDS = "no seed has a number, and a comparison needs two on each side"
BORROWED = "t with a borrowed variance"
NO_VARIANCE = Variance(0.0, 1.0)  # of a model that gives the same number for every seed


@dataclass(frozen=True)
class WeightedCell:
    """A cell of a comparison with its coefficient and its column."""

    coefficient: float
    column: str
    datum: Datum


def merge_duplicates(cells: Sequence[WeightedCell]) -> list[WeightedCell]:
    """The cells, with those of one column that have the same runs merged into one. Cells that cancel are left out.

    As two terms they would count as independent, and the error would be wrong.
    """
    found: dict[tuple[str, object], WeightedCell] = {}
    for i, cell in enumerate(cells):
        key = cell.column, cell.datum.runs or i
        before = found.get(key)
        found[key] = replace(before, coefficient=before.coefficient + cell.coefficient) if before else cell
    return [cell for cell in found.values() if abs(cell.coefficient) > 1e-12]


def common_seeds(cells: Sequence[WeightedCell]) -> list[int]:
    """The seeds for which all cells have a number."""
    return sorted(set.intersection(*(set(cell.datum.values) for cell in cells)))


def at_common_seeds(cells: Sequence[WeightedCell]) -> list[WeightedCell]:
    """The cells restricted to their common seeds, which are the pairs of a paired test, if values by seed are known."""
    moving = [cell for cell in cells if not cell.datum.constant]
    if not moving or not all(cell.datum.values for cell in moving):
        return list(cells)
    seeds = common_seeds(moving)
    return [cell if cell.datum.constant else
            replace(cell, datum=replace(cell.datum, summary=cell.datum.at(seeds).summary)) for cell in cells]


def is_exact(cells: Sequence[WeightedCell]) -> bool:
    """Whether there is nothing to estimate: every number is a constant or the same for every seed by construction."""
    moving = [cell.datum for cell in cells if not cell.datum.constant]
    return bool(moving) and all(one.deterministic and one.summary is not None and not one.summary.std
                                for one in moving)


def estimate(cells: Sequence[WeightedCell], n: tuple[int, int], view: View) -> tuple[Estimate, str] | str:
    """The estimate with a note on its variance, or the reason why it is impossible.

    Constants shift the estimate and have no error. `n` has the number of seeds on each side, for the reason.
    """
    moving = [cell for cell in cells if not cell.datum.constant]
    if not moving:
        return "both sides have only printed numbers"
    offset = sum(cell.coefficient * cell.datum.summary.mean for cell in cells
                 if cell.datum.constant and cell.datum.summary)
    paired = view.stated.claim.by == "seed" and all(cell.datum.values for cell in moving)
    made = _by_seed(moving, view) if paired else _unpaired(moving, n, view)
    return made if isinstance(made, str) else (made[0].shifted(offset) if offset else made[0], made[1])


def _by_seed(cells: Sequence[WeightedCell], view: View) -> tuple[Estimate, str] | str:
    seeds = common_seeds(cells)
    if len(seeds) < 2:
        return f"{'one' if seeds else 'no'} seed has both numbers, but a comparison by seed needs two"
    means = {id(cell): contrast.summarise([cell.datum.values[seed] for seed in seeds]).mean for cell in cells}
    pools = _pools(cells, view)
    balanced = all(abs(sum(c.coefficient for c in cells if (c.column, c.datum.model) == key)) < 1e-9 for key in pools)
    note = "; ".join(dict.fromkeys(pool.why for pool in pools.values() if pool.why))
    pooled = [pools[cell.column, cell.datum.model].variance for cell in cells]
    known = [one for one in pooled if one is not None]
    if balanced and len(known) == len(cells) and not any(view.is_never_pooled(cell.datum) for cell in cells):
        terms = [Term(cell.coefficient, means[id(cell)], len(seeds), one)
                 for cell, one in zip(cells, known, strict=True)]
        rows = max(pool.rows for pool in pools.values())
        return _tested(terms, f"t with seeds as blocks over {rows} rows", paired=True)
    combined = [sum(cell.coefficient * cell.datum.values[seed] for cell in cells) for seed in seeds]
    one = contrast.summarise(combined)
    if not one.std:
        return "the standard deviation of the differences is 0"
    return contrast.contrast([1.0], [one], PAIRED), f"not pooled: {note}" if note and balanced else ""


def _unpaired(cells: Sequence[WeightedCell], n: tuple[int, int], view: View) -> tuple[Estimate, str] | str:
    summaries = [cell.datum.summary for cell in cells]
    known = [one for one in summaries if one is not None and one.n > 1]
    if len(known) < len(cells):
        return FEW_SEEDS.format(*n) if any(n) else NO_SEEDS
    pools = _pools(cells, view)
    columns = {cell.column for cell in cells}
    terms, notes, rows = [], [], 0
    borrowed: dict[str, tuple[Variance, str]] = {}  # by column; terms with one variance share the object
    for cell, summary in zip(cells, known, strict=True):
        pool = pools[cell.column, cell.datum.model]
        single = view.is_never_pooled(cell.datum)
        variance = _own(cell, summary) if single or pool.variance is None else pool.variance
        if variance is pool.variance:
            rows = max(rows, pool.rows)
        elif pool.why and not single and summary.std is not None:
            notes.append(f"{cell.column} not pooled: {pool.why}" if len(columns) > 1 else f"not pooled: {pool.why}")
        if variance is None:
            found = borrowed.get(cell.column) or view.numbers.borrowed(view.stated.claim, cell.column)
            if found is None:
                return "a standard deviation is not printed"
            variance, note = borrowed[cell.column] = found
            notes.append(note)
        terms.append(Term(cell.coefficient, summary.mean, summary.n, variance))
    made = _tested(terms, BORROWED if borrowed else _name(rows, terms), paired=False)
    return made if isinstance(made, str) else (made[0], "; ".join(dict.fromkeys(notes)))


def _own(cell: WeightedCell, summary: Summary) -> Variance | None:
    """The cell's own variance; zero for a model that gives the same number for every seed."""
    return NO_VARIANCE if cell.datum.deterministic and not summary.std else summary.variance


def _name(shared: int, terms: Sequence[Term]) -> str:
    several = len({id(term.variance) for term in terms if term.variance.value}) > 1
    if not shared:
        return WELCH if several or len(terms) > 1 else "t"
    return f"t with the variance of the column over {shared} rows" if not several else \
        f"t with the variances of columns over {shared} rows"


def _tested(terms: Sequence[Term], test: str, paired: bool) -> tuple[Estimate, str] | str:
    try:
        return contrast.combined(terms, test, paired), ""
    except ValueError:
        return "the standard deviation " + ("of the differences is 0" if paired else "is 0 on both sides")


def _pools(cells: Sequence[WeightedCell], view: View) -> dict[tuple[str, str], Pool]:
    return {(cell.column, cell.datum.model): view.pool(cell.column, cell.datum.model) for cell in cells}
