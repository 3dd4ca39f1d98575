"""Statistics of a few seeds, held against SciPy, against hand calculation, and against textbook sample sizes."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from suite.report.claims import judge
from suite.report.statistics import binomial, contrast, multiple, power, ranks
from suite.report.statistics.multiple import Pair

A = [41.2, 41.9, 40.8]
B = [37.0, 38.4, 37.9, 36.5]
MANY = np.random.default_rng(3).gamma(2.0, size=(2, 14))


def difference(left, right):
    return contrast.contrast([1.0, -1.0], [contrast.summarise(left), contrast.summarise(right)])


def test_summary_is_by_hand():
    assert contrast.summarise([1.0, 2.0, 4.0]) == contrast.Summary(3, 7 / 3, pytest.approx(math.sqrt(7 / 3)))
    assert contrast.summarise([5.0]) == contrast.Summary(1, 5.0, None)
    assert contrast.summarise([0.1] * 7) == contrast.Summary(7, 0.1, 0.0)
    assert contrast.summarise([0.3 - 0.2, 0.1, 0.4 - 0.3]).std == 0


def test_mean_interval_is_students():
    expected = scipy_stats.t.interval(0.95, len(A) - 1, loc=np.mean(A), scale=scipy_stats.sem(A))
    assert contrast.mean_interval(A) == pytest.approx(expected)
    assert contrast.mean_interval([2.0, 2.0]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="two values"):
        contrast.mean_interval([1.0])


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize(("left", "right"), [(A, B), (B, A), (A, [40.0, 40.5])])
def test_a_difference_is_scipys_welch(left, right, level):
    ours = difference(left, right)
    theirs = scipy_stats.ttest_ind(left, right, equal_var=False)
    interval = theirs.confidence_interval(level)
    assert ours.interval(level) == pytest.approx((interval.low, interval.high))
    assert (2 * min(ours.above(0), ours.below(0)), ours.df) == pytest.approx((theirs.pvalue, theirs.df))
    greater = scipy_stats.ttest_ind(left, np.add(right, 1.5), equal_var=False, alternative="greater")
    assert ours.above(1.5) == pytest.approx(greater.pvalue)


def test_a_difference_from_printed_deviations_is_scipys():
    ours = contrast.contrast([1, -1], [contrast.Summary(3, 92.12, 0.34), contrast.Summary(2, 90.92, 0.31)])
    theirs = scipy_stats.ttest_ind_from_stats(92.12, 0.34, 3, 90.92, 0.31, 2, equal_var=False)
    assert 2 * ours.below(0) == pytest.approx(2 - theirs.pvalue)


def test_a_contrast_by_hand():
    # Four cells with n 2 and std 1: the sum of (1, -1, -1, 1) times means has the variance 4/2, and all share its 4 df.
    made = contrast.contrast([1, -1, -1, 1], [contrast.Summary(2, mean, 1.0) for mean in (9, 1, 2, 3)])
    assert (made.value, made.error, made.df) == pytest.approx((9, math.sqrt(2), 4))
    # One cell: a paired comparison is the one-sample test of the differences.
    paired = contrast.contrast([1.0], [contrast.summarise(np.subtract(A, B[:3]))])
    theirs = scipy_stats.ttest_rel(A, B[:3])
    assert 2 * paired.above(0) == pytest.approx(theirs.pvalue)


def test_hedges_g_by_hand():
    # Means 2 and 5, both variances 1, so d = -3; the correction for 4 degrees of freedom is 1 - 3/15.
    assert difference([1, 2, 3], [4, 5, 6]).g == pytest.approx(-3 * 0.8)


def test_a_contrast_refuses_what_it_cannot_test():
    with pytest.raises(ValueError, match="two values"):
        difference([1.0], B)
    with pytest.raises(ValueError, match="deviation is 0"):
        difference([1.0, 1.0], [2.0, 2.0])


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_bootstrap_is_scipys(monkeypatch, level):
    monkeypatch.setattr(contrast, "DRAWS", 100_000)
    ours = contrast.resampled([1.0, -1.0], list(MANY))
    theirs = scipy_stats.bootstrap(tuple(MANY), lambda a, b, axis: a.mean(axis) - b.mean(axis), n_resamples=100_000,
                                   confidence_level=level, method="BCa", rng=1).confidence_interval
    assert ours.interval(level) == pytest.approx((theirs.low, theirs.high), abs=0.015)
    low, high = ours.interval(level)
    assert (ours.above(low), ours.below(high)) == pytest.approx(((1 - level) / 2, (1 - level) / 2), abs=2e-4)
    assert ours.interval(level) == contrast.resampled([1.0, -1.0], list(MANY)).interval(level)


def test_bootstrap_from_ten_seeds_on():
    assert isinstance(contrast.estimate([1, -1], [MANY[0], MANY[1][:9]]), contrast.Student)
    assert isinstance(contrast.estimate([1, -1], [MANY[0], MANY[1][:10]]), contrast.Bootstrap)


def test_equivalence_is_tost_by_hand():
    # scipy's one-sided tests against either bound; the larger of them decides, doubled as all our p values.
    left, right = [85.1, 85.4, 85.0], [85.3, 85.2, 84.9]
    sides = [scipy_stats.ttest_ind(left, np.add(right, bound), equal_var=False, alternative=way).pvalue
             for bound, way in ((-1, "greater"), (1, "less"))]
    assert judge.between(difference(left, right), -1, 1).holds == pytest.approx(2 * max(sides))
    low, high = difference(left, right).interval(0.95)
    assert (low > -1 and high < 1) == (2 * max(sides) < 0.05)


def test_together_by_hand():
    parts = [Pair(0.01, 1.0), Pair(0.04, 0.9), Pair(0.5, 0.6)]
    assert multiple.together(parts) == Pair(0.5, 1.0)  # all: the largest; fails if any fails, three looks for it
    assert multiple.together(parts, "any") == Pair(pytest.approx(0.03), 1.0)
    assert multiple.together(parts, "most") == multiple.together(parts, 2) == Pair(pytest.approx(0.08), 1.0)
    assert multiple.together([Pair(1.0, 0.01), Pair(0.2, 0.9)]).fails == pytest.approx(0.02)


def test_holm_by_hand():
    # The textbook's four: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04, which may not fall below the one before it.
    assert [a.p for a in multiple.holm([0.01, 0.04, 0.03, 0.005])] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [a.p for a in multiple.holm([0.01, 1.0], size=5)] == pytest.approx([0.05, 1.0])
    assert [a.tests for a in multiple.holm([0.01, 0.04, 0.03, 0.005])] == [3, 1, 2, 4]


def needed(effect, *stds, low=0.0, high=math.inf, level=0.05):
    made = contrast.contrast([1.0, -1.0], [contrast.Summary(3, effect, stds[0]), contrast.Summary(3, 0.0, stds[1])])
    return power.seeds_to_decide(power.of_part(made, low, high), level)


@pytest.mark.parametrize(("effect", "seeds"), [(0.5, 64), (0.8, 26), (1.0, 17), (1.5, 9), (-1.5, 9)])
def test_seeds_to_decide_are_the_textbooks_sample_sizes(effect, seeds):
    assert needed(effect, 1.0, 1.0) == seeds


def test_seeds_to_decide_at_the_ends():
    assert needed(0.0, 1.0, 1.0) is None
    assert needed(1e-6, 1.0, 1.0) is None
    assert needed(1e6, 1.0, 1.0) == 2
    assert needed(0.05, 1.0, 1.0) == pytest.approx(6281, abs=2)
    assert needed(1.0, 1.0, 0.0) < needed(1.0, 1.0, 1.0)
    assert needed(1.0, 1.0, 1.0, level=0.01) > needed(1.0, 1.0, 1.0)


def test_seeds_to_decide_an_equivalence_are_the_textbooks():
    # Two one-sided tests at 2.5 %, no difference, margin one deviation: (1.96 + 1.2816)^2 * 2 = 21.01 by the normal
    # law, as each side must have a power of 0.9; Student's asks for one more.
    assert needed(0.0, 1.0, 1.0, low=-1.0, high=1.0) == pytest.approx(22, abs=1)


def test_seeds_to_decide_several_parts_need_more_than_one():
    made = contrast.contrast([1.0, -1.0], [contrast.Summary(3, 1.0, 1.0), contrast.Summary(3, 0.0, 1.0)])
    part = power.of_part(made, 0.0, math.inf)
    alone, both, one_of = (power.seeds_to_decide(power.of_parts([part] * k, u))
                           for k, u in ((1, "all"), (2, "all"), (2, "any")))
    assert one_of < alone < both


@pytest.mark.parametrize("statistic", ["kendall", "spearman"])
def test_rank_correlation_is_scipys(statistic):
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [2.0, 1.0, 4.0, 3.0, 7.0, 5.0, 6.0]
    ours = ranks.correlate(x, y, statistic)
    if statistic == "kendall":
        theirs = scipy_stats.kendalltau(x, y, method="exact", alternative="greater")
        p = theirs.pvalue
    else:
        theirs = scipy_stats.spearmanr(x, y)
        p = scipy_stats.permutation_test((x,), lambda a: scipy_stats.spearmanr(a, y).statistic, alternative="greater",
                                         permutation_type="pairings", n_resamples=6_000).pvalue
    assert ours.value == pytest.approx(theirs.statistic)
    assert ours.pair.holds == pytest.approx(2 * p, rel=1e-6)


def test_kendalls_p_of_more_rows_without_ties_is_exact():
    left, right = MANY
    for x, y in ((left, right), (left, left + 0.3 * right), (left, 0.3 * right - left)):
        ours = ranks.correlate(x, y, "kendall")
        theirs = scipy_stats.kendalltau(x, y, method="exact")
        assert min(ours.pair.holds, ours.pair.fails) == pytest.approx(theirs.pvalue, rel=1e-12)
        assert (ours.pair.holds < ours.pair.fails) == (theirs.statistic > 0)


def test_rank_correlation_of_more_rows_and_with_ties():
    x, y = np.arange(12.0), np.array([1, 0, 2, 3, 5, 4, 6, 6, 8, 7, 9, 9.0])
    ours = ranks.correlate(x, y, "kendall")
    assert ours.value == pytest.approx(scipy_stats.kendalltau(x, y).statistic)
    assert ours.pair.holds < 0.001
    assert -1 < ours.interval()[0] < ours.value < ours.interval()[1] < 1
    assert ranks.correlate([1, 2, 3], [1, 2, 3], "kendall").interval() == (-1, 1)
    with pytest.raises(ValueError, match="three rows"):
        ranks.correlate([1, 2], [1, 2], "kendall")
    with pytest.raises(ValueError, match="differ"):
        ranks.correlate([1, 1, 1], [1, 2, 3], "spearman")


def test_fishers_interval_by_hand():
    # Spearman 0.5 over 28 rows: atanh 0.5493, error sqrt((1 + 0.125) / 25) = 0.2121.
    found = ranks.Correlation(0.5, 28, Pair(1, 1), "spearman").interval()
    assert found == pytest.approx((math.tanh(0.5493 - 1.96 * 0.2121), math.tanh(0.5493 + 1.96 * 0.2121)), abs=1e-3)


def test_chance_is_scipys_binomial_test():
    right = scipy_stats.binomtest(560, 1000, 0.52, alternative="greater").pvalue
    assert binomial.above_chance(56.0, 52.0, 1000).holds == pytest.approx(2 * right)
    assert binomial.above_chance(50.0, 52.0, 20_000).fails < 1e-6
    assert binomial.above_chance(52.0, 52.0, 1000) == Pair(1.0, 1.0)
