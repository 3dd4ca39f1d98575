"""How often claims that are tested once err: thousands of simulated ones, from a fixed seed, at three seeds a cell.

Looks and `--decide` are in test_simulated_targets.py.
"""

import numpy as np
import pytest
from claim_store import Given, claim

from suite.report.claims.claim import ALONE, Claim, Family, Stated
from suite.report.claims.judge import judge
from suite.report.claims.numbers import Datum
from suite.report.metric import metric
from suite.report.statistics import contrast

ACCURACY = metric("test/accuracy", "")
ROUNDS = 400


class Drawn(Given):
    """Numbers drawn again for each cell: `means` by row, and by column if given; deviations of a, and of the others."""

    def __init__(self, generator, means, n=3, deviations=(1.0, 1.0)):
        super().__init__({})
        self.generator, self.means, self.n, self.deviations = generator, means, n, deviations

    def rows(self, claim):
        return ["a", "b", "c", "d"]

    def datum(self, claim, row, column):
        if (row, column) not in self.cells:
            mean = self.means.get((row, column), self.means.get(row, 0.0))
            values = mean + self.generator.normal(size=self.n) * self.deviations[row != "a"]
            self.cells[row, column] = Datum(ACCURACY, contrast.summarise(values), dict(enumerate(values)))
        return super().datum(claim, row, column)


def stated(*claims, rules=ALONE):
    made = [Claim.model_validate(claim(table="t", id=f"c{i}", family="f" if len(claims) > 1 else "", **keys))
            for i, keys in enumerate(claims)]
    return [Stated(one, "", len(claims), rules) for one in made]


def rates(means, *claims, n=3, rounds=ROUNDS, deviations=(1.0, 1.0), rules=ALONE):
    """How often any of the claims is supported, and how often any is contradicted."""
    generator, asked = np.random.default_rng(11), stated(*claims, rules=rules)
    words = [{made.verdict for made in judge(asked, Drawn(generator, means, n, deviations))} for _ in range(rounds)]
    return sum("supported" in w for w in words) / rounds, sum("contradicted" in w for w in words) / rounds


BETTER = {"kind": "better", "left": "a", "right": "b", "columns": "x"}
EQUAL = BETTER | {"kind": "equivalent", "margin": 5}
CELL = Family(variance="cell")
SIDE = 0.025 * 1.1 + 3 * (0.025 * 0.975 / ROUNDS) ** 0.5  # three standard errors; a tenth for Welch's approximation


@pytest.mark.parametrize(("rules", "deviations"), [(ALONE, (1.0, 1.0)), (CELL, (1.0, 2.0))])
@pytest.mark.parametrize(("means", "claims"), [
    ({}, BETTER), ({"b": -1.0}, BETTER | {"margin": 1}), ({"b": 5.0}, EQUAL),
    ({}, BETTER | {"by": "seed"}),
    ({}, BETTER | {"left": {"of": "a", "less": "b"}, "right": {"of": "b", "less": "c"}}),
    ({("a", "x"): 2.0}, BETTER | {"columns": ["x", "y"], "over": "mean", "margin": 1}),
    ({"a": 4.0, "c": -4.0},
     BETTER | {"left": None, "right": None, "pairs": [["a", "b"], ["c", "d"]], "over": "pairs"})])
def test_a_claim_at_its_bound_is_rarely_decided_either_way(means, claims, rules, deviations):
    supported, contradicted = rates(means, claims, rules=rules, deviations=deviations)
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


def test_the_variance_of_the_column_finds_what_that_of_the_cell_does_not():
    # A difference of 3 deviations: 4 rows of 3 seeds have 8 degrees of freedom in place of 4 or fewer.
    pooled, wrong = rates({"a": 3.0}, BETTER, rounds=300)
    cell, _ = rates({"a": 3.0}, BETTER, rounds=300, rules=CELL)
    assert wrong == 0
    assert cell + 0.05 < pooled
    assert 0.83 < pooled < 0.95
    assert rates({}, EQUAL | {"margin": 12}, rounds=300)[0] > 0.9
