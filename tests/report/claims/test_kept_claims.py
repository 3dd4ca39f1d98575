"""The claims on the runs that are kept, at their first look: figures that were worked out by other means."""

import pytest
from report_store import SOURCES

from suite.grid.expand import load_grid
from suite.report.document import document_of
from suite.store.store import Store

ROOT = SOURCES.parent


def kept(grid, folder, profile=None):
    store = Store(ROOT / "results" / folder / "store")
    made = document_of(load_grid(ROOT / f"grids/{grid}.yaml", profile, (), ()), store)
    return {one.claim.id: one for one in made.verdicts}


def test_the_quickstart_is_at_three_of_four_after_three_seeds():
    made = kept("quickstart", "quickstart")
    found = {name.removeprefix("quickstart-"): (one.verdict, round(one.p, 4), one.level) for name, one in made.items()}
    assert found == {
        "scale-sc": ("supported", 0.0008, pytest.approx(0.00375)),
        "real-sc": ("supported", 0.0021, pytest.approx(0.00375)),
        "scale-scifar": ("supported", 0.0022, pytest.approx(0.00375)),
        "real-scifar": ("undecided", 0.0585, pytest.approx(0.015))}
    assert {one.parts[0].df for one in made.values()} == {10}
    for one in made.values():
        assert one.evidence.endswith(
            "; the rule itself was chosen after seeds 0 to 2 were known (exploratory)")


def test_the_first_epoch_with_seeds_as_blocks():
    made = kept("first-epoch-inits", "table3a-scifar-epoch1")
    assert [one.verdict for one in made.values()] == ["supported"] * 2 + ["undecided"] * 2 + ["supported"] * 2
    assert {(one.parts[0].df, one.parts[0].estimate.paired) for one in made.values()} == {(14, True)}


def test_contrasts_over_rows_and_ranks_of_methods():
    made = kept("first-epoch", "table3b-scifar-epoch1")
    better, little, ranks = (made[name] for name in ("first-dplr-better", "first-training-changes-little",
                                                     "ranks-first-epoch"))
    assert better.parts[0].difference == pytest.approx(2.88, abs=0.005)
    assert (better.parts[0].high - better.parts[0].low) / 2 == pytest.approx(0.60, abs=0.005)
    assert little.parts[0].difference == pytest.approx(0.16, abs=0.005)
    assert (better.verdict, little.verdict, ranks.verdict) == ("supported",) * 3
    assert (round(ranks.p, 3), ranks.parts[0].test) == (0.020, "permutation of 7 methods")
