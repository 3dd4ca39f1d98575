"""Statistics of a few seeds, held against SciPy, against hand calculation, and against textbook sample sizes."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from suite.report.claims.kinds.comparing import between
from suite.report.statistics import binomial, contrast, multiple, ranks, variance
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


def test_a_pooled_variance_is_students_two_sample_test():
    one, other = contrast.summarise(A), contrast.summarise(B)
    common = variance.pooled([one.variance, other.variance])
    made = contrast.combined([contrast.Term(1, one.mean, 3, common), contrast.Term(-1, other.mean, 4, common)])
    theirs = scipy_stats.ttest_ind(A, B)
    assert (made.df, 2 * made.below(0)) == pytest.approx((5, 2 - theirs.pvalue))


def test_seeds_as_blocks_are_the_two_way_analysis_of_variance():
    # Rows 3, seeds 3, by hand: residuals of row + seed, with (3 - 1)(3 - 1) degrees of freedom.
    values = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 5.0], [0.0, 2.0, 1.0]])
    left = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    rows = {str(i): dict(enumerate(row)) for i, row in enumerate(values)}
    made = variance.in_blocks(rows)
    assert (made.value, made.df) == pytest.approx(((left**2).sum() / 4, 4))
    two = variance.in_blocks({name: rows[name] for name in "01"})  # two rows: the paired t
    assert 2 * two.value == pytest.approx((values[0] - values[1]).var(ddof=1))
    # Further seeds of two rows that the third lacks: least squares over what is there.
    rows["0"] |= {3: 3.0}
    rows["1"] |= {3: 9.0}
    more = variance.in_blocks(rows)
    difference = np.array([rows["0"][s] - rows["1"][s] for s in range(4)])
    rest = np.array([rows["2"][s] - (rows["0"][s] + rows["1"][s]) / 2 for s in range(3)])
    expected = ((difference - difference.mean())**2).sum() / 2 + ((rest - rest.mean())**2).sum() * 2 / 3
    assert (more.value, more.df) == (pytest.approx(expected / 5), 5)


def test_no_variance_is_left_without_degrees_of_freedom():
    assert variance.in_blocks({"a": {0: 1.0, 1: 2.0}}) is None
    assert variance.in_blocks({"a": {0: 1.0}, "b": {0: 2.0}, "c": {0: 3.0}, "d": {0: 5.0}}) is None
    assert variance.in_blocks({"a": {0: 0.1, 1: 0.2}, "b": {0: 0.3, 1: 0.4}}).value == 0


@pytest.mark.parametrize(("sizes", "by_seed"), [((3, 3, 3, 3, 3), False), ((2, 3, 7), False), ((3,) * 8, True)])
def test_the_guard_rejects_a_tenth_of_equal_variances(sizes, by_seed):
    generator = np.random.default_rng(5)
    refused = 0
    for _ in range(600):
        rows = {str(i): dict(enumerate(generator.normal(size=n))) for i, n in enumerate(sizes)}
        refused += not (variance.alike_in_blocks(rows) if by_seed else variance.alike(
            [contrast.summarise(list(row.values())).variance for row in rows.values()]))
    assert refused / 600 == pytest.approx(0.10, abs=0.037)


def test_the_guard_is_bartletts_statistic():
    samples = np.random.default_rng(2).normal(size=(4, 9)) * [[1], [1], [2], [4]]
    values, dfs = samples.var(axis=1, ddof=1), np.full(4, 8)
    factor = 1 + (4 / 8 - 1 / 32) / 9
    assert variance._bartlett(values, dfs) / factor == pytest.approx(scipy_stats.bartlett(*samples).statistic)
    assert not variance.alike([variance.Variance(v, 8) for v in values])
    assert not variance.alike([variance.Variance(1.0, 2), variance.Variance(0.0, 2)])  # zero says no
    assert not variance.alike_in_blocks({"a": {0: 1.0, 1: 2.0, 2: 3.0}, "b": {0: 1.0, 1: 2.0, 2: 3.0},
                                         "c": {0: 1.0, 1: 2.0, 2: 3.0}})


def test_equivalence_is_tost_by_hand():
    # scipy's one-sided tests against either bound; the larger of them decides, doubled as all our p values.
    left, right = [85.1, 85.4, 85.0], [85.3, 85.2, 84.9]
    sides = [scipy_stats.ttest_ind(left, np.add(right, bound), equal_var=False, alternative=way).pvalue
             for bound, way in ((-1, "greater"), (1, "less"))]
    assert between(difference(left, right), -1, 1).holds == pytest.approx(2 * max(sides))
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
    with pytest.raises(ValueError, match="different values"):
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


def test_methods_are_permuted_with_all_their_variants():
    left = [1.0, 2, 3, 4, 1.5, 2.5, 3.5, 4.5]
    right = [1.0, 2, 4, 3, 1.4, 2.6, 4.6, 3.6]
    variants = [(name, block) for block in ("frozen", "trained") for name in "abcd"]
    made = ranks.correlate(left, right, "kendall", variants)
    value = scipy_stats.kendalltau(left, right).statistic
    both = [scipy_stats.kendalltau(left, [right[i] for i in (*order, *(4 + i for i in order))]).statistic
            for order in itertools.permutations(range(4))]
    assert (made.value, made.test) == (pytest.approx(value), "permutation of 4 methods")
    assert made.pair.holds == pytest.approx(2 * np.mean([one >= value - 1e-9 for one in both]))
    assert ranks.correlate(left, right, "kendall").pair.holds < made.pair.holds / 5  # rows are not independent
    assert ranks.correlate(left, right, "kendall", variants[:7] + [("e", "trained")]).test == "permutation of rows"
