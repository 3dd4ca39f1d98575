"""Claims: what a file of them may say, and the verdicts on runs whose statistics are known."""

from pathlib import Path

import pytest
import yaml
from report_store import SOURCES, Shelf, make_grid

from suite.errors import UserError
from suite.report.claims import Verdict, judge, load_claims
from suite.report.results import read_results
from suite.yamlfile import load_yaml

CLAIM = {"id": "one", "text": "Real is worse than Lin.", "source": "paper section 5.2", "grid": "demo", "kind": "worse",
         "left": {"method": "S4D-Real"}, "right": {"method": "S4D-Lin"}, "where": {"task": "sCIFAR"}}


def write(tmp_path: Path, *claims: dict) -> Path:
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump({"claims": list(claims)}, sort_keys=False))
    return path


def verdict(tmp_path, left, right, seeds=3, grid=None, **claim) -> Verdict:
    """The verdict where S4D-Real has these accuracies and S4D-Lin those (None: not run)."""
    grid = grid or make_grid(seeds=seeds)
    shelf = Shelf(tmp_path)
    for method, values in (("S4D-Real", left), ("S4D-Lin", right)):
        runs = [run for run in grid.runs if run.labels == {"task": "sCIFAR", "method": method}]
        for run, value in zip(runs, values, strict=True):
            if value is not None:
                shelf.put(run, "done", [value] * 4)
    (stated, where), = load_claims(write(tmp_path, CLAIM | claim), grid)
    return judge(stated, where, grid, read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs])))


LOW, HIGH = [0.30, 0.31, 0.32], [0.40, 0.41, 0.42]


@pytest.mark.parametrize(("left", "right", "claim", "expected"), [
    (LOW, HIGH, {}, "supported"),
    (HIGH, LOW, {}, "contradicted"),
    (LOW, HIGH, {"kind": "better"}, "contradicted"),
    (HIGH, LOW, {"kind": "better"}, "supported"),
    (LOW, HIGH, {"metric": "val/loss"}, "supported"),  # the loss of Real is the larger one: worse
    (LOW, HIGH, {"metric": "val/loss", "kind": "better"}, "contradicted"),
    ([0.30, 0.36, 0.42], HIGH, {}, "undecided"),
    (LOW, HIGH, {"alpha": 1e-6}, "undecided"),
])
def test_verdicts(tmp_path, left, right, claim, expected):
    assert verdict(tmp_path, left, right, **claim).verdict == expected


def test_the_evidence_by_hand(tmp_path):
    # Both variances are 1 point squared: the difference has the standard error sqrt(2/3) and 4 degrees of freedom,
    # whose 97.5 % quantile is 2.7764; g is 10 * (1 - 3/15).
    made = verdict(tmp_path, LOW, HIGH)
    assert made.result.difference == pytest.approx(-10)
    assert made.result.low == pytest.approx(-10 - 2.7764 * (2 / 3) ** 0.5, abs=1e-3)
    assert made.result.df == pytest.approx(4)
    assert made.evidence == "difference −10.00 points, 95 % interval −12.27 to −7.73, Hedges g −8.0, n = 3 and 3"


def test_undecided_tells_how_many_more_seeds_would_decide(tmp_path):
    # By the normal law (1.96 + 0.84)^2 (6^2 + 1^2) / 5^2 = 11.6 seeds; Student's asks for two more, and 3 are there.
    made = verdict(tmp_path, [0.30, 0.36, 0.42], HIGH)
    assert made.more == 11
    assert made.evidence.endswith("about 11 more seeds a side would decide it at this effect")
    same = verdict(tmp_path, [0.40, 0.41, 0.42], HIGH)
    assert (same.verdict, same.more) == ("undecided", None)
    assert same.evidence.endswith("more than 10000 seeds a side would be needed at this effect")


@pytest.mark.parametrize(("left", "right", "reason"), [
    ([0.3, None, None], HIGH, "1 and 3 seeds have a number, and a comparison needs two on either side (2 not run)"),
    ([None] * 3, [None] * 3, "0 and 0 seeds have a number, and a comparison needs two on either side (6 not run)"),
    ([0.3] * 3, [0.4] * 3, "the standard deviation is 0 on both sides"),
    ([float("nan")] * 3, HIGH, "0 and 3 seeds have a number, and a comparison needs two on either side (3 diverged)"),
])
def test_untested_with_a_reason(tmp_path, left, right, reason):
    made = verdict(tmp_path, left, right)
    assert (made.verdict, made.evidence, made.result) == ("untested", reason, None)


def test_one_seed_only_is_untested(tmp_path):
    made = verdict(tmp_path, [0.3], [0.4], seeds=1)
    assert made.verdict == "untested"
    assert made.evidence.startswith("1 and 1 seeds have a number")


def test_a_side_without_spread_is_still_tested(tmp_path):
    made = verdict(tmp_path, [0.3] * 3, HIGH)
    assert made.verdict == "supported"
    assert made.result.df == pytest.approx(2)


def test_missing_seeds_are_told(tmp_path):
    made = verdict(tmp_path, [0.30, 0.31, None], HIGH)
    assert (made.verdict, made.n) == ("supported", (2, 3))
    assert made.evidence.endswith("n = 2 and 3, missing: 1 not run")


def test_rows_that_were_not_asked_for(tmp_path):
    grid = make_grid()
    part = type(grid)(**{**grid.__dict__, "runs": tuple(r for r in grid.runs if r.labels["method"] != "S4D-Real")})
    made = verdict(tmp_path, [], HIGH, grid=part)
    assert (made.verdict, made.evidence) == ("untested", "the grid, as it was asked for, has no such runs")


@pytest.mark.parametrize(("change", "line", "what"), [
    ({"left": {"method": "S4D-Reel"}}, "claims.0.left.method", "did you mean 'S4D-Real'?"),
    ({"right": {"metod": "S4D-Lin"}}, "claims.0.right.metod", "did you mean 'method'?"),
    ({"where": {"task": "CIFAR"}}, "claims.0.where.task", "has no label 'CIFAR'"),
    ({"right": {"method": "S4D-Real"}}, "claims.0.right", "left and right are the same rows"),
    ({"kind": "equal"}, "claims.0.kind", "'better' or 'worse'"),
    ({"alpha": 1.0}, "claims.0.alpha", "less than 1"),
    ({"tekst": "x"}, "claims.0.tekst", "did you mean 'text'?"),
    ({"id": "a b"}, "claims.0.id", "match pattern"),
])
def test_bad_claims_name_line_and_key(tmp_path, change, line, what):
    path = write(tmp_path, CLAIM | change)
    with pytest.raises(UserError) as caught:
        load_claims(path, make_grid())
    problem, = caught.value.problems
    assert problem.where.endswith(f": {line}")
    assert int(problem.where.split(":")[1]) > 1
    assert what in str(problem)


def test_an_id_stands_once(tmp_path):
    with pytest.raises(UserError, match="the id 'one' stands twice"):
        load_claims(write(tmp_path, CLAIM, CLAIM | {"grid": "other"}), make_grid())


def test_claims_of_other_grids_are_left_alone(tmp_path):
    assert load_claims(write(tmp_path, CLAIM | {"grid": "other", "left": {"x": "y"}}), make_grid()) == []


def test_a_claim_must_say_which_rows(tmp_path):
    with pytest.raises(UserError, match="more than one configuration for seed 0"):
        verdict(tmp_path, LOW, HIGH, where={})


def test_a_claim_about_an_unknown_metric(tmp_path):
    with pytest.raises(UserError, match=r"claims.yaml:2: claims.0: no run has the metric 'test/loss'"):
        verdict(tmp_path, LOW, HIGH, metric="test/loss")


def test_the_claims_of_the_quickstart():
    claims = load_yaml(SOURCES / "claims.yaml").plain()["claims"]
    ours = [claim for claim in claims if claim["grid"] == "quickstart"]
    assert {(c["left"]["method"], c["right"]["method"], c["where"]["task"], c["kind"]) for c in ours} == {
        ("S4D-Real", "S4D-Lin", "sCIFAR", "worse"), ("S4D-Real", "S4D-Lin", "SC", "worse"),
        ("S4D-Lin ×100", "S4D-Lin", "sCIFAR", "worse"), ("S4D-Lin ×100", "S4D-Lin", "SC", "worse")}
    grid = make_grid(["S4D-Lin", "S4D-Real", "S4D-Lin ×100"], name="quickstart")
    assert len(load_claims(SOURCES / "claims.yaml", grid)) == 4
