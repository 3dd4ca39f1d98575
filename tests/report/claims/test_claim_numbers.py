"""Claims on numbers that are given: chance, parameters, constants, levels, ranks, X."""

from dataclasses import replace

import pytest
from claim_store import HIGH, Given, claim, shelf_of, tables_of, verdicts, write
from report_store import Shelf, make_grid, sources

from suite.errors import UserError
from suite.report.claims.claim import Claim, Stated
from suite.report.claims.judge import judge
from suite.report.claims.kinds.kind import by_columns as whole
from suite.report.claims.language import load_claims
from suite.report.claims.numbers import Datum
from suite.report.document import document_of
from suite.report.metric import metric
from suite.report.statistics import binomial
from suite.report.statistics.contrast import Summary, summarise
from suite.report.statistics.multiple import Pair, together
from suite.store.records import Head

ACCURACY = metric("test/accuracy", "")


def seeds(*values, **more):
    return Datum(ACCURACY, summarise(values) if values else None, dict(enumerate(values)), planned=3, **more)


def of(numbers, **keys):
    stated = Claim.model_validate(claim(**keys))
    made, = judge([Stated(stated, "claims.yaml:2: claims.0", 1)], numbers)
    return made


SOLVES = {"kind": "solves", "right": None, "columns": "x", "chance": 50, "margin": 2}


@pytest.mark.parametrize(("values", "expected"), [
    ((91.0, 92.0, 93.0), "supported"),
    ((50.1, 49.9, 50.3), "contradicted"),
    ((91.0, 92.0, 50.0), "supported"),  # most seeds
    ((91.0, 50.1, 50.0), "contradicted"),
    ((52.0, 51.9, 52.2), "undecided"),
    ((91.0, 92.0), "supported"),  # two of three planned
    ((91.0,), "untested"),
    ((), "untested"),
])
def test_solves_is_above_chance_in_most_seeds(values, expected):
    numbers = Given({("A", "x"): seeds(*values, examples=20_000, why="" if len(values) == 3 else "1 not run")})
    assert of(numbers, **SOLVES, left="A").verdict == expected


@pytest.mark.parametrize("scale", ["percent", "raw"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("margin", "expected"), [(38, "supported"), (42, "contradicted")])
def test_solves_in_the_unit_that_the_table_shows(scale, named, margin, expected):
    shown = metric("test/accuracy", "", scale=scale)
    unit, percents = shown.factor / 100, (89.9, 90.0, 90.1)
    datum = replace(seeds(*(unit * value for value in percents), examples=20_000), metric=shown)
    asked = {"accuracy": margin * unit, "rmse": 0.02} if named else margin * unit
    made = of(Given({("A", "x"): datum}), **SOLVES | {"margin": asked}, left="A")
    pair = together([binomial.above_chance(value, 50 + margin, 20_000) for value in percents], "most")
    part, = made.parts
    assert (made.verdict, part.difference) == (expected, pytest.approx((40 - margin) * unit))
    assert (part.pair.holds, part.pair.fails) == pytest.approx((pair.holds, pair.fails))
    assert part.name == (f"distance from {50 + margin} %" if scale == "percent" else
                         f"distance from 0.{50 + margin} fraction")


@pytest.mark.parametrize(("column", "changes", "message"), [
    ("loss", {}, "claims.0: claim one: the column 'loss' shows validation loss, which has no chance level\n"
                 "    name columns of accuracy"),
    ("sCIFAR", {"margin": {"rmse": 0.02}}, "claims.0: claim one: the margin has no value for accuracy")])
def test_chance_is_known_of_accuracy_alone_and_so_is_its_margin(tmp_path, column, changes, message):
    with pytest.raises(UserError) as caught:
        verdicts(tmp_path, {("S4D-Real", "sCIFAR"): HIGH}, claim(kind="solves", right=None, columns=column, chance=30,
                                                                 examples=100, **changes))
    assert f"claims.yaml:2: {message}" in str(caught.value)


class Counted(Shelf):
    """A store whose runs have 1,000 parameters, those of S4D-Real 3,000."""

    def result(self, run_id):
        return Head(id=run_id, epochs=1, parameters=3_000 if run_id in self.large else 1_000)


def test_parameters_are_compared_as_the_table_shows_them(tmp_path):
    grid, shelf = make_grid(), Counted(tmp_path)
    shelf.large = {run.run_id for run in grid.runs if run.labels["method"] == "S4D-Real"}
    for run in grid.runs:
        shelf.put(run, "done", HIGH)
    folder = sources(tmp_path, "name: demo\nrows: method\n"
                               "columns: [{label: size, where: {task: SC}, metric: parameters, epoch: last}]\n")
    write(folder, claim(columns="size"), claim(columns="size", id="two", epoch="mean"))
    document = document_of(grid, shelf, folder)
    assert [row[0].text for row in document.tables[0].cells] == ["1 (n=3)", "1 (n=3)", "3 (n=3)"]
    assert len(document.verdicts) == 2
    for made in document.verdicts:
        assert (made.verdict, made.evidence) == (
            "supported", "difference +2 K, a count, the same for every seed, 3 seeds")


@pytest.mark.parametrize(("kind", "share", "expected"), [
    ("keeps", 0.3, "supported"), ("keeps", 0.4, "contradicted"), ("collapses", 0.4, "supported")])
def test_a_cost_has_shares_and_an_error_has_none(tmp_path, kind, share, expected):
    grid, shelf = make_grid(), Counted(tmp_path)
    shelf.large = {run.run_id for run in grid.runs if run.labels["method"] == "S4D-Real"}
    for run in grid.runs:
        shelf.put(run, "done", HIGH)
    columns = [f"{{label: {name}, where: {{task: SC}}, metric: {metric}, epoch: last}}"
               for name, metric in (("size", "parameters"), ("time", "time/train"), ("error", "val/loss"))]
    folder = sources(tmp_path, f"name: demo\nrows: method\ncolumns: [{', '.join(columns)}]\n")
    third = {"kind": kind, "share": share, "left": "S4D-Lin", "right": "S4D-Real"}
    write(folder, claim(**third, columns="size"), claim(**third, id="two", columns="time", epoch="mean"))
    size, time = document_of(grid, shelf, folder).verdicts
    assert (size.verdict, size.parts[0].difference) == (expected, pytest.approx(1 - 3 * share))
    assert time.reason == "the standard deviation is 0 on both sides"  # an epoch takes half a second in each run here
    write(folder, claim(**third, columns="error"))
    with pytest.raises(UserError, match="a share of validation loss has no meaning, because lower is better"):
        document_of(grid, shelf, folder)


def test_an_average_has_no_seeds_and_a_claim_on_it_says_what_to_write(tmp_path):
    grid = make_grid()
    cells = {(name, task): HIGH for name in ("S4D-Lin", "S4D-Real") for task in ("sCIFAR", "SC")}
    shelf = shelf_of(grid, tmp_path, cells)
    folder = sources(tmp_path, "name: demo\nrows: method\ncolumns: [{label: sCIFAR, where: {task: sCIFAR}}, "
                               "{label: SC, where: {task: SC}}, {label: mean, average: [sCIFAR, SC]}]\n")
    write(folder, claim(columns="mean"))
    made, = document_of(grid, shelf, folder).verdicts
    assert made.verdict == "untested"
    assert "mean is an average without seeds: name its columns, with `over: mean`" in made.evidence


def test_solves_and_others_do_not():
    numbers = Given({("A", "x"): seeds(91.0, 92.0, 93.0, examples=20_000),
                     ("B", "x"): seeds(50.0, 50.1, 49.9, examples=20_000)})
    made = of(numbers, **SOLVES, left="A", others="B")
    assert made.verdict == "supported"
    assert [part.words for part in made.parts] == ["A above chance on x", "B not above chance on x"]
    assert of(numbers, **SOLVES, left="B", others="A").verdict == "contradicted"
    unknown = Given({("A", "x"): seeds(91.0, 92.0, 93.0)})
    assert of(unknown, **SOLVES, left="A").evidence.endswith("the number of evaluated examples is unknown")


def test_a_constant_has_no_error():
    numbers = Given({("A", "x"): seeds(91.0, 92.0, 93.0),
                     ("B", "x"): Datum(ACCURACY, Summary(1, 85.0, None), constant=True)})
    made = of(numbers, kind="better", left="A", right="B", columns="x")
    assert (made.verdict, made.parts[0].df, made.parts[0].difference) == ("supported", 2, 7)
    assert "t, unpaired, df 2, 3 seeds, p" in made.evidence  # the one-sample t-test
    both = of(numbers, kind="better", left=["B"], right={"of": "B", "less": "B"}, columns="x")
    assert both.evidence.endswith("both sides have only printed numbers")


def test_a_level_is_a_number_of_the_papers_text():
    numbers = Given({("A", "x"): seeds(91.0, 92.0, 93.0), ("A", "y"): seeds(81.0, 82.0, 83.0)})
    made = of(numbers, kind="better", left="A", right=None, level=85, columns=["x", "y"], over="mean")
    assert (made.verdict, made.parts[0].difference) == ("supported", pytest.approx(2))
    assert of(numbers, kind="worse", left="A", right=None, level=85, columns="x").verdict == "contradicted"


RANKS = {"kind": "correlation", "left": None, "right": None, "columns": "x"}


def test_ranks_as_published():
    ours = {(f"r{i}", "x"): seeds(80.0 + i, 80.2 + i, 80.4 + i) for i in range(6)}
    same = Given(ours, {(f"r{i}", "x"): 70.0 + i for i in range(6)})
    made = of(same, **RANKS)
    assert (made.verdict, made.parts[0].difference) == ("supported", 1)
    assert made.evidence == ("Kendall τ +1.00, 95 % CI +1.00 to +1.00 (unadjusted), permutation of rows, p = 0.0028; "
                             "6 rows")
    assert of(Given(ours, {(f"r{i}", "x"): -float(i) for i in range(6)}), **RANKS).verdict == "contradicted"
    assert of(same, **RANKS, statistic="spearman").evidence.startswith("Spearman ρ +1.00")
    constants = {place: replace(datum, constant=True) for place, datum in ours.items()}
    assert of(Given(constants, same.printed), **RANKS).verdict == "untested"
    few = of(Given(ours, {("r1", "x"): 1.0, ("r2", "x"): 2.0}), **RANKS)
    assert few.evidence.endswith("2 of 2 rows have both numbers: a rank correlation needs three rows with different "
                                 "values on both sides")


def test_parts_together_with_nested_counts():
    stated = Claim.model_validate(claim(left=["a", "b"], right="c", columns=["x", "y"], of_pairs="any"))
    parts = [Pair(0.01, 1), Pair(0.9, 0.2), Pair(0.5, 0.3), Pair(0.02, 1)]
    assert whole(stated, parts) == together([together(parts[:2], "any"), together(parts[2:], "any")])


def test_chance_needs_more_than_a_lucky_seed():
    assert together([binomial.above_chance(v, 50, 200) for v in (56.0, 50.0, 49.0)], "most").holds == 1


def test_a_column_that_is_not_asked_for_leaves_a_claim_untested(tmp_path):
    grid, folder = make_grid(), sources(tmp_path)
    asked, lost = (tuple(run for run in grid.runs if (run.labels["method"] == "S4D-Lin") is wanted)
                   for wanted in (True, False))
    part = replace(grid, runs=asked, left_out=lost, changes=("--only method=S4D-Lin",))
    mean = {"left": "sCIFAR", "right": "SC", "columns": ["S4D-Lin", "S4D-Inv"], "over": "mean"}
    write(folder, claim(**mean), claim(**mean | {"columns": "S4D-Inv", "margin": {"accuracy": 1}}, id="two"))
    told = document_of(part, Shelf(tmp_path), folder).verdicts
    assert [made.verdict for made in told] == ["untested"] * 2
    assert all("the selected part of the grid has no such runs" in made.parts[0].why for made in told)


def test_printed_rows_among_runs_are_constants_in_the_papers_profile_alone(tmp_path):
    grid = make_grid(profile="paper")
    tables, numbers = tables_of(grid, shelf_of(grid, tmp_path, {("S4D-Real", "sCIFAR"): HIGH}))
    cells = tuple((replace(row[0], state="published", number="35.0", mean=35.0, run_ids=()), *row[1:])
                  if name == "S4D-Lin" else row for name, row in zip(tables[0].rows, tables[0].cells, strict=True))
    level = claim(id="two", kind="better", right=None, level=35)
    chance = level | {"id": "three", "source": "this suite"}
    later = level | {"id": "four", "source": "2312.00752 section 4.1"}
    asked = load_claims(write(tmp_path, claim(kind="better"), level, chance, later), grid, tables)
    for profile, expected in (("paper", "supported"), ("mini", "untested")):
        changed = replace(numbers, tables=[replace(tables[0], cells=cells)], grid=replace(grid, profile=profile))
        made, against, above, of_later = judge(asked, changed)
        assert (made.verdict, against.verdict, of_later.verdict) == (expected,) * 3 and above.verdict == "supported"
    assert made.evidence.endswith("(printed, not comparable with the profile mini)")
    assert against.evidence.endswith("(the level is from a paper, not comparable with the profile mini)")
