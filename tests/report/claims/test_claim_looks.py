"""Looks at runs: what each shows, what holds up the next, and that a verdict is a function of data and declaration."""

from dataclasses import replace

import numpy as np
import pytest
from claim_store import claim, tables_of, verdicts, write
from report_store import Excluded, Shelf, make_grid

from suite.errors import UserError
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims
from suite.report.statistics.looks import Looks

FAMILY = {"looks": {"start": 3, "most": 6}}
FAR = {"S4D-Real": [0.30, 0.31, 0.32, 0.31, 0.30, 0.32], "S4D-Lin": [0.40, 0.41, 0.42, 0.41, 0.40, 0.42],
       "S4D-Inv": [0.45, 0.46, 0.44]}
NEAR = {"S4D-Real": [0.39, 0.40, 0.38, 0.41, 0.38, 0.39], "S4D-Lin": [0.40, 0.39, 0.40, 0.39, 0.40, 0.38],
        "S4D-Inv": [0.45, 0.46, 0.44]}


def cells(values, **changes):
    return {(method, "sCIFAR"): each for method, each in (values | changes).items()}


def one(folder, values, grid=None, family=FAMILY, **keys):
    made, = verdicts(folder, cells(values), claim(family="f", **keys), grid=grid or make_grid(seeds=6), f=family)
    return made


def test_a_look_has_the_first_seeds_and_its_own_level(tmp_path):
    made = one(tmp_path, FAR)
    assert (made.words, made.seeds, made.level) == ("supported at 3 seeds", 3, pytest.approx(0.05 * 3 / 6))
    # Student's t by hand: three rows of three seeds, each with the variance of a point squared.
    assert (made.parts[0].n, made.parts[0].df, made.parts[0].difference) == ((3, 3), 6, pytest.approx(-10))
    assert "t with the variance of the column over 3 rows, unpaired, df 6, 3 seeds" in made.evidence
    assert "(level 0.025 at 3 seeds for 1 claim)" in made.evidence


def test_later_seeds_of_other_rows_change_nothing(tmp_path):
    before = one(tmp_path / "a", NEAR)
    after = one(tmp_path / "b", NEAR | {"S4D-Inv": [0.45, 0.46, 0.44, 0.1, 0.9, 0.5]})
    assert before == after


def test_a_rejection_stays_whatever_is_run_later(tmp_path):
    later = FAR | {"S4D-Real": [*FAR["S4D-Real"][:3], 0.9, 0.9, 0.9]}
    assert one(tmp_path, later).words == "supported at 3 seeds"


def test_the_last_look_ends_it(tmp_path):
    made = one(tmp_path, NEAR, family={"looks": {"start": 3, "most": 4}})
    assert (made.verdict, made.seeds, made.final) == ("not by seeds", 4, True)
    assert made.evidence.count("not decided at the last look, at 4 seeds") == 1
    early = one(tmp_path / "b", {name: each[:3] for name, each in NEAR.items()})
    assert (early.words, early.final) == ("undecided at 3 seeds", False)


@pytest.mark.parametrize(("values", "words", "reason", "final"), [
    (FAR["S4D-Real"][:2], "untested", "the first look is at 3 seeds", False),
    ([0.30, None, 0.31, 0.30], "untested", "the first look is at 3 seeds", False),  # a seed missing in the middle
    ([0.30, float("nan"), 0.31], "untested", "held before the first look, at 3 seeds: seed 1 of S4D-Real diverged",
     True)])
def test_before_the_first_look(tmp_path, values, words, reason, final):
    made = one(tmp_path, FAR | {"S4D-Real": values})
    assert (made.verdict, made.final) == (words, final)
    assert made.reason.startswith(reason)


def test_a_seed_that_diverges_holds_the_claim(tmp_path):
    made = one(tmp_path, NEAR | {"S4D-Real": [0.39, 0.40, 0.38, float("nan"), 0.39, 0.38]})
    assert (made.verdict, made.seeds, made.final) == ("undecided", 3, True)
    assert made.reason == "held at 3 seeds: seed 3 of S4D-Real diverged"


def test_a_look_waits_for_the_first_seeds_of_every_row_of_its_column(tmp_path):
    made = one(tmp_path, FAR | {"S4D-Inv": [0.45, 0.46, None]})
    assert (made.verdict, made.reason) == ("untested", "waits for the first 3 seeds of S4D-Inv")
    ended = one(tmp_path / "b", FAR | {"S4D-Inv": [0.45, 0.46, float("nan")]})
    assert (ended.verdict, ended.parts[0].df) == ("supported", 4)
    assert "without S4D-Inv in the variance of sCIFAR" in ended.evidence


def test_no_look_waits_for_what_the_grid_excludes(tmp_path):
    grid = make_grid(seeds=6, excluded=(Excluded({"task": "sCIFAR", "method": "S4D-Inv"}, "not asked of it"),))
    made = one(tmp_path, {name: values for name, values in FAR.items() if name != "S4D-Inv"}, grid)
    assert (made.words, made.parts[0].df) == ("supported at 3 seeds", 4)


def test_seeds_count_in_the_order_of_the_grids_list(tmp_path):
    grid, shelf = make_grid(seeds=6), Shelf(tmp_path)
    order = (5, 0, 3, 1, 2, 4)
    for run in grid.runs:
        if run.labels["task"] == "sCIFAR":
            late = 0.1 * (run.config.seed in (1, 2))
            shelf.put(run, "done", [FAR[run.labels["method"]][run.config.seed % 3] + late] * 4)
    tables, numbers = tables_of(replace(grid, seeds=order), shelf)
    numbers = replace(numbers, grid=replace(grid, seeds=order))
    made, = judge(load_claims(write(tmp_path, claim(family="f"), f=FAMILY), grid, tables), numbers)
    assert (made.seeds, made.parts[0].difference) == (3, pytest.approx(-10))  # seeds 5, 0 and 3


def test_no_difference_is_a_final_word_of_better_and_worse_alone(tmp_path):
    same = {name: [v + 0.0005 * i for i, v in enumerate([0.40] * 6)] for name in FAR}
    assert one(tmp_path, same).words == "no difference at 3 seeds"
    assert one(tmp_path / "b", same, kind="noninferior", margin=1).words == "supported at 3 seeds"


def test_holm_over_looks_raises_the_level_of_those_that_are_left(tmp_path):
    pair = [claim(family="f"), claim(id="two", family="f", left="S4D-Inv", kind="better")]
    made = verdicts(tmp_path, cells(FAR), *pair, grid=make_grid(seeds=6), f=FAMILY)
    assert [v.level for v in made] == [pytest.approx(0.05 / 2 * 0.5)] * 2
    alike = FAR | {"S4D-Inv": [0.41, 0.40, 0.42]}
    made = verdicts(tmp_path / "b", cells(alike), *pair, grid=make_grid(seeds=6), f=FAMILY)
    assert [v.level for v in made] == [pytest.approx(0.05 / 2 * 0.5), pytest.approx(0.05 * 0.5)]


def test_an_effect_size_needs_five_seeds(tmp_path):
    made = one(tmp_path, NEAR | {"S4D-Real": [0.36, 0.41, 0.35, 0.42, 0.355, 0.35]})
    assert made.seeds is not None
    assert (made.parts[0].g is not None) == (made.seeds >= 5)


@pytest.mark.parametrize(("family", "keys", "message"), [
    ({"looks": {"start": 5, "most": 4}}, {}, "families.f.looks: most is 4 but start is 5, so there would be no look"),
    ({"looks": {"start": 1}}, {}, "families.f.looks.start"),
    (FAMILY, {"kind": "correlation", "left": None, "right": None},
     "claims.0.kind: a claim of the kind correlation is tested only once, but its family has looks"),
    (FAMILY, {"of_pairs": "any", "over": "pairs"}, "claims.0.of_pairs: `over: pairs` makes one comparison"),
])
def test_bad_looks_name_line_and_key(tmp_path, family, keys, message):
    with pytest.raises(UserError) as caught:
        one(tmp_path, FAR, family=family, **keys)
    assert message in str(caught.value)
    assert "claims.yaml:" in str(caught.value)


def test_conditional_power_gives_up_from_the_third_look_on(tmp_path):
    generator = np.random.default_rng(3)
    values = {name: list(0.4 + 0.02 * generator.normal(size=5)) for name in FAR}
    values["S4D-Lin"] = [v + np.mean(values["S4D-Real"]) - np.mean(values["S4D-Lin"]) for v in values["S4D-Lin"]]
    made = one(tmp_path, values, grid=make_grid(seeds=10), family={"looks": {"start": 3, "most": 10}})
    assert (made.verdict, made.seeds) == ("not by seeds", 5)
    assert "even 10 seeds would decide it with a probability below 5 %" in made.evidence
    assert Looks(3, 10).level(0.05, 5) == made.level
