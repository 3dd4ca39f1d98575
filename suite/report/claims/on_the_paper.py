"""Claims tested on the published numbers alone: which of the paper's sentences do its own numbers support?

The paper gives means and standard deviations over "2 or 3" seeds, so each claim is tested with both counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from suite.files.yaml import Node
from suite.report.claims.claim import Claim, Stated
from suite.report.claims.judge import judge
from suite.report.claims.language import read_claims, unknown_names
from suite.report.claims.numbers import Datum, is_count
from suite.report.claims.outcome import Verdict
from suite.report.metric import Metric, metric
from suite.report.published.number import CHANCE, Number
from suite.report.published.papers import Published
from suite.report.statistics.contrast import Summary
from suite.report.statistics.variance import Variance, pooled

MOST_SHOWN = 3
MEANS_ALONE = {True: "hold", False: "do not hold", None: "not all printed"}


@dataclass(frozen=True)
class PrintedVerdict:
    """A claim on the published numbers: a verdict for each number of seeds that they may be means over."""

    claim: Claim
    by_seeds: dict[int, Verdict]
    note: str

    @property
    def by_means_alone(self) -> bool | None:
        """Whether the claim holds if the printed means have no error; None if some are not printed."""
        return next(iter(self.by_seeds.values())).by_means_alone

    @property
    def means_alone(self) -> str:
        """The same in words: `hold`, `do not hold` or `not all printed`."""
        return MEANS_ALONE[self.by_means_alone]

    @property
    def evidence(self) -> str:
        """The evidence of the verdict with the most seeds, and the spread between the paper's own numbers."""
        n, verdict = max(self.by_seeds.items(), key=itemgetter(0))
        return f"n = {n}: {verdict.evidence}" + (f"; {self.note}" if self.note else "")


@dataclass(frozen=True)
class PrintedNumbers:
    """The published numbers, taken as means over `n` seeds."""

    file: Published
    n: int

    @property
    def profile(self) -> str:
        """The profile `paper`."""
        return "paper"

    @property
    def seeds(self) -> Sequence[int]:
        """Empty, because these numbers cannot grow."""
        return ()

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """The number printed at that place. It is a constant if it is from other work."""
        number = self.file.number(claim.table, row, column)
        shown = _metric(number)
        if claim.epoch is not None:
            return Datum(shown, None, why="that epoch is not printed")
        if number.failed and number.source != "paper":
            return Datum(shown, Summary(1, CHANCE, None), constant=True)
        if number.failed:
            return Datum(shown, Summary(self.n, CHANCE, None), why="printed as X, without a number", failed=True)
        mean, base = self.file.absolute(number), ""
        if mean is None:
            mean, base = self._difference(number)
        if mean is None:
            return Datum(shown, None, why="not printed")
        unit = shown.printed_unit
        std = None if number.std is None else number.std * unit
        return Datum(shown, Summary(self.n, mean * unit, std), base=base, constant=number.source != "paper",
                     examples=claim.examples, deterministic=is_count(shown))

    def _difference(self, number: Number) -> tuple[float | None, str]:
        """The mean and base of a number that is printed as a difference, or that other rows are differences from."""
        rows = self.file.table(number.table).rows
        if number.delta_of is not None:
            return number.mean, f"{number.delta_of}, {number.column}"
        differs = any(row.delta_of == number.row for row in rows.values())
        return (0.0, f"{number.row}, {number.column}") if differs else (None, "")

    def published(self, claim: Claim, row: str, column: str) -> float | None:
        """None, because these numbers are the published ones."""
        return None

    def rows(self, claim: Claim) -> Sequence[str]:
        """The rows of the claim's table."""
        return list(self.file.table(claim.table).rows)

    def borrowed(self, claim: Claim, column: str) -> tuple[Variance, str] | None:
        """The variance that the paper prints for the same task, model and protocol, in tables 7 and 8."""
        found = self.file.borrowed(claim.table, column)
        if found is None:
            return None
        shown = _metric(self.file.number(claim.table, next(iter(self.rows(claim))), column))
        stds = [shown.printed_unit * std for std in found]
        variance = pooled([Variance(std**2, self.n - 1) for std in stds])
        return variance, f"deviation {shown.format(variance.value**0.5)} borrowed from tables 7 and 8"

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """Empty, because rank correlations compare runs with published numbers."""
        return {}


def _metric(number: Number) -> Metric:
    return metric(f"{number.split}/{number.metric}", "the published numbers", digits=number.digits)


def published_verdicts(path: Path, published: Published) -> tuple[PrintedVerdict, ...]:
    """The verdicts on all claims about rows and columns of the paper, except those that compare it with runs.

    Raises UserError for an invalid claims file.
    """
    if published.seeds is None:
        return ()
    stated, node = read_claims(path)
    asked = [one for i, one in enumerate(stated) if _is_of_paper(one, i, node, published)]
    counts = range(published.seeds.least, published.seeds.most + 1)
    made = {n: judge(asked, PrintedNumbers(published, n)) for n in counts}
    return tuple(PrintedVerdict(one.claim, {n: made[n][i] for n in counts},
                                _note(one.claim, made[counts[0]][i], published)) for i, one in enumerate(asked))


def by_id(verdicts: Iterable[PrintedVerdict]) -> Mapping[str, PrintedVerdict]:
    """The verdicts by the ids of their claims."""
    return {one.claim.id: one for one in verdicts}


def _is_of_paper(stated: Stated, i: int, node: Node, published: Published) -> bool:
    """Whether every row and column of the claim is printed in the paper. Tables of the suite may have more rows."""
    claim = stated.claim
    if claim.table not in published.file.tables or claim.kind == "correlation":
        return False
    table = published.table(claim.table)
    return not any(unknown_names(claim, i, node, table.rows, table.columns))


def _note(claim: Claim, verdict: Verdict, published: Published) -> str:
    """What the numbers say if nothing can be tested, and how much the paper's own numbers differ."""
    notes = ["seeds cannot be paired, as they are not printed"] if claim.by else []
    if verdict.by_means_alone is False:
        notes += [f"by the printed means alone it is false: {_against(verdict)}"]
    if verdict.verdict == "untested":
        spreads = ", ".join(_spreads(claim, published))
        notes += [f"the paper's own numbers for one configuration differ by up to {spreads}"] if spreads else []
    return "; ".join(notes)


def _against(verdict: Verdict) -> str:
    """The comparisons that the printed means contradict, with their differences."""
    parts = [part for part in verdict.parts if part.exact.fails == 0]
    more = f" and {len(parts) - MOST_SHOWN} more" if len(parts) > MOST_SHOWN else ""
    return ", ".join(f"{part.words} {part.size}" for part in parts[:MOST_SHOWN]) + more


def _spreads(claim: Claim, published: Published) -> Iterable[str]:
    """The largest spread between the paper's numbers for one configuration, for each column."""
    rows, columns = (claim.places, claim.names) if claim.rows else (claim.names, claim.places)
    found: dict[str, float] = {}
    for column in columns:
        for row in rows:
            number = published.number(claim.table, row, column)
            values = [v for other in published.same(number) if (v := published.absolute(other)) is not None]
            if len(values) > 1:
                found[column] = max(found.get(column, 0.0), max(values) - min(values))
    return [f"{_metric(published.number(claim.table, rows[0], column)).format(spread)} ({column})"
            for column, spread in found.items()]


def at_seeds(verdicts: Iterable[PrintedVerdict]) -> dict[int, list[Verdict]]:
    """The verdicts for each number of seeds that a printed number may be a mean over."""
    found: dict[int, list[Verdict]] = {}
    for one in verdicts:
        for n, verdict in one.by_seeds.items():
            found.setdefault(n, []).append(verdict)
    return found
