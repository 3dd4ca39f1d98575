"""Whether rows rank as in the paper: rank correlation of our means with the published column."""

from __future__ import annotations

from dataclasses import replace

from suite.files.counted import counted
from suite.report.claims.kinds.kind import Kind, by_columns
from suite.report.claims.outcome import Comparison
from suite.report.claims.view import View
from suite.report.metric import Metric
from suite.report.statistics.ranks import correlate


def correlations(view: View) -> tuple[Comparison, ...]:
    """One comparison for each column, over the rows that have all their seeds and a published number."""
    return tuple(_column(view, column) for column in view.stated.claim.columns)


def _column(view: View, column: str) -> Comparison:
    claim, numbers = view.stated.claim, view.numbers
    rows = [str(row) for row in claim.left] or list(numbers.rows(claim))
    data = {row: numbers.datum(claim, row, column) for row in rows}
    made = Comparison(column, next(iter(data.values())).metric)
    printed = {row: numbers.published(claim, row, column)
               for row in rows if not data[row].constant}  # a printed row is not compared with itself
    refused = [why for why in printed.values() if isinstance(why, str)]
    asked = {row: number for row, number in printed.items() if isinstance(number, float)}
    if refused and not asked:
        return replace(made, why=f"not comparable with published numbers: {'; '.join(dict.fromkeys(refused))}")
    both = {row: (datum.summary.mean, number) for row, number in asked.items()
            if (datum := data[row]).summary and not datum.why}
    variants = numbers.variants(claim)
    try:
        found = correlate([a for a, _ in both.values()], [b for _, b in both.values()], claim.statistic,
                          [variants.get(row, (row, "")) for row in both])
    except ValueError as error:
        return replace(made, why=f"{len(both)} of {len(asked)} rows have both numbers: {error}")
    low, high = found.interval(1 - claim.alpha)
    without = len(asked) - len(both)
    notes = [f"{len(both)} rows"]
    notes += [f"{counted(without, 'row')} without a number"] if without else []
    notes += [f"{len(refused)} not comparable with published numbers"] if refused else []
    return replace(made, metric=COEFFICIENT, pair=found.pair, difference=found.value, low=low, high=high,
                   test=found.test,
                   name="Kendall τ" if claim.statistic == "kendall" else "Spearman ρ",
                   note=", ".join(notes))


COEFFICIENT = Metric("correlation", "rank correlation", "max", 1.0, "", 2)
CORRELATION = Kind(frozenset(), frozenset({"left", "statistic"}), correlations, by_columns, grows=False, sides=False)
