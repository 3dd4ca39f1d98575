"""Whether rows rank as the paper ranks them: rank correlation of our means with the published column."""

from __future__ import annotations

from dataclasses import replace

from suite.report.claims.language import Claim
from suite.report.claims.numbers import Numbers
from suite.report.claims.outcome import Comparison
from suite.report.metric import Metric
from suite.report.statistics.ranks import correlate


def correlations(claim: Claim, numbers: Numbers) -> tuple[Comparison, ...]:
    """A comparison for each column: over the rows that have a number of ours, of all seeds, and a published one."""
    return tuple(_column(claim, column, numbers) for column in claim.columns)


def _column(claim: Claim, column: str, numbers: Numbers) -> Comparison:
    rows = [str(row) for row in claim.left] or list(numbers.rows(claim))
    data = {row: numbers.datum(claim, row, column) for row in rows}
    made = Comparison(column, next(iter(data.values())).metric)
    printed = {row: numbers.published(claim, row, column) for row in rows if not data[row].constant}  # not with itself
    refused = [why for why in printed.values() if isinstance(why, str)]
    asked = {row: number for row, number in printed.items() if isinstance(number, float)}
    if refused and not asked:
        return replace(made, why=f"not comparable with published numbers: {'; '.join(dict.fromkeys(refused))}")
    both = [(datum.summary.mean, number) for row, number in asked.items()
            if (datum := data[row]).summary and not datum.why]
    try:
        found = correlate([a for a, _ in both], [b for _, b in both], claim.statistic)
    except ValueError as error:
        return replace(made, why=f"{len(both)} of {len(asked)} rows have both numbers: {error}")
    low, high = found.interval(1 - claim.alpha)
    without = len(asked) - len(both)
    notes = [f"{len(both)} rows"]
    notes += [f"{without} {'row' if without == 1 else 'rows'} without a number"] if without else []
    notes += [f"{len(refused)} not comparable with published numbers"] if refused else []
    return replace(made, metric=COEFFICIENT, pair=found.pair, difference=found.value, low=low, high=high,
                   name="Kendall τ" if claim.statistic == "kendall" else "Spearman ρ",
                   note=", ".join(notes))


COEFFICIENT = Metric("correlation", "rank correlation", "max", 1.0, "", 2)
