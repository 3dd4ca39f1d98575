"""The collector of problems: all at once, in order, each once."""

import pytest

from suite.errors import Problem, Problems, UserError


def test_all_problems_are_raised_at_once_in_order_and_each_once() -> None:
    problems = Problems()
    problems.raise_if_any()
    one, two = Problem("bad", "g.yaml:1"), Problem("worse", "g.yaml:2", "mend it")
    problems.add()
    problems.add(two, one)
    problems.add(Problem("bad", "g.yaml:1"), two)
    assert list(problems) == [two, one]
    with pytest.raises(UserError) as caught:
        problems.raise_if_any()
    assert caught.value.problems == (two, one)
