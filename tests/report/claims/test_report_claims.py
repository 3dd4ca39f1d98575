"""Claims: what a file of them may say, and the verdicts on runs whose statistics are known."""

from dataclasses import replace

import pytest
from claim_store import CLAIM, HIGH, LOW, claim, shelf_of, tables_of, verdict, verdicts, write
from report_store import SOURCES, Excluded, make_grid

from suite.errors import UserError
from suite.report.claims.language import load_claims, read_claims
from suite.report.tables.layout_files import table_names


def load(tmp_path, *claims, known=(), **families):
    grid = make_grid()
    tables, _ = tables_of(grid, shelf_of(grid, tmp_path, {}))
    return load_claims(write(tmp_path, *claims, **families), grid, tables, known)


@pytest.mark.parametrize(("left", "right", "changes", "expected"), [
    (LOW, HIGH, {}, "supported"),
    (HIGH, LOW, {}, "contradicted"),
    (LOW, HIGH, {"kind": "better"}, "contradicted"),
    (HIGH, LOW, {"kind": "better"}, "supported"),
    (LOW, HIGH, {"columns": "loss"}, "supported"),  # the loss of Real is the larger one: worse
    (LOW, HIGH, {"columns": "loss", "kind": "better"}, "contradicted"),
    ([0.30, 0.36, 0.42], HIGH, {}, "undecided"),
    (LOW, HIGH, {"alpha": 1e-6}, "undecided"),
    (LOW, HIGH, {"by": "seed"}, "untested"),  # the same difference in every seed: no spread
    (LOW, [0.40, 0.41, 0.43], {"by": "seed"}, "supported"),
])
def test_verdicts(tmp_path, left, right, changes, expected):
    assert verdict(tmp_path, left, right, **changes).verdict == expected


def test_the_evidence_by_hand(tmp_path):
    # Both variances are 1 point squared: the difference has the standard error sqrt(2/3) and 4 degrees of freedom,
    # whose 97.5 % quantile is 2.7764.
    made = verdict(tmp_path, LOW, HIGH)
    part, = made.parts
    assert part.difference == pytest.approx(-10)
    assert part.low == pytest.approx(-10 - 2.7764 * (2 / 3) ** 0.5, abs=1e-3)
    assert part.df == pytest.approx(4)
    assert made.evidence == \
        "difference −10.00 points, 95 % CI −12.27 to −7.73 (unadjusted), t with the variance of the column over " \
        "2 rows, unpaired, df 4, 3 seeds, 1,000 images, p = 0.00026; over seeds and images: not recorded"


def test_a_family_without_looks_does_not_say_how_many_seeds_are_missing(tmp_path):
    made = verdict(tmp_path, [0.30, 0.36, 0.42], HIGH)
    assert (made.words, made.final, made.reason) == ("undecided", False, "")


def test_no_difference_is_an_interval_within_the_margin(tmp_path):
    near = [0.4005, 0.4000, 0.3995]
    same = verdict(tmp_path, near, [0.4004, 0.4001, 0.3996])
    assert (same.verdict, same.words) == ("no difference", "no difference")
    assert verdict(tmp_path, near, [0.4004, 0.4001, 0.3996], kind="noninferior", margin=1).verdict == "supported"
    small = verdict(tmp_path, near, [0.4045, 0.4040, 0.4035])
    assert (small.verdict, small.words) == ("supported", "supported, less than a point")


@pytest.mark.parametrize(("left", "right", "reason"), [
    ([0.3, None, None], HIGH, "a comparison needs two seeds on each side, but 1 and 3 have a number (2 not run)"),
    ([None] * 3, [None] * 3, "no seed has a number, and a comparison needs two on each side (3 not run)"),
    ([0.3] * 3, [0.4] * 3, "the standard deviation is 0 on both sides"),
    ([float("nan")] * 3, HIGH, "a comparison needs two seeds on each side, but 0 and 3 have a number (3 diverged)"),
])
def test_untested_with_a_reason(tmp_path, left, right, reason):
    made = verdict(tmp_path, left, right)
    assert made.verdict == "untested"
    assert made.evidence.endswith(reason)


def test_one_seed_only_is_untested_and_shows_the_difference(tmp_path):
    made = verdict(tmp_path, [0.3], [0.4])
    assert made.verdict == "untested"
    assert made.evidence == ("difference −10.00 points, 1 seed, 1,000 images; "
                             "a comparison needs two seeds on each side, but 1 and 1 have a number")


def test_a_side_without_spread_is_still_tested(tmp_path):
    made = verdict(tmp_path, [0.3] * 3, HIGH)
    assert made.verdict == "supported"
    assert made.parts[0].df == pytest.approx(2)


def test_missing_seeds_are_told(tmp_path):
    made = verdict(tmp_path, [0.30, 0.31, None], HIGH)
    assert (made.verdict, made.parts[0].n) == ("supported", (2, 3))
    assert made.evidence.endswith("2 and 3 seeds, 1,000 images, p = 0.0011; over seeds and images: not recorded; "
                                  "missing: 1 not run")


def test_rows_that_were_not_asked_for_and_rows_that_are_excluded(tmp_path):
    grid = make_grid()
    part = replace(grid, runs=tuple(r for r in grid.runs if r.labels["method"] != "S4D-Real"))
    made, = verdicts(tmp_path, {("S4D-Lin", "sCIFAR"): HIGH}, claim(), grid=part)
    assert (made.verdict, made.parts[0].why) == (
        "untested", "a comparison needs two seeds on each side, but 0 and 3 have a number "
        "(the selected part of the grid has no such runs)")
    out = make_grid(excluded=(Excluded({"task": "sCIFAR", "method": "S4D-Real"}, "not wanted"),))
    made, = verdicts(tmp_path, {("S4D-Lin", "sCIFAR"): HIGH}, claim(), grid=out)
    assert made.evidence.endswith("(excluded: not wanted)")


@pytest.mark.parametrize(("change", "line", "what"), [
    ({"left": "S4D-Reel"}, "claims.0.left", "did you mean 'S4D-Real'?"),
    ({"left": {"of": "S4D-Reel", "less": "S4D-Inv"}}, "claims.0.left", "did you mean 'S4D-Real'?"),
    ({"left": {"method": "S4D-Real"}}, "claims.0.left.method", "unknown key 'method'"),
    ({"columns": ["SC", "CIFAR"]}, "claims.0.columns", "table demo has no column 'CIFAR'\n    did you mean 'sCIFAR'?"),
    ({"columns": None, "rows": "SC"}, "claims.0.rows", "table demo has no row 'SC'"),
    ({"columns": None}, "claims.0", "a claim needs either `columns`"),
    ({"table": "dema"}, "claims.0.table", "there is no table 'dema'\n    did you mean 'demo'?"),
    ({"right": "S4D-Real"}, "claims.0.right", "left and right are the same rows"),
    ({"right": None}, "claims.0", "needs `right`"),
    ({"level": 85}, "claims.0.right", "a claim of the kind worse has no `right`"),
    ({"kind": "equivalent"}, "claims.0", "a claim of equivalence needs its `margin`"),
    ({"kind": "noninferior"}, "claims.0", "needs `margin`"),
    ({"kind": "equal"}, "claims.0.kind", "'better', 'worse'"),
    ({"kind": "keeps"}, "claims.0", "needs `share`"),
    ({"kind": "order", "left": None, "right": None}, "claims.0", "needs `chain`"),
    ({"chain": ["S4D-Real", "S4D-Inv"]}, "claims.0.chain", "a claim of the kind worse has no `chain`"),
    ({"margin": -1}, "claims.0.margin", "greater than or equal to 0"),
    ({"of_columns": 2}, "claims.0.of_columns", "2 must hold, but there is only 1"),
    ({"alpha": 1.0}, "claims.0.alpha", "less than 1"),
    ({"tekst": "x"}, "claims.0.tekst", "did you mean 'text'?"),
    ({"id": "a b"}, "claims.0.id", "a name of 1 to 80 letters"),
    ({"family": "5.2"}, "claims.0.family", "there is no family '5.2'"),
    ({"left": []}, "claims.0.left", "a claim of the kind worse needs `left`"),
    ({"right": []}, "claims.0.right", "a claim of the kind worse needs `right`"),
    ({"left": [], "right": None, "level": 85}, "claims.0.left", "a claim of the kind worse needs `left`"),
    ({"kind": "order", "left": None, "right": None, "chain": []}, "claims.0.chain", "kind order needs `chain`"),
    ({"kind": "solves", "left": [], "right": None, "chance": 50, "examples": 9}, "claims.0.left", "needs `left`"),
    ({"kind": "solves", "left": "sCIFAR", "right": None, "chance": 50, "examples": 9, "columns": None,
      "rows": "S4D-Lin"}, "claims.0.rows", "a claim of the kind solves has no `rows`"),
    ({"kind": "correlation", "left": None, "right": None, "columns": None, "rows": "S4D-Lin"}, "claims.0.rows",
     "a claim of the kind correlation has no `rows`"),
])
def test_bad_claims_name_line_and_key(tmp_path, change, line, what):
    with pytest.raises(UserError) as caught:
        load(tmp_path, claim(**change))
    assert any(p.where.endswith(f": {line}") and int(p.where.split(":")[1]) > 1 and what in str(p)
               for p in caught.value.problems), str(caught.value)


def test_an_id_stands_once(tmp_path):
    with pytest.raises(UserError, match="duplicate id 'one'"):
        load(tmp_path, CLAIM, CLAIM)


def test_claims_of_other_tables_are_left_alone(tmp_path):
    assert load(tmp_path, claim(table="other", left="x"), known=["other"]) == []


def test_a_family_shares_its_keys_and_a_claim_may_replace_them(tmp_path):
    stated = load(tmp_path, {"id": "a", "text": "t", "family": "f", "left": "S4D-Real"},
                  {"id": "b", "text": "t", "family": "f", "left": "S4D-Inv", "kind": "better"},
                  f={"about": "shared", "source": "s", "table": "demo", "kind": "worse", "right": "S4D-Lin",
                     "columns": "SC"})
    assert [(one.claim.kind, one.claim.right, one.family) for one in stated] == [
        ("worse", ("S4D-Lin",), 2), ("better", ("S4D-Lin",), 2)]


def test_an_empty_list_takes_a_shared_key_back(tmp_path):
    one, = load(tmp_path, claim(family="f", pairs=[]), f={"pairs": [["S4D-Inv", "S4D-Lin"]]})
    assert one.claim.compared == (("S4D-Real", "S4D-Lin"),)


@pytest.mark.parametrize(("claims", "families", "what"), [
    ([claim(family="f")], {"f": {"tabel": "demo"}}, "families.f.tabel: unknown key 'tabel'\n    did you mean 'table'?"),
    ([claim(family="f"), claim(id="two", family="f", table="other", left="x")], {"f": {}}, "tables of several grids"),
    ([claim(family=["f"])], {"f": {}}, "claims.0.family: it should be a valid string\n    it is ['f']"),
    ([claim(family={"f": "g"})], {"f": {}}, "claims.0.family: it should be a valid string"),
    ([claim(family="f"), claim(id="two", family="f", alpha=0.1)], {"f": {}}, "alpha is 0.1 here and 0.05 in claim one"),
])
def test_bad_families(tmp_path, claims, families, what):
    with pytest.raises(UserError) as caught:
        load(tmp_path, *claims, known=["other"], **families)
    assert what in str(caught.value)


def test_a_margin_for_each_metric(tmp_path):
    assert verdict(tmp_path, LOW, HIGH, kind="equivalent", margin={"accuracy": 20, "loss": 1}).verdict == "supported"
    with pytest.raises(UserError, match="the margin has no value for accuracy"):
        verdict(tmp_path, LOW, HIGH, kind="equivalent", margin={"rmse": 20})


def test_metrics_that_cannot_be_compared(tmp_path):
    with pytest.raises(UserError, match=r"claims.yaml:2: claims.0: .*validation accuracy and validation loss"):
        verdict(tmp_path, LOW, HIGH, columns=["sCIFAR", "loss"], over="mean")


def test_the_file_of_claims_stands():
    stated, _ = read_claims(SOURCES / "claims.yaml")
    ours = [one.claim for one in stated if one.claim.table == "quickstart"]
    assert {(c.left, c.right, c.columns, c.kind) for c in ours} == {
        (("S4D-Real",), ("S4D-Lin",), ("sCIFAR",), "worse"), (("S4D-Real",), ("S4D-Lin",), ("SC",), "worse"),
        (("S4D-Lin ×100",), ("S4D-Lin",), ("sCIFAR",), "worse"), (("S4D-Lin ×100",), ("S4D-Lin",), ("SC",), "worse")}
    assert "quickstart" in table_names(SOURCES / "tables", SOURCES.parent / "grids")
