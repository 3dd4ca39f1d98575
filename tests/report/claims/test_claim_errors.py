"""How often verdicts err: thousands of simulated claims, from a fixed seed, against the promised rates.

All with three seeds a cell, the number that most claims are tested with, and unequal deviations.
"""

from unittest.mock import patch

import numpy as np
import pytest
from claim_store import Given, claim

from suite.report.claims.judge import judge
from suite.report.claims.language import Claim, Stated
from suite.report.claims.numbers import Datum
from suite.report.metric import metric
from suite.report.statistics import contrast

ACCURACY = metric("test/accuracy", "")
ROUNDS = 400


class Drawn(Given):
    """Numbers drawn anew for each cell: `means` by row, and by column where given; deviations 1 and 2."""

    def __init__(self, generator, means, n=3, deviations=(1.0, 2.0)):
        super().__init__({})
        self.generator, self.means, self.n, self.deviations = generator, means, n, deviations

    def datum(self, claim, row, column):
        if (row, column) not in self.cells:
            mean = self.means.get((row, column), self.means.get(row, 0.0))
            values = mean + self.generator.normal(size=self.n) * self.deviations[row != "a"]
            self.cells[row, column] = Datum(ACCURACY, contrast.summarise(values), dict(enumerate(values)))
        return super().datum(claim, row, column)


def stated(*claims):
    made = [Claim.model_validate(claim(table="t", id=f"c{i}", family="f" if len(claims) > 1 else "", **keys))
            for i, keys in enumerate(claims)]
    return [Stated(one, "", len(claims)) for one in made]


def rates(means, *claims, n=3, rounds=ROUNDS, deviations=(1.0, 2.0)):
    """How often any of the claims is supported, and how often any is contradicted."""
    generator, asked = np.random.default_rng(11), stated(*claims)
    with patch("suite.report.claims.judge.seeds_to_decide", return_value=None):  # how many more is not asked here
        words = [{made.verdict for made in judge(asked, Drawn(generator, means, n, deviations))} for _ in range(rounds)]
    return sum("supported" in w for w in words) / rounds, sum("contradicted" in w for w in words) / rounds


BETTER = {"kind": "better", "left": "a", "right": "b", "columns": "x"}
EQUAL = BETTER | {"kind": "equivalent", "margin": 5}
SIDE = 0.025 * 1.1 + 3 * (0.025 * 0.975 / ROUNDS) ** 0.5  # three standard errors; a tenth for Welch's approximation


@pytest.mark.parametrize(("means", "claims"), [
    ({}, BETTER), ({"b": -1.0}, BETTER | {"margin": 1}), ({"b": 5.0}, EQUAL),
    ({}, BETTER | {"by": "seed"}), ({}, BETTER | {"left": {"of": "a", "less": "b"}, "right": {"of": "b", "less": "c"}}),
    ({("a", "x"): 2.0}, BETTER | {"columns": ["x", "y"], "over": "mean", "margin": 1})])
def test_a_claim_at_its_bound_is_rarely_decided_either_way(means, claims):
    supported, contradicted = rates(means, claims)
    assert supported < SIDE
    assert contradicted < SIDE


@pytest.mark.parametrize(("means", "keys"), [
    ({("a", "x"): 50.0}, {"columns": ["x", "y"]}),  # holds in x by far, and y is at the bound
    ({}, {"columns": ["x", "y", "z"], "of_columns": "any"}),  # the best of three columns
    ({("a", "x"): 50.0}, {"columns": ["x", "y", "z"], "of_columns": 2}),  # one holds, and another is needed
    ({}, {"left": ["a", "c", "d"], "of_pairs": "any"}),  # the best of three rows
])
def test_a_claim_of_several_parts_that_is_not_true_is_rarely_supported(means, keys):
    assert rates(means, BETTER | keys)[0] < SIDE


def test_a_claim_that_is_true_is_rarely_contradicted_however_many_parts_it_has():
    assert rates({}, EQUAL | {"margin": 0.01, "columns": ["x", "y", "z"]})[1] < 2 * SIDE
    assert rates({}, BETTER | {"columns": ["x", "y", "z"], "kind": "noninferior", "margin": 0})[1] < SIDE


def test_a_family_errs_as_seldom_as_a_claim():
    claims = [BETTER | {"columns": column} for column in "uvwxyz"]
    supported, contradicted = rates({}, *claims, rounds=300)
    assert supported + contradicted < 0.05 + 3 * 0.0126
    alone = [rates({}, one, rounds=300) for one in claims[:1]]
    assert alone[0][0] + alone[0][1] < 0.05 + 3 * 0.0126


def test_what_is_true_is_found_with_the_power_that_the_seeds_give():
    # scipy's power of Welch's test at a difference of 6 deviations of a, or 2.7 of the mean of both.
    found, wrong = rates({"a": 6.0}, BETTER, rounds=300)
    assert 0.70 < found < 0.90
    assert wrong == 0
    assert rates({}, EQUAL | {"margin": 12}, rounds=300)[0] > 0.9


class Exact(Drawn):
    """Rows a and b with the means 2 and 0, and deviations of exactly 1."""

    def datum(self, claim, row, column):
        values = (2.0 if row == "a" else 0.0) + np.array([-1.0, 0.0, 1.0])
        return Datum(ACCURACY, contrast.summarise(values), dict(enumerate(values)))


def test_more_seeds_decide_with_the_promised_power():
    made, = judge(stated(BETTER), Exact(None, {}))
    assert (made.verdict, made.more) == ("undecided", 3)
    found, _ = rates({"a": 2.0, "b": 0.0}, BETTER, n=3 + made.more, rounds=300, deviations=(1.0, 1.0))
    assert found == pytest.approx(0.8, abs=0.08)


def test_bootstrapped_intervals_cover_at_ten_seeds():
    generator = np.random.default_rng(8)
    covered = []
    for _ in range(150):
        made = contrast.resampled([1.0, -1.0], [generator.normal(size=12), generator.gamma(2.0, size=12) - 2.0])
        low, high = made.interval(0.95)
        covered.append(low < 0 < high)
    assert 0.87 < np.mean(covered) <= 0.99
