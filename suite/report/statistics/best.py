"""Which rows of a column are not distinguishable from its best: each row against the best, with Holm's correction.

The best row is chosen from the same numbers that are tested, so these p values are after selection. A row may differ
only because of that choice, and the mark ≈ only means that the test found no difference.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from suite.report.statistics.contrast import Summary, Term, combined, summarise
from suite.report.statistics.multiple import holm
from suite.report.statistics.variance import Variance, alike, pooled

Row = TypeVar("Row", bound=Hashable)


@dataclass(frozen=True)
class Candidate:
    """The values of a row by seed, and the `kind` of model whose rows may share one variance."""

    values: Sequence[float]
    kind: Hashable


def against_best(rows: Mapping[Row, Candidate], largest: bool) -> dict[Row, float]:
    """Two-sided, Holm-corrected p of each row's difference from the best row. Rows without a variance are left out.

    The keys of `rows` may be any hashable names.
    """
    if not rows:
        return {}
    cells = {row: summarise(one.values) for row, one in rows.items()}
    best = max(cells, key=lambda row: cells[row].mean if largest else -cells[row].mean)
    shared = {kind: _pool([cells[row] for row, one in rows.items() if one.kind == kind])
              for kind in {one.kind for one in rows.values()}}

    def term(sign: float, row: Row) -> Term | None:
        variance = _own_or(shared[rows[row].kind], cells[row])
        return None if variance is None else Term(sign, cells[row].mean, cells[row].n, variance)

    found: dict[Row, float] = {}
    for row in cells.keys() - {best}:
        terms = [one for one in (term(1.0, best), term(-1.0, row)) if one is not None]
        if len(terms) == 2:
            found[row] = _p(terms)
    names = [row for row in cells if row in found]
    return {row: one.p for row, one in zip(names, holm([found[row] for row in names]), strict=True)}


def _pool(cells: Sequence[Summary]) -> Variance | None:
    """The pooled variance of these cells; None if they have none, or if Bartlett's test rejects equal variances."""
    known = [one.variance for one in cells if one.variance is not None and one.variance.value]
    return pooled(known) if len(known) > 1 and alike(known) else None


def _own_or(shared: Variance | None, cell: Summary) -> Variance | None:
    """The shared variance, or else the cell's own. Cells with variance 0 (deterministic models) are never pooled."""
    return cell.variance if shared is None or cell.std == 0.0 else shared


def _p(terms: Sequence[Term]) -> float:
    if not any(term.variance.value for term in terms):
        return 1.0 if terms[0].mean == terms[1].mean else 0.0
    estimate = combined(terms)
    return min(1.0, 2 * min(estimate.above(0.0), estimate.below(0.0)))
