"""Verdicts: our number against the published one, what is not comparable and why, X, averages, one seed, std 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_store import make_grid

from suite.config.run_config import RunConfig, fields, flatten
from suite.data.tasks import TASKS
from suite.grid.model import Grid
from suite.report.against import comparison
from suite.report.against.readings import ABLATIONS, LARGE, LONG_RANGE, OPEN, is_open
from suite.report.against.spreads import Spreads, offsets
from suite.report.against.verdict import incomparable, judge
from suite.report.metric import metric
from suite.report.published.papers import load_published
from suite.report.statistics import contrast
from suite.report.tables.cells import average, mark_chance
from suite.report.tables.results import Missing, Sample
from suite.report.tables.table import Cell, Head, Judged, Line, Table

PUBLISHED = load_published()
CLOSE = {"name": "cifar10", "variant": "jpeg", "pool": 1, "train_count": 0}


def grid(data: dict[str, Any] | None = None, profile: str = "paper", changes: tuple[str, ...] = ()) -> Grid:
    made = make_grid(profile=profile, data=data or {"name": "cifar10", "variant": "original"})
    return replace(made, changes=changes)


def head(made: Grid, name: str = "val/accuracy") -> Head:
    return Head("sCIFAR", metric(name, ""), "best", ("max val/accuracy",), made.runs)


def cell(values: list[float], made: Grid, **more: Any) -> Cell:
    summary = contrast.summarise(values)
    interval = contrast.mean_interval(values) if len(values) > 1 else None
    ids = tuple(run.run_id for run in made.runs[:len(values)])
    return Cell(**{"row": "r", "column": "sCIFAR", "state": "complete", "number": "1", "rest": "", "mean": summary.mean,
                   "std": summary.std, "interval": interval, "n": summary.n, "values": dict(enumerate(values)),
                   "run_ids": ids} | more)


def verdicts(values: list[float], place: tuple[str, str, str] = ("3b", "trainable, S4D-LegS", "sCIFAR best"),
             made: Grid | None = None, name: str = "val/accuracy", **more: Any) -> tuple[Judged, ...]:
    made = made or grid()
    return judge(cell(values, made, **more), head(made, name), PUBLISHED.number(*place), PUBLISHED, made)


@pytest.mark.parametrize(("values", "verdict"), [  # 85.64 is printed, without a deviation: the margin is a point
    ([85.6, 85.7, 85.8], "match"), ([85.0, 85.2, 85.4], "match"),
    ([80.0, 80.2, 80.4], "off"), ([88.0, 88.1, 88.2], "off"),
    ([85.0, 85.6, 86.2], "compatible"),  # wide, and around the published number
    ([84.5, 84.6, 84.7], "undecided"),   # across the margin, and beside the published number
    ([86.64, 86.64, 86.64], "match"), ([86.65, 86.65, 86.65], "off"),  # a deviation of 0: the mean alone decides
    ([86.0], "one seed")])
def test_match_off_and_undecided(values, verdict):
    one, = verdicts(values)
    assert (one.verdict, one.text, one.value) == (verdict, "85.64", 85.64)
    assert one.difference == pytest.approx(sum(values) / len(values) - 85.64)
    assert (one.interval is None) == (len(values) == 1)


def test_the_interval_has_the_error_of_both_means():
    # Deviation 0.1 over 3 seeds, and the same for the paper's 2: 0.1 * sqrt(1/3 + 1/2), by t with 2 degrees of freedom.
    one, = verdicts([85.5, 85.6, 85.7])
    half = 4.302653 * 0.1 * (1 / 3 + 1 / 2) ** 0.5
    assert one.interval == pytest.approx((-0.04 - half, -0.04 + half), abs=1e-6)


def test_the_variance_is_pooled_over_the_column_and_the_column_has_a_line():
    made = grid()
    places = {"r": [84.0, 84.2, 84.4], "s": [83.0, 83.1, 83.2], "t": [88.0, 88.3, 88.6]}
    number = PUBLISHED.number("3b", "trainable, S4D-LegS", "sCIFAR best")
    cells = {row: cell(values, made, row=row) for row, values in places.items()}
    table = Table("3b", "", "method", tuple(cells), (head(made),), tuple((one,) for one in cells.values()),
                  tuple(map(Line, cells)), published="3b")
    spreads = Spreads(table, made)
    judged = tuple((replace(one, judged=judge(one, head(made), number, PUBLISHED, made, (), spreads)),)
                   for one in cells.values())
    s = ((0.04 + 0.01 + 0.09) / 3) ** 0.5
    half = 2.446912 * s * (1 / 3 + 1 / 2) ** 0.5  # t with 6 degrees of freedom
    low, high = judged[0][0].judged[0].interval
    assert (high - low) / 2 == pytest.approx(half, abs=1e-6)
    column, = offsets(replace(table, cells=judged), spreads, 2)
    by_seed = [sum(values[i] for values in places.values()) / 3 - 85.64 for i in range(3)]
    error = (contrast.summarise(by_seed).std ** 2 / 3 + s**2 / 6) ** 0.5
    assert column.mean == pytest.approx(sum(by_seed) / 3)
    assert column.interval[1] - column.mean == pytest.approx(4.302653 * error, abs=1e-5)
    assert (column.cells, column.seeds, column.established) == (3, 3, False)
    told = comparison.lines(replace(table, cells=judged, offsets=(column,)))["sCIFAR"]
    assert [line.row for line in told] == ["r", "s", "t", "mean of 3 cells, by seed"]
    assert (told[0].published, told[-1].verdict) == ("85.64", "offset not established")
    assert told[0].difference.startswith("−1.44 [−1.9")


def test_two_published_deviations_widen_the_margin():
    place = ("4", "S4D-LegS", "sCIFAR")  # 89.92 ± 1.69
    made = grid()
    wide = judge(cell([87.0, 87.1, 87.2], made), head(made, "test/accuracy"), PUBLISHED.number(*place), PUBLISHED, made)
    assert (wide[0].verdict, wide[0].text, wide[0].std) == ("match", "89.92 ± 1.69", 1.69)
    narrow = ("4", "S4D-Inv", "sCIFAR")  # 90.69 ± 0.06
    assert judge(cell([87.0, 87.1, 87.2], made), head(made, "test/accuracy"), PUBLISHED.number(*narrow), PUBLISHED,
                 made)[0].verdict == "off"


@pytest.mark.parametrize(("values", "verdict"), [([0.110, 0.111, 0.112], "match"), ([0.15, 0.151, 0.152], "off")])
def test_rmse_has_its_own_margin_and_its_own_unit(values, verdict):
    made = grid({"name": "bidmc", "variant": "original"})
    made = replace(made, runs=())  # no data of this kind is needed to judge
    told = judge(cell(values, made), head(made, "val/rmse"), PUBLISHED.number("3b", "frozen, S4-LegT", "BIDMC best"),
                 PUBLISHED, made)
    assert (told[0].verdict, told[0].text) == (verdict, "0.1106")


def test_a_number_that_the_paper_prints_several_times_is_judged_against_each():
    made = grid()
    number = PUBLISHED.number("3a", "S4D-Inv", "sCIFAR")
    told = judge(cell([84.9, 85.0, 85.1], made), head(made), number, PUBLISHED, made)
    assert [(one.table, one.text, one.verdict) for one in told] == [
        ("3a", "84.79", "match"), ("2-left", "85.37 ± 0.43", "match"), ("2-right", "85.20 ± 0.18", "match"),
        ("3b", "84.59", "match")]
    table = Table("3a", "", "method", ("r",), (head(made),), ((cell([84.9, 85.0, 85.1], made, judged=told),),),
                  (Line("r"),), published="3a")
    assert any("prints this 4 times" in remark and "0.78 apart" in remark for remark in comparison.remarks(table))


@pytest.mark.parametrize(("made", "why"), [
    (grid(profile="mini"), "profile mini"),
    (grid(changes=("--set train.epochs=3",)), "changed on the command line: --set train.epochs=3"),
    (grid({"name": "cifar10", "variant": "sample"}), "data variant sample: 7,000 images, in the repository"),
    (grid(CLOSE | {"pool": 2}), "data with pool 2"),
    (grid(CLOSE | {"train_count": 100}), "data with train_count 100")])
def test_what_is_not_comparable_says_why(made, why):
    one, = verdicts([85.6, 85.7, 85.8], made=made)
    assert (one.verdict, one.reason, one.difference) == ("not comparable", why, None)


@pytest.mark.parametrize(("made", "remark"), [
    (grid(CLOSE), "data variant jpeg: all 60,000 images, as JPEG"),
    (grid(changes=("--set ssm.c_variance=2", "--only task=sCIFAR")),
     "another reading of the paper: --set ssm.c_variance=2"),
    (grid(CLOSE, changes=("--set data.variant=jpeg",)), "data variant jpeg: all 60,000 images, as JPEG")])
def test_what_is_compared_with_a_remark(made, remark):
    one, = verdicts([85.6, 85.7, 85.8], made=made)
    assert (one.verdict, one.remark) == ("match", remark)


def config(task: str, **fields: Any) -> RunConfig:
    return RunConfig.build({"task": task} | flatten(fields))


@pytest.mark.parametrize(("made", "field", "table", "still"), [
    (config("scifar", optim={"lr": 0.01}), "optim.lr", "3a", True),           # AMB-11: the configuration's
    (config("scifar", optim={"lr": 0.1}), "optim.lr", "3a", False),
    (config("scifar", optim={"lr": 0.01}), "optim.lr", "4", False),           # the question is of the ablation
    (config("sc_ar", optim={"lr": 0.01}), "optim.lr", "3a", False),
    (config("bidmc_spo2", ssm={"state_size": 64}), "ssm.state_size", "3b", True),   # AMB-9
    (config("bidmc_spo2", ssm={"state_size": 16}), "ssm.state_size", "3b", False),
    (config("scifar", ssm={"state_size": 256}), "ssm.state_size", "3b", False),
    (config("scifar", ssm={"discretization": "zoh"}), "ssm.discretization", "2-left", True),   # AMB-15
    (config("scifar", ssm={"discretization": "zoh"}), "ssm.discretization", "8", False),       # its own axis
    (config("sc_ar", model={"decoder": "pool"}), "model.decoder", "4", True),  # AMB-7
    (config("sc_ar", model={"decoder": "pool"}), "model.decoder", "3a", False),
    (config("text", optim={"lr": 0.01, "ssm_lr": 0.001, "dt_lr": 0.001}), "optim.dt_lr", "5", True),  # AMB-22
    (config("text", optim={"lr": 0.01, "ssm_lr": 0.001, "dt_lr": 0.002}), "optim.dt_lr", "5", False),
    (config("bidmc_spo2", data={"normalization": "window"}), "data.normalization", "8", False),
    (config("sc_ar", data={"normalization": "plain"}), "data.normalization", "3a", True),      # AMB-14
    (config("scifar"), "train.epochs", "3a", False)])
def test_a_reading_has_values_tasks_and_tables(made, field, table, still):
    assert is_open(field, made, table) is still


def test_a_change_that_is_no_reading_is_another_experiment():
    made = grid(changes=("--set optim.lr=0.1",))
    made = replace(made, runs=tuple(replace(run, config=run.config.model_copy(update={
        "optim": run.config.optim.model_copy(update={"lr": 0.1})})) for run in made.runs))
    one, = verdicts([85.6, 85.7, 85.8], made=made)
    assert (one.verdict, one.reason) == ("not comparable", "changed on the command line: --set optim.lr=0.1")


def test_readings_name_tables_and_tasks_that_there_are():
    papers_own = {name for name in (*PUBLISHED.file.tables, *PUBLISHED.file.configurations) if "/" not in name}
    assert ABLATIONS | LARGE | LONG_RANGE | {"1", "12"} == papers_own
    named = {task for readings in OPEN.values() for reading in readings for task in reading.tasks}
    assert named <= set(TASKS)


def test_readings_that_are_still_compared_are_the_papers_open_questions():
    text = (Path(__file__).parents[3] / "grids" / "AMBIGUITIES.md").read_text()
    assert {name for name in OPEN if not name.startswith("data.")} <= set(fields())
    assert all(name in text or f"`{name.partition('.')[0]}.*`" in text for name in OPEN)


def test_another_split_is_not_compared():
    assert verdicts([92.1, 92.2], ("6", "S4D", "Path-X"), name="test/accuracy")[0].reason == \
        "the paper's number is of the split val, this one of test"


def test_what_is_not_printed_or_not_run():
    one, = verdicts([1.0, 1.0], ("3a", "S4D-Random", "BIDMC"))
    assert (one.verdict, one.reason, one.text) == ("not printed", "lost in the source text", "–")
    number = PUBLISHED.number("3b", "frozen, S4-LegS", "sCIFAR first")
    one, = judge(Cell("r", "sCIFAR", "todo", "", "not run", "not run"), head(grid()), number, PUBLISHED, grid())
    assert (one.verdict, one.reason) == ("no number", "not run")


def test_differences_are_judged_against_printed_differences():
    place = ("3a", "S4D-Lin ×100", "sCIFAR")  # −7.91
    one, = verdicts([-8.0, -7.9, -7.8], place, base="S4D-Lin")
    assert (one.verdict, one.text, one.value) == ("match", "−7.91", -7.91)
    absolute, = verdicts([77.1, 77.2, 77.3], place)
    assert absolute.value == pytest.approx(85.12 - 7.91) and absolute.verdict == "match"


def test_the_reference_of_the_last_rows_is_assumed():
    for base, value in (("S4D-Inv", -6.32), ("S4D-Lin", -6.32)):  # AMB-19
        one, = verdicts([-6.4, -6.3], ("3a", "S4D-Random", "sCIFAR"), base=base)
        assert one.value == value and f"here from {base}" in one.remark


def test_a_difference_against_two_absolute_numbers():
    one, = verdicts([0.5, 0.6], ("3b", "trainable, S4D-LegS", "sCIFAR best"), base="trainable, S4D-Inv")
    assert one.value == pytest.approx(85.64 - 84.59)


def chance_cell(values: list[float], final: list[float] | None = None, name: str = "test/accuracy") -> Cell:
    made = grid({"name": "cifar10", "variant": "sample"})  # 1,000 test examples: chance is 46.9 to 53.1 %
    last = {seed: value / 100 for seed, value in enumerate(values if final is None else final)}
    return mark_chance(cell(values, made), head(made, name), 0.5, Sample(last, (), made.runs[:3]))


@pytest.mark.parametrize(("values", "x"), [
    ([50.0, 49.0, 51.0], True), ([50.0, 50.0, 90.0], True), ([50.0, 90.0, 90.0], False), ([50.0, 90.0], False),
    ([53.2, 53.2, 53.2], False), ([50.0, 50.0], True), ([53.0], False), ([46.0], False)])
def test_x_is_for_cells_most_of_whose_seeds_are_no_better_than_chance(values, x):
    """Most of three seeds: of one that has ended it is not known."""
    made = chance_cell(values)
    assert made.chance is x
    if x:
        assert made.text == f"X (n={len(values)})" and "46.90 to 53.10, the 95 % interval of chance" in made.reason


def test_x_is_what_seeds_end_with():
    """The best of many epochs lies above chance by luck."""
    assert chance_cell([54.0, 54.5, 55.0], [50.0, 49.0, 51.0]).chance
    assert not chance_cell([50.0, 49.0, 51.0], [90.0, 91.0, 92.0]).chance
    assert not chance_cell([50.0, 50.0, 50.0], []).chance  # none has ended


def test_an_x_tells_what_is_missing():
    made = grid({"name": "cifar10", "variant": "sample"})
    last = Sample({0: 0.5, 1: 0.5}, (Missing(2, "todo", "not run"),), made.runs[:3])
    waiting = cell([50.0, 50.0], made, state="incomplete", reason="1 not run")
    told = mark_chance(waiting, head(made, "test/accuracy"), 0.5, last)
    assert (told.text, told.state) == ("X (n=2, 1 not run)", "chance")


def test_chance_needs_the_count_of_the_examples():
    told = chance_cell([50.0, 50.0], name="extra/accuracy")
    assert told.number == "1" and "the card does not count the examples of the split extra" in told.reason
    made = grid()
    waiting = Cell("r", "sCIFAR", "todo", "", "not run")
    assert mark_chance(waiting, head(made), 0.5, Sample({}, (), made.runs)) is waiting


@pytest.mark.parametrize(("row", "chance", "verdict"), [
    ("S4D-Lin", True, "match"), ("S4D-Lin", False, "off"), ("S4D-Inv", True, "off"), ("S4D-Inv", False, "match")])
def test_x_against_x(row, chance, verdict):
    made, state = grid(), "chance" if chance else "complete"
    told = judge(cell([92.7, 92.8, 92.9], made, state=state), head(made, "test/accuracy"),
                 PUBLISHED.number("5", row, "Path-X"), PUBLISHED, made)
    assert told[0].verdict == verdict
    alone = judge(cell([92.8], made, state=state), head(made, "test/accuracy"), PUBLISHED.number("5", row, "Path-X"),
                  PUBLISHED, made)
    assert alone[0].verdict == "one seed"


def test_an_average_counts_x_as_50_and_needs_every_column():
    made = grid()
    x = cell([50.0, 50.2], made, state="chance", number="X")
    found = average("r", head(made), [cell([80.0, 82.0], made), x, cell([90.0, 90.0], made)])
    assert (found.mean, found.number, found.state) == (pytest.approx((81 + 50 + 90) / 3), "73.67", "average")
    assert found.interval == pytest.approx((73.667 - 12.7062 / 3, 73.667 + 12.7062 / 3), abs=1e-3)
    short = average("r", head(made), [cell([80.0], made), Cell("r", "b", "todo", "", "not run")])
    assert (short.mean, short.text, short.state) == (None, "1/2 columns", "mixed")
    assert average("r", head(made), [cell([80.0], made), x]).interval is None  # one seed: no interval
    incomplete = average("r", head(made), [cell([80.0], made, state="incomplete")])
    assert incomplete.mean is None


def test_the_published_averages_are_found_by_the_same_rule():
    made = grid()
    for row in PUBLISHED.file.tables["5"].rows:
        numbers = [PUBLISHED.number("5", row, c) for c in PUBLISHED.file.tables["5"].columns if c != "Avg"]
        cells = [Cell("r", n.column, "chance" if n.failed else "complete", "", "", mean=n.mean or 50.0, n=1)
                 for n in numbers]
        printed = PUBLISHED.number("5", row, "Avg").mean
        assert average(row, head(made), cells).mean == pytest.approx(printed, abs=0.00501)


def test_parameters_match_what_the_paper_rounds_to():
    made = grid()
    shown = replace(head(made), metric=metric("parameters", ""))
    for count, verdict in ((306.083, "match"), (306.851, "off")):
        number = PUBLISHED.number("11", "S4D-Lin", "Parameters")
        told = judge(cell([count] * 3, made), shown, number, PUBLISHED, made)
        assert (told[0].verdict, told[0].text, told[0].value) == (verdict, "306K", 306)


def test_counts_and_summary():
    made = grid()
    cells = [replace(cell([v, v + 0.1], made), judged=(Judged("3b", "r", "c", "1", 1, None, 0, None, verdict),))
             for v, verdict in ((1, "match"), (2, "match"), (3, "off"))]
    table = Table("3b", "", "m", ("a", "b", "c"), (head(made),), tuple((one,) for one in cells),
                  tuple(map(Line, "abc")), published="3b")
    assert comparison.counts(table) == {"match": 2, "off": 1}
    assert comparison.summary(table) == "Against table 3b of the paper: 2 match, 1 off."


def test_incomparable_without_runs_looks_at_profile_and_changes_alone():
    assert incomparable([], grid()) == "" and incomparable([], grid(profile="mini")) == "profile mini"
