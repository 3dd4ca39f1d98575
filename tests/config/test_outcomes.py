"""Outcomes by example as a file: what goes in comes out, small, and damage is seen."""

from __future__ import annotations

import numpy as np
import pytest

from suite.config import outcomes

RNG = np.random.default_rng(0)
BITS, ERRORS = RNG.random(10_001) < 0.5, np.abs(RNG.normal(size=10_001)).astype(np.float16)


def test_both_kinds_come_back() -> None:
    made = {3: {"val": BITS, "test@8000": ERRORS}, 12: {"val": BITS[:1]}}
    found = outcomes.decode(outcomes.encode(made))
    assert found.keys() == made.keys()
    for epoch, entries in made.items():
        assert entries.keys() == found[epoch].keys()
        for name, values in entries.items():
            assert found[epoch][name].dtype == values.dtype and (found[epoch][name] == values).all()
    assert outcomes.decode(outcomes.encode({})) == {}
    assert outcomes.encode(made) == outcomes.encode(made)


@pytest.mark.parametrize(("values", "most"), [(BITS[:10_000], 3_200), (ERRORS[:10_000], 40_000)])
def test_ten_thousand_examples_take_no_more_than_promised(values: np.ndarray, most: int) -> None:
    """Random ones, which no compression helps: two epochs with a bit, or two bytes, an example."""
    other = RNG.permutation(values)
    assert len(outcomes.encode({90: {"val": values}, 100: {"val": other}})) <= most


def test_damage_is_an_error_wherever_it_is() -> None:
    whole = outcomes.encode({1: {"val": BITS[:80]}, 2: {"val": BITS[:80]}})
    same = 0
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1:]):
            try:
                found = outcomes.decode(damaged)
            except ValueError:
                continue
            same += 1  # a date or a flag that says nothing
            assert all((values == BITS[:80]).all() for entries in found.values() for values in entries.values())
    assert same < len(whole) / 2


def test_best_and_last_are_kept_as_training_selects_them() -> None:
    known: outcomes.Outcomes = {}
    rows: list[dict[str, float | int]] = []
    for epoch, value in enumerate([0.2, 0.5, 0.5, 0.4], 1):
        rows.append({"epoch": epoch, "val/accuracy": value})
        known = outcomes.kept(known, {"val": BITS[:epoch]}, rows, "max val/accuracy")
        assert sorted(known) == {1: [1], 2: [2], 3: [2, 3], 4: [2, 4]}[epoch]
    assert outcomes.best_epoch(rows, "min val/accuracy") == 1
    assert outcomes.best_epoch([*rows, {"epoch": 5, "val/accuracy": float("nan")}], "max val/accuracy") is None
    assert outcomes.best_epoch(rows, "max test/accuracy") is None
    later = outcomes.kept({}, {"val": BITS[:9]}, rows, "max val/accuracy")
    assert sorted(later) == [4], "the best epoch is from before outcomes were kept"
    assert outcomes.kept(known, {}, rows, "max val/accuracy") == {}
