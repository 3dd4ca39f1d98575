"""The epochs that a launch has still to compute, and their time, as runs proceed and end."""

from __future__ import annotations

import pytest
from fake_runner import grid

from suite.cli.work import Work


def test_what_is_missing_follows_the_runs() -> None:
    first, second, other = grid(3)
    work = Work()
    for run in (first, second):
        work.add(run, 4, 1.0)
    shape = first.config.shape
    assert work.done == 2.0 and work.seconds({shape: 10.0}) == 60.0
    work.reach(first.run_id, 3.0)
    work.reach(first.run_id, 2.5)  # a run that was killed is back at its checkpoint
    work.reach(other.run_id, 4.0)  # of somebody else
    assert work.done == 3.5 and work.seconds({shape: 10.0}) == pytest.approx(45.0)
    assert work.seconds({"another": 2.0}) == pytest.approx(9.0)  # the mean of what is known
    work.end(first.run_id, 2.5)
    work.end(first.run_id, 2.5)
    assert work.ended == {first.run_id} and work.seconds({shape: 10.0}) == pytest.approx(30.0)
    work.end(second.run_id, 4.0)
    assert work.done == 6.5 and work.seconds({shape: 10.0}) == 0.0
