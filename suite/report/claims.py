"""Claims, `reports/claims.yaml`: sentences fixed beforehand as comparisons of rows, and what the runs say to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, Field

from suite.errors import Problem, UserError
from suite.report import stats
from suite.report.layout import Epoch, Match, matches, unknown_labels
from suite.report.metric import Metric, metric
from suite.report.part import NAME, Part, validated
from suite.report.results import Results, Sample
from suite.report.table import count_words, one_configuration, select_metric
from suite.yamlfile import Node, load_yaml

if TYPE_CHECKING:
    from suite.grid import Grid


class Comparison(Part):
    """`left` is better (or worse) than `right`, among the runs of `where`: Welch's test over seeds.

    `metric` is the runs' selection metric where it is not given.
    """

    id: str = Field(pattern=NAME)
    text: str = Field(min_length=1, description="the sentence, in our own words")
    source: str = Field(min_length=1, description="where the sentence is claimed, as `paper section 5.2`")
    grid: str
    kind: Literal["better", "worse"]
    left: Annotated[Match, Field(min_length=1)]
    right: Annotated[Match, Field(min_length=1)]
    where: Match = {}
    metric: str | None = Field(None, min_length=1)
    epoch: Epoch = "best"
    alpha: float = Field(0.05, gt=0, lt=1)


class Claims(Part):
    """The file of claims."""

    claims: tuple[Comparison, ...]


@dataclass(frozen=True)
class Verdict:
    """What the runs say to a claim. Numbers are in the metric's shown unit; `result` is None where nothing was tested.

    `verdict`: supported (the interval lies wholly on the claimed side of 0), contradicted (wholly on the other),
    undecided, untested. `more` is how many further seeds a side would decide it at the present effect with power 0.8.
    """

    claim: Comparison
    verdict: Literal["supported", "contradicted", "undecided", "untested"]
    reason: str
    metric: Metric | None
    n: tuple[int, int]
    result: stats.Welch | None = None
    more: int | None = None
    note: str = ""

    @property
    def evidence(self) -> str:
        """Difference, interval, effect size, n, and what would decide it, in one line."""
        if self.result is None or self.metric is None:
            return self.reason
        m, r = self.metric, self.result
        unit = f" {m.difference_unit}" if m.difference_unit else ""
        low, high = (m.format(bound, signed=True) for bound in (r.low, r.high))
        parts = [f"difference {m.format(r.difference, signed=True)}{unit}",
                 f"{100 * (1 - self.claim.alpha):g} % interval {low} to {high}",
                 f"Hedges g {r.g:+.1f}".replace("-", "−"), f"n = {self.n[0]} and {self.n[1]}"]
        return ", ".join([*parts, *filter(None, (self.reason, self.note))])


def load_claims(path: Path, grid: Grid) -> list[tuple[Comparison, str]]:
    """The claims about a grid, each with its place in the file.

    Raises UserError with every problem: file, line, key; also for claims about rows that the grid does not make.
    """
    node = load_yaml(path)
    claims = validated(node, Claims).claims
    problems = list(_twice(claims, node))
    ours = [(claim, i) for i, claim in enumerate(claims) if claim.grid == grid.name]
    for claim, i in ours:
        for side in ("left", "right", "where"):
            problems += unknown_labels(getattr(claim, side), grid,
                                       lambda *path, i=i, side=side: _place(node, i, side, *path))
        if claim.left == claim.right:
            problems.append(Problem("left and right are the same rows", _place(node, i, "right")))
    if problems:
        raise UserError(problems)
    return [(claim, _place(node, i)) for claim, i in ours]


def _place(node: Node, *path: str | int) -> str:
    return node.find(("claims", *path)).key("claims", *path)


def _twice(claims: Sequence[BaseModel], node: Node) -> Iterator[Problem]:
    counts = Counter(claim.id for claim in claims if isinstance(claim, Comparison))
    for i, claim in enumerate(claims):
        if isinstance(claim, Comparison) and counts[claim.id] > 1:
            yield Problem(f"the id {claim.id!r} stands twice", _place(node, i, "id"))


def judge(claim: Comparison, where: str, grid: Grid, results: Results) -> Verdict:
    """The verdict on one claim. Raises UserError at `where` for unknown metrics and mixed configurations."""
    sides = [[run for run in grid.runs if matches(run.labels, claim.where) and matches(run.labels, side)]
             for side in (claim.left, claim.right)]
    if not all(sides):
        return Verdict(claim, "untested", "the grid, as it was asked for, has no such runs", None, (0, 0))
    sides = [one_configuration(runs, where, f"claim {claim.id}, {side}") for runs, side in zip(sides, ("left", "right"),
                                                                                              strict=True)]
    name = claim.metric or select_metric([*sides[0], *sides[1]], where)
    shown = metric(name, where)
    results.require([*sides[0], *sides[1]], name, where)
    return _compare(claim, shown, *(results.sample(runs, name, claim.epoch) for runs in sides))


def _compare(claim: Comparison, shown: Metric, left: Sample, right: Sample) -> Verdict:
    a, b = ([value * shown.factor for value in side.values.values()] for side in (left, right))
    n = (len(a), len(b))
    open_runs = ", ".join(count_words([*left.missing, *right.missing]))
    if min(n) < 2:
        reason = f"{n[0]} and {n[1]} seeds have a number, and a comparison needs two on either side"
        return Verdict(claim, "untested", f"{reason} ({open_runs})" if open_runs else reason, shown, n)
    one, two = stats.summarise(a), stats.summarise(b)
    if not one.std and not two.std:
        return Verdict(claim, "untested", "the standard deviation is 0 on both sides", shown, n)
    result = stats.welch(a, b, 1 - claim.alpha)
    upwards = (claim.kind == "better") == (shown.direction == "max")  # the claim says: left minus right is above 0
    note = f"missing: {open_runs}" if open_runs else ""
    if result.low > 0 or result.high < 0:
        verdict: Literal["supported", "contradicted"] = "supported" if (result.low > 0) == upwards else "contradicted"
        return Verdict(claim, verdict, "", shown, n, result, note=note)
    needed = stats.seeds_to_decide(result.difference, one.std or 0.0, two.std or 0.0, claim.alpha)
    more = None if needed is None else max(needed - min(n), 1)
    reason = f"about {more} more seeds a side would decide it at this effect" if more is not None else \
        f"more than {stats.MOST_SEEDS} seeds a side would be needed at this effect"
    return Verdict(claim, "undecided", reason, shown, n, result, more, note)
