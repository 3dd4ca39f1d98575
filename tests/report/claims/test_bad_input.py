"""Data and declarations that are not as they should be: each has one clear message, or a defined behaviour."""

import pytest
from claim_store import HIGH, LOW, claim, shelf_of, tables_of, verdicts, write
from report_store import make_grid

from suite.errors import UserError
from suite.report.claims import declaring
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims

LOOKS = {"looks": {"start": 3, "most": 4}}
NAN = float("nan")
ROWS = {"S4D-Real": LOW, "S4D-Lin": HIGH, "S4D-Inv": [0.45, 0.46, 0.44]}


def one(folder, rows, seeds=4, family=LOOKS, **keys):
    cells = {(row, "sCIFAR"): values for row, values in rows.items()}
    made, = verdicts(folder, cells, claim(family="f", **keys), grid=make_grid(seeds=seeds), f=family)
    return made


def test_a_base_row_that_failed_holds_its_claims(tmp_path):
    keys = {"left": {"of": "S4D-Real", "less": "S4D-Lin"}, "right": {"of": "S4D-Inv", "less": "S4D-Lin"}}
    made = one(tmp_path, ROWS | {"S4D-Lin": [NAN] * 3}, left="S4D-Real", right="S4D-Lin")
    assert (made.verdict, made.final, made.reason) == (
        "untested", True, "held before the first look, at 3 seeds: seed 0 of S4D-Lin diverged")
    both = one(tmp_path / "b", ROWS | {"S4D-Lin": [0.4, NAN, 0.4]}, **keys)
    assert (both.verdict, both.reason) == (
        "untested", "held before the first look, at 3 seeds: seed 1 of S4D-Lin diverged")


def test_a_cell_with_one_seed_has_no_variance_to_lend(tmp_path):
    made = one(tmp_path, ROWS | {"S4D-Inv": [0.45]}, family={})
    assert (made.verdict, made.parts[0].df) == ("supported", 4)  # of the other two rows
    alone = one(tmp_path / "b", ROWS | {"S4D-Real": [0.3]}, family={})
    assert (alone.verdict, alone.reason) == (
        "untested", "a comparison needs two seeds on each side, but 1 and 3 have a number (3 not run, 1 not run)")
    early = one(tmp_path / "c", ROWS | {"S4D-Real": [0.3]})
    assert early.reason.startswith("the first look is at 3 seeds: a comparison needs two seeds on each side, but 1 and "
                                   "3 have a number")


@pytest.mark.parametrize("by", [None, "seed"])
def test_cells_that_are_all_equal_are_not_tested(tmp_path, by):
    made = one(tmp_path, dict.fromkeys(ROWS, [0.4] * 4), by=by)
    assert made.verdict == "untested"
    assert made.reason == "the standard deviation " + ("of the differences is 0" if by else "is 0 on both sides")
    far = one(tmp_path / "b", {"S4D-Real": [0.3] * 4, "S4D-Lin": [0.4] * 4, "S4D-Inv": [0.45] * 4}, by=by)
    assert far.verdict == "untested"  # without a spread, no difference is known to be more than chance


def test_nan_in_one_seed_ends_the_looks_there(tmp_path):
    near = {"S4D-Real": [0.40, 0.39, 0.41, NAN], "S4D-Lin": [0.40, 0.41, 0.39, 0.40], "S4D-Inv": [0.45, 0.46, 0.44]}
    made = one(tmp_path, near)
    assert (made.verdict, made.seeds, made.reason) == ("undecided", 3, "held at 3 seeds: seed 3 of S4D-Real diverged")


def test_a_seed_that_is_missing_in_the_middle_is_not_skipped(tmp_path):
    made = one(tmp_path, ROWS | {"S4D-Real": [0.30, None, 0.32, 0.31]})
    assert (made.verdict, made.final) == ("untested", False)
    assert made.reason.startswith("the first look is at 3 seeds")
    late = one(tmp_path / "b", {row: [*values, None, values[0]] for row, values in ROWS.items()}, seeds=5,
               family={"looks": {"start": 3, "most": 5}}, kind="equivalent", margin=10)
    assert (late.verdict, late.seeds) == ("undecided", 3)


@pytest.mark.parametrize(("seeds", "looked"), [(2, None), (3, 3), (9, 4)])
def test_a_grid_with_fewer_or_more_seeds_than_the_looks(tmp_path, seeds, looked):
    rows = {row: [values[i % 3] for i in range(seeds)] for row, values in ROWS.items()}
    made = one(tmp_path, rows, seeds=seeds, kind="equivalent", margin=10)
    assert made.seeds == looked  # seeds beyond `most` are never tested


def test_columns_of_different_metrics_have_no_mean(tmp_path):
    with pytest.raises(UserError) as caught:
        one(tmp_path, ROWS, columns=["sCIFAR", "loss"], over="mean")
    assert "claims.yaml:" in str(caught.value)
    assert "mean: validation accuracy and validation loss cannot be compared" in str(caught.value)
    each = one(tmp_path / "b", ROWS, columns=["sCIFAR", "loss"], margin={"accuracy": 1, "loss": 0.01})
    assert [part.bounds[0] < part.difference < part.bounds[1] for part in each.parts] == [True, True]
    with pytest.raises(UserError, match="claim one: the margin has no value for loss"):
        one(tmp_path / "c", ROWS, columns=["sCIFAR", "loss"], margin={"accuracy": 1})


def test_a_row_added_after_the_first_look_changes_the_family_and_is_waited_for(tmp_path):
    """The words of the report come from the digest, which has the rows of the table."""
    made = []
    for methods in (["S4D-Lin", "S4D-Real"], ["S4D-Lin", "S4D-Real", "S4D-Inv"]):
        grid = make_grid(methods=methods, seeds=4)
        cells = {(row, "sCIFAR"): ROWS[row] for row in ("S4D-Lin", "S4D-Real")}
        folder = tmp_path / str(len(methods))
        tables, numbers = tables_of(grid, shelf_of(grid, folder, cells))
        stated = load_claims(write(folder, claim(family="f"), f=LOOKS), grid, tables)
        made.append((grid, numbers.results.store, declaring.families(stated, tables), judge(stated, numbers)))
    (grid, store, before, first), (_, _, after, second) = made
    declaring.declare(grid, store, before, ())
    words = [declaring.with_words(grid, store, digests, first)[0].declared for digests in (before, after)]
    assert words == ["declared before the first look of this store", "the family was changed at look 1"]
    assert (second[0].verdict, second[0].reason) == ("untested", "waits for the first 3 seeds of S4D-Inv")


def test_a_key_that_is_not_used_leaves_the_digest_of_a_family_as_it_was(tmp_path):
    def digest(folder, **keys):
        grid = make_grid(seeds=4)
        tables, _ = tables_of(grid, shelf_of(grid, folder, {}))
        return declaring.families(load_claims(write(folder, claim(family="f", **keys), f=LOOKS), grid, tables), tables)

    assert digest(tmp_path / "a", of_left="all") == digest(tmp_path / "b")
    assert digest(tmp_path / "c", of_left="any") != digest(tmp_path / "b")
