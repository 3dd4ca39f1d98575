"""Statistics of a few seeds, held against SciPy, against hand calculation, and against textbook sample sizes."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from suite.report import stats

A = [41.2, 41.9, 40.8]
B = [37.0, 38.4, 37.9, 36.5]


def test_summary_is_by_hand():
    assert stats.summarise([1.0, 2.0, 4.0]) == stats.Summary(3, 7 / 3, pytest.approx(math.sqrt(7 / 3)))
    assert stats.summarise([5.0]) == stats.Summary(1, 5.0, None)
    assert stats.summarise([0.1] * 7) == stats.Summary(7, 0.1, 0.0)


def test_mean_interval_is_students():
    expected = scipy_stats.t.interval(0.95, len(A) - 1, loc=np.mean(A), scale=scipy_stats.sem(A))
    assert stats.mean_interval(A) == pytest.approx(expected)
    with pytest.raises(ValueError, match="two values"):
        stats.mean_interval([1.0])


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize(("left", "right"), [(A, B), (B, A), (A, [40.0, 40.5])])
def test_welch_is_scipys(left, right, level):
    ours = stats.welch(left, right, level)
    theirs = scipy_stats.ttest_ind(left, right, equal_var=False)
    interval = theirs.confidence_interval(level)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))
    assert (ours.p, ours.df) == pytest.approx((theirs.pvalue, theirs.df))
    assert ours.difference == pytest.approx(np.mean(left) - np.mean(right))


def test_hedges_g_by_hand():
    # Means 2 and 5, both variances 1, so d = -3; the correction for 4 degrees of freedom is 1 - 3/15.
    assert stats.welch([1, 2, 3], [4, 5, 6]).g == pytest.approx(-3 * 0.8)


def test_welch_refuses_what_it_cannot_test():
    with pytest.raises(ValueError, match="two values"):
        stats.welch([1.0], B)
    with pytest.raises(ValueError, match="spread"):
        stats.welch([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 64), (0.8, 26), (1.0, 17), (1.5, 9), (-1.5, 9)])
def test_seeds_to_decide_are_the_textbooks_sample_sizes(effect, seeds):
    assert stats.seeds_to_decide(effect, 1.0, 1.0) == seeds


def test_seeds_to_decide_at_the_ends():
    assert stats.seeds_to_decide(0.0, 1.0, 1.0) is None
    assert stats.seeds_to_decide(1e-6, 1.0, 1.0) is None
    assert stats.seeds_to_decide(1e6, 1.0, 1.0) == 2
    assert stats.seeds_to_decide(0.05, 1.0, 1.0) == pytest.approx(6281, abs=2)
    assert stats.seeds_to_decide(1.0, 1.0, 0.0) < stats.seeds_to_decide(1.0, 1.0, 1.0)
