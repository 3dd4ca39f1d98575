"""The rows that cannot be told apart from the best of a column: the test, its correction, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from suite.report.statistics.best import Candidate, against_best


def test_two_rows_are_compared_by_students_t_with_the_variance_of_both():
    rows = {"a": [1.0, 2.0, 3.0], "b": [2.0, 3.5, 4.0]}
    found = against_best({row: Candidate(values, "m") for row, values in rows.items()}, largest=True)
    assert found == {"a": pytest.approx(stats.ttest_ind(rows["a"], rows["b"]).pvalue)}


def test_the_variance_is_that_of_the_column_and_holm_corrects_over_its_rows():
    rows = {"a": [5.0, 6.0, 7.0], "b": [2.0, 3.0, 4.0], "c": [4.0, 5.0, 6.0]}
    found = against_best({row: Candidate(values, "m") for row, values in rows.items()}, largest=False)
    alone = [2 * stats.t.sf(distance / (2 / 3) ** 0.5, 6) for distance in (3.0, 2.0)]
    assert found == {"a": pytest.approx(2 * alone[0]), "c": pytest.approx(alone[1])}


def test_kinds_of_models_and_unlike_rows_keep_their_own_variance():
    rows = {"a": Candidate([5.0, 6.0, 7.0], "m"), "b": Candidate([2.0, 2.1, 2.2], "other")}
    welch = stats.ttest_ind(rows["a"].values, rows["b"].values, equal_var=False).pvalue
    assert against_best(rows, True) == {"b": pytest.approx(welch)}
    rows = {"a": Candidate([50.0, 60.0, 70.0], "m"), "b": Candidate([2.0, 2.001, 2.002], "m")}
    welch = stats.ttest_ind(rows["a"].values, rows["b"].values, equal_var=False).pvalue
    assert against_best(rows, True) == {"b": pytest.approx(welch)}


def test_what_cannot_be_tested_is_left_out():
    assert against_best({}, True) == {}
    assert against_best({"a": Candidate([1.0], "m"), "b": Candidate([2.0], "m")}, True) == {}
    assert against_best({"a": Candidate([1.0, 1.0], "m"), "b": Candidate([2.0, 2.0], "m")}, True) == {"a": 0.0}


def test_with_equal_rows_few_are_said_to_differ_from_the_best():
    """After selection the best is too good, so that the level is not kept exactly: it errs in fewer than one in six."""
    draws = np.random.default_rng(0).normal(size=(400, 6, 3))
    errs = [any(p <= 0.05 for p in against_best({str(i): Candidate(list(row), "m") for i, row in enumerate(one)},
                                                True).values()) for one in draws]
    assert 0.02 < np.mean(errs) < 0.17
