"""Looks: their levels against a simulation, Holm over looks by hand, and the power that is left."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import special

from suite.report.statistics.contrast import Estimate
from suite.report.statistics.looks import Looks, Rejected, conditional_power, holm_over_looks

LEVELS = [0.0150, 0.0106, 0.0114, 0.0127, 0.0142, 0.0157, 0.0173, 0.0190]


def test_the_levels_of_three_to_ten():
    assert Looks(3, 10).levels(0.05) == pytest.approx(LEVELS, abs=6e-5)
    assert Looks(3, 10).levels(0.05 / 4)[0] == pytest.approx(0.05 / 4 * 3 / 10)
    assert Looks(4, 4).levels(0.05) == pytest.approx([0.05])
    assert (list(Looks(3, 5).seeds), Looks(3, 5).level(0.05, 5)) == ([3, 4, 5], Looks(3, 5).levels(0.05)[2])


@pytest.mark.parametrize(("alpha", "start", "most"), [(0.05, 3, 10), (0.05 / 4, 3, 10), (0.05, 2, 6)])
def test_whoever_looks_as_declared_errs_with_alpha(alpha, start, most):
    z = np.random.default_rng(4).normal(size=(200_000, most)).cumsum(axis=1) / np.sqrt(np.arange(1, most + 1))
    p = 2 * special.ndtr(-np.abs(z[:, start - 1:]))
    crossed = np.minimum.accumulate(p > Looks(start, most).levels(alpha), axis=1).mean(axis=0)
    spent = alpha * np.arange(start, most + 1) / most
    assert 1 - crossed == pytest.approx(spent, abs=3.5 * (alpha / 200_000) ** 0.5)
    assert (p <= alpha).any(axis=1).mean() > 1.8 * alpha  # what looking without a plan would cost


def test_holm_over_looks_by_hand():
    def levels(m):
        return (0.03 / m, 0.02 / m, 0.02 / m)

    # The first is rejected at its second look with three claims, the second then with two; the third never is.
    ps = [[0.5, 0.006], [0.014, 0.9, 0.9], [0.04, 0.03]]
    assert holm_over_looks(ps, levels, 3) == ([Rejected(1, 3), Rejected(0, 2), None], 1)
    assert holm_over_looks(ps, levels, 30) == ([None] * 3, 30)
    assert holm_over_looks([[], [0.001]], levels, 2) == ([None, Rejected(0, 2)], 1)
    assert holm_over_looks([[0.001]], levels, 1) == ([Rejected(0, 1)], 0)


def test_more_data_only_add_rejections_and_the_order_of_claims_does_not_count():
    generator = np.random.default_rng(1)
    plan = Looks(3, 10)
    for _ in range(60):
        ps = [list(generator.beta(0.25, 2, size=8) / 5) for _ in range(4)]
        before: set[int] = set()
        for reach in range(9):
            found, _ = holm_over_looks([each[:reach] for each in ps], lambda m: plan.levels(0.05 / m), 4)
            now = {i for i, one in enumerate(found) if one}
            assert before <= now
            before = now
        for order in permutations(range(4)):
            mixed, _ = holm_over_looks([ps[i] for i in order], lambda m: plan.levels(0.05 / m), 4)
            assert {order[i] for i, one in enumerate(mixed) if one} == before


def test_conditional_power_by_hand():
    # Half of the information, z = 1.2: B(1) has the mean 1.2 * sqrt(0.5) / 0.5 and the variance 0.5.
    one = Estimate(1.2, 1.0, 20.0, 1.0)
    c = float(-special.ndtri(0.01))
    drift = 1.2 * math.sqrt(0.5) / 0.5
    up, down = special.ndtr((drift - c) / math.sqrt(0.5)), special.ndtr((-drift - c) / math.sqrt(0.5))
    assert conditional_power(one, 0.0, math.inf, 0.5, 0.02) == pytest.approx(up + down)
    assert conditional_power(one, -math.inf, 0.0, 0.5, 0.02) == pytest.approx(up + down)
    assert conditional_power(one, -50.0, 50.0, 0.5, 0.02) == pytest.approx(1)  # an equivalence that is almost shown
    assert conditional_power(one, 50.0, math.inf, 0.5, 0.02) == pytest.approx(1)  # and a claim that is almost refuted
