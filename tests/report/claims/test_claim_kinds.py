"""Kinds of claims, on runs whose answer can be told by eye; several columns, rows, claims."""

import numpy as np
import pytest
from claim_store import HIGH, LOW, claim, verdict, verdicts
from scipy import stats as scipy_stats

from suite.errors import UserError

NEAR = [0.401, 0.409, 0.421]


@pytest.mark.parametrize(("left", "right", "changes", "expected"), [
    (HIGH, NEAR, {"kind": "equivalent", "margin": 5}, "supported"),
    (HIGH, NEAR, {"kind": "equivalent", "margin": 1}, "undecided"),
    (LOW, HIGH, {"kind": "equivalent", "margin": 5}, "contradicted"),
    (HIGH, LOW, {"kind": "equivalent", "margin": 5}, "contradicted"),
    (HIGH, NEAR, {"kind": "noninferior", "margin": 5}, "supported"),
    (HIGH, LOW, {"kind": "noninferior", "margin": 5}, "supported"),
    (LOW, HIGH, {"kind": "noninferior", "margin": 5}, "contradicted"),
    (LOW, HIGH, {"columns": "loss", "kind": "noninferior", "margin": 0.05}, "contradicted"),
    (LOW, HIGH, {"columns": "loss", "kind": "noninferior", "margin": 0.2}, "supported"),
    (LOW, HIGH, {"margin": 5}, "supported"),  # worse by more than five points
    (LOW, HIGH, {"margin": 15}, "contradicted"),
    (HIGH, LOW, {"kind": "better", "margin": 5}, "supported"),
    (HIGH, LOW, {"kind": "better", "margin": 9.9}, "undecided"),
])
def test_margins(tmp_path, left, right, changes, expected):
    assert verdict(tmp_path, left, right, **changes).verdict == expected


def test_an_order_is_a_chain_of_rows(tmp_path):
    cells = {("S4D-Inv", "sCIFAR"): [0.50, 0.51, 0.52], ("S4D-Lin", "sCIFAR"): HIGH, ("S4D-Real", "sCIFAR"): LOW}
    order = {"kind": "order", "left": None, "right": None}
    right, wrong = verdicts(tmp_path, cells, claim(**order, chain=["S4D-Inv", "S4D-Lin", "S4D-Real"]),
                            claim(**order, id="two", chain=["S4D-Lin", "S4D-Inv", "S4D-Real"]))
    assert (right.verdict, wrong.verdict) == ("supported", "contradicted")
    assert [part.words for part in right.parts] == ["sCIFAR, S4D-Inv against S4D-Lin",
                                                    "sCIFAR, S4D-Lin against S4D-Real"]
    assert wrong.decisive.words == "sCIFAR, S4D-Lin against S4D-Inv"


BEST = {("S4D-Inv", "sCIFAR"): LOW, ("S4D-Real", "sCIFAR"): HIGH, ("S4D-Lin", "sCIFAR"): [0.35, 0.351, 0.352],
        ("S4D-Inv", "SC"): HIGH, ("S4D-Real", "SC"): LOW, ("S4D-Lin", "SC"): [0.35, 0.351, 0.352]}


def test_the_best_of_left_against_each_of_right(tmp_path):
    # In each column another row is the best, and no row is better than S4D-Lin in both.
    best = {"kind": "better", "left": ["S4D-Inv", "S4D-Real"], "right": "S4D-Lin", "columns": ["sCIFAR", "SC"]}
    made, = verdicts(tmp_path, BEST, claim(**best, of_left="any"))
    assert made.verdict == "supported"
    assert made.p == pytest.approx(2 * max(min(part.pair.holds for part in made.parts[i:i + 2]) for i in (0, 2)))
    every, = verdicts(tmp_path / "b", BEST, claim(**best))
    assert every.verdict == "undecided"
    # Against two rows, one of which is out of reach, any pair would do, but not the best of left against each.
    high = BEST | {("S4D-Lin", "sCIFAR"): HIGH, ("S4D-Real", "sCIFAR"): [0.35, 0.351, 0.352]}
    two = {"kind": "better", "left": "S4D-Real", "right": ["S4D-Inv", "S4D-Lin"]}
    assert verdicts(tmp_path / "c", high, claim(**two, of_pairs="any"))[0].verdict == "supported"
    assert verdicts(tmp_path / "d", high, claim(**two, of_left="any"))[0].verdict == "contradicted"


@pytest.mark.parametrize(("keys", "message"), [
    ({"of_left": 3}, "claims.0.of_left: 3 must hold, but there is only 1"),
    ({"of_left": "any", "of_pairs": "any"}, "`of_pairs` all pairs: use only one of them"),
    ({"of_left": "any", "right": None, "level": 85}, "`of_left` counts rows of `left` against each of `right`"),
    ({"of_left": "any", "kind": "keeps", "share": 0.5}, "a claim of the kind keeps has no `of_left`")])
def test_of_left_needs_rows_on_either_side(tmp_path, keys, message):
    with pytest.raises(UserError) as caught:
        verdicts(tmp_path, BEST, claim(**keys))
    assert message in str(caught.value)


TWO = {("S4D-Real", "sCIFAR"): LOW, ("S4D-Lin", "sCIFAR"): HIGH, ("S4D-Real", "SC"): HIGH, ("S4D-Lin", "SC"): NEAR}


@pytest.mark.parametrize(("needed", "expected", "evidence"), [
    ("all", "undecided", "1 of 2 comparisons holds, 1 undecided; SC: difference 0.00"),
    ("any", "supported", "1 of 2 comparisons holds, 1 undecided; sCIFAR: difference −10.00"),
    ("most", "undecided", "1 of 2 comparisons holds, 1 undecided; sCIFAR: difference −10.00"),
    (1, "supported", ""),
])
def test_several_columns(tmp_path, needed, expected, evidence):
    made, = verdicts(tmp_path, TWO, claim(columns=["sCIFAR", "SC"], of_columns=needed))
    assert made.verdict == expected
    assert evidence in made.evidence.replace("−0.03", "0.00")


def test_a_column_that_fails_contradicts_all_and_one_without_numbers_leaves_it_untested(tmp_path):
    failing = TWO | {("S4D-Real", "SC"): HIGH, ("S4D-Lin", "SC"): LOW}
    made, = verdicts(tmp_path, failing, claim(columns=["sCIFAR", "SC"]))
    assert made.verdict == "contradicted"
    assert made.p == pytest.approx(2 * made.parts[1].pair.fails)  # two columns were looked at
    made, = verdicts(tmp_path, {key: TWO[key] for key in list(TWO)[:3]}, claim(columns=["sCIFAR", "SC"]))
    assert made.verdict == "untested"
    assert made.evidence.endswith("1 of 2 comparisons is not tested: a comparison needs two seeds on "
                                  "each side, but 3 and 0 have a number (3 not run)")


def test_the_best_of_several_rows_is_paid_for(tmp_path):
    cells = {("S4D-Inv", "sCIFAR"): HIGH, ("S4D-Lin", "sCIFAR"): LOW, ("S4D-Real", "sCIFAR"): LOW}
    best, = verdicts(tmp_path, cells, claim(kind="better", left=["S4D-Inv", "S4D-Real"], of_pairs="any"))
    assert best.verdict == "supported"
    assert best.p == pytest.approx(2 * best.parts[0].pair.holds)
    every, = verdicts(tmp_path, cells, claim(kind="better", left=["S4D-Inv", "S4D-Real"]))
    assert every.verdict == "undecided"


def test_the_mean_of_columns_is_one_comparison(tmp_path):
    # Each of four cells has the variance 1; the mean of two differences has the variance (4 / 3) / 4.
    made, = verdicts(tmp_path, TWO | {("S4D-Lin", "SC"): HIGH}, claim(columns=["sCIFAR", "SC"], over="mean"))
    part, = made.parts
    assert (part.difference, part.df) == (pytest.approx(-5), pytest.approx(8))
    assert part.high - part.low == pytest.approx(2 * 2.306 * (1 / 3) ** 0.5, abs=1e-3)


def test_what_a_change_costs_one_row_more_than_another(tmp_path):
    cells = {("S4D-Real", "sCIFAR"): LOW, ("S4D-Lin", "sCIFAR"): HIGH, ("S4D-Inv", "sCIFAR"): HIGH}
    sides = {"left": {"of": "S4D-Real", "less": "S4D-Lin"}, "right": {"of": "S4D-Inv", "less": "S4D-Lin"}}
    made, = verdicts(tmp_path, cells, claim(**sides))
    assert (made.verdict, made.parts[0].difference) == ("supported", pytest.approx(-10))


def test_a_row_on_both_sides_is_counted_once(tmp_path):
    cells = {("S4D-Lin", "sCIFAR"): [0.50, 0.51, 0.53], ("S4D-Inv", "sCIFAR"): [0.46, 0.47, 0.48],
             ("S4D-Real", "sCIFAR"): [0.30, 0.40, 0.50]}
    lin, inv, real = (100 * np.array(values) for values in cells.values())
    same, twice = verdicts(  # the second is Lin less twice Real plus Inv
        tmp_path, cells,
        claim(left={"of": "S4D-Lin", "less": "S4D-Real"}, right={"of": "S4D-Inv", "less": "S4D-Real"}, kind="better"),
        claim(left={"of": "S4D-Lin", "less": "S4D-Real"}, right={"of": "S4D-Real", "less": "S4D-Inv"}, id="two"))
    welch = scipy_stats.ttest_ind(lin, inv, equal_var=False)
    assert (same.parts[0].low, same.parts[0].high) == pytest.approx(tuple(welch.confidence_interval(0.95)))
    assert (same.verdict, same.p) == ("supported", pytest.approx(welch.pvalue))
    parts = np.array([lin.var(ddof=1), 4 * real.var(ddof=1), inv.var(ddof=1)]) / 3
    df = parts.sum() ** 2 / (parts**2 / 2).sum()
    half = scipy_stats.t.ppf(0.975, df) * parts.sum() ** 0.5
    middle = lin.mean() - 2 * real.mean() + inv.mean()
    assert (twice.parts[0].low, twice.parts[0].high) == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize("keys", [
    {"left": {"of": "S4D-Lin", "less": "S4D-Lin"}, "right": {"of": "S4D-Inv", "less": "S4D-Inv"}},
    {"left": {"of": "S4D-Lin", "less": "S4D-Lin"}, "right": None, "level": 85}])
def test_nothing_is_left_to_compare(tmp_path, keys):
    with pytest.raises(UserError, match=r"claims.yaml:2: claims.0: \(S4D-Lin − S4D-Lin\) against .* cancels out"):
        verdicts(tmp_path, {("S4D-Lin", "sCIFAR"): HIGH, ("S4D-Inv", "sCIFAR"): LOW}, claim(**keys))


@pytest.mark.parametrize(("kind", "share", "expected"), [
    ("keeps", 0.6, "supported"), ("keeps", 0.9, "contradicted"), ("collapses", 0.9, "supported"),
    ("collapses", 0.6, "contradicted"), ("keeps", 0.74, "undecided")])
def test_shares_of_another_column(tmp_path, kind, share, expected):
    # The first epoch has three quarters of the best one's accuracy.
    curves = [[0.75 * top, top, top] for top in (0.40, 0.41, 0.42)]
    made, = verdicts(tmp_path, {("S4D-Lin", "sCIFAR"): curves}, claim(
        kind=kind, share=share, left="first", right="sCIFAR", rows="S4D-Lin", columns=None))
    assert made.verdict == expected
    assert made.parts[0].difference == pytest.approx(41 * (0.75 - share))


def test_pairing_by_seed(tmp_path):
    left, right = [0.300, 0.352, 0.398], [0.310, 0.360, 0.410]
    apart, paired = (verdict(tmp_path, left, right, by=by) for by in (None, "seed"))
    assert (apart.verdict, paired.verdict) == ("undecided", "supported")
    assert paired.parts[0].df == 2
    few = verdict(tmp_path, [0.3, None, 0.4], [None, 0.3, 0.4], by="seed")
    assert few.evidence.endswith("one seed has both numbers, but a comparison by seed needs two (1 not run)")
    none = verdict(tmp_path, [0.3, None, None], [None, 0.3, 0.4], by="seed").evidence
    assert none.endswith("no seed has both numbers, but a comparison by seed needs two (2 not run, 1 not run)")


def test_pairs_compare_the_seeds_that_both_have(tmp_path):
    """Else a good seed that one side alone has would turn the sign."""
    one = verdict(tmp_path, [0.40, None, None], [0.41, 0.20, 0.20], by="seed")
    assert one.parts[0].difference == pytest.approx(-1)
    assert one.parts[0].n == (1, 1)
    two = verdict(tmp_path, [0.40, 0.19, None], [0.41, 0.20, 0.60], by="seed")
    assert two.parts[0].difference == pytest.approx(-1)
    assert two.parts[0].n == (2, 2)


def test_the_mean_over_the_epochs(tmp_path):
    curves = [[0.1 + x, 0.5 + x, 0.3 + x] for x in (0, 0.01, 0.02)]
    made = verdict(tmp_path, curves, [[0.9 * v for v in curve] for curve in curves], kind="better", epoch="mean")
    assert (made.verdict, made.parts[0].difference) == ("supported", pytest.approx(3.1))
    broken = verdict(tmp_path, [[0.1, float("nan"), 0.3], *curves[1:]], curves, epoch="mean")
    assert "1 diverged" in broken.evidence


def test_holm_within_a_family(tmp_path):
    # Alone, either claim is supported at 0.05; as one of six, neither is.
    near = [0.395, 0.405, 0.420]
    lower = [0.365, 0.375, 0.385]
    cells = {("S4D-Real", "sCIFAR"): lower, ("S4D-Lin", "sCIFAR"): near}
    alone, = verdicts(tmp_path, cells, claim())
    family = verdicts(tmp_path, cells, *(claim(id=f"c{i}", family="f") for i in range(6)), f={})
    assert alone.verdict == "supported"
    assert [made.verdict for made in family] == ["undecided"] * 6
    assert family[0].adjusted == pytest.approx(6 * alone.p)
    assert "after Holm's correction over 6 claims" in family[0].evidence


def test_ten_seeds_are_tested_as_three_are_and_show_an_effect_size(tmp_path):
    left = [0.30 + 0.001 * i**2 for i in range(10)]
    made = verdict(tmp_path, left, [v + 0.1 for v in reversed(left)])
    part, = made.parts
    assert (made.verdict, part.df) == ("supported", 18)
    assert part.high - part.difference == pytest.approx(part.difference - part.low)
    spread = 100 * np.std(left, ddof=1)
    assert part.g == pytest.approx(-10 / spread * (1 - 3 / (4 * 18 - 1)))
    assert "Hedges g" in made.evidence
    few = verdict(tmp_path, left[:4], [v + 0.1 for v in left[:4]])
    assert few.parts[0].g is None
    assert "Hedges" not in few.evidence
