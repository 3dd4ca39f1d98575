"""Cells: numbers with their n, the reason where there is none, which epoch is taken, and what a layout may not mix."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from report_store import Shelf, fill, make_grid, make_run

from suite.errors import UserError
from suite.files.yaml import parse_yaml
from suite.grid.model import Excluded, Grid
from suite.report.against.verdict import judged_table
from suite.report.published.papers import load_published
from suite.report.tables.layout import Layout, Placed
from suite.report.tables.results import axis_column, read_results
from suite.report.tables.table import Table
from suite.store.store import Store


def placed(**column) -> Placed:
    column = {"label": "CIFAR", "where": {"task": "sCIFAR"}, "digits": 1} | column
    return Placed(Layout.model_validate({"name": "demo", "rows": "method", "columns": [column]}),
                  parse_yaml("name: demo\ncolumns:\n- metric: m\n  epoch: 1\n", "demo.yaml"))


def table(grid: Grid, store: Store, **column) -> Table:
    results = read_results(grid, store, store.states([run.run_id for run in grid.runs]))
    return judged_table(placed(**column), grid, results, load_published())


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


def runs_of(grid, method, task="sCIFAR"):
    return [run for run in grid.runs if run.labels == {"task": task, "method": method}]


def one_cell(shelf, states, **column):
    """The text and the state of the S4D-Lin cell whose three seeds are put like that."""
    grid = make_grid()
    for run, state in zip(runs_of(grid, "S4D-Lin"), states, strict=True):
        if state is not None:
            shelf.put(run, *state[:-1], **state[-1]) if isinstance(state[-1], dict) else shelf.put(run, *state)
    cell = table(grid, shelf, **column).cells[0][0]
    return cell.text, cell.state


DONE = [("done", [0.30, 0.41, 0.40, 0.35]), ("done", [0.30, 0.42, 0.40, 0.35]), ("done", [0.30, 0.40, 0.43, 0.35])]


def test_a_complete_cell(shelf):
    grid = make_grid()
    for run, state in zip(runs_of(grid, "S4D-Lin"), DONE, strict=True):
        shelf.put(run, *state)
    cell = table(grid, shelf).cells[0][0]
    assert (cell.text, cell.state, cell.n, cell.reason) == ("42.0 ± 1.0 (n=3)", "complete", 3, "")
    assert cell.mean == pytest.approx(42.0)
    assert cell.std == pytest.approx(1.0)
    assert cell.values == {0: pytest.approx(41), 1: pytest.approx(42), 2: pytest.approx(43)}
    assert cell.run_ids == tuple(run.run_id for run in runs_of(grid, "S4D-Lin"))


@pytest.mark.parametrize(("states", "text", "state"), [
    ([None] * 3, "not run", "todo"),
    ([("claimed", [])] * 3, "0/3 running", "claimed"),
    ([("claimed", [0.3])] * 3, "30.0 at epoch 1 of 4, n=3", "claimed"),
    ([("partial", [0.3])] * 3, "30.0 at epoch 1 of 4, n=3", "partial"),
    ([("lost", [0.3, 0.4]), ("partial", [0.2]), ("failed", [0.9], "oom")],
     "25.0 at epoch 1 of 4, n=2, 1 out of memory", "mixed"),
    ([("failed", [0.3], "timeout"), ("cancelled", [0.9]), None], "30.0 at epoch 1 of 4, n=1, 1 cancelled, 1 not run",
     "mixed"),
    ([("partial", [0.3, math.nan]), ("failed", [0.3], "diverged"), None],
     "0/3: 1 at 2/4 epochs, 1 diverged, 1 not run", "mixed"),
    ([("failed", [], "oom")] * 3, "0/3 out of memory", "oom"),
    ([("failed", [0.3], "diverged")] * 3, "0/3 diverged", "diverged"),
    ([("failed", [], "timeout")] * 3, "0/3 timed out", "timeout"),
    ([("failed", [], "killed")] * 3, "0/3 killed", "killed"),
    ([("failed", [], "error")] * 3, "0/3 failed", "error"),
    ([("cancelled", [])] * 3, "0/3 cancelled", "cancelled"),
    ([("lost", [])] * 3, "0/3 lost", "lost"),
    ([("unknown", [])] * 3, "0/3 unreadable", "unknown"),
    ([("claimed", []), None, None], "0/3: 1 running, 2 not run", "mixed"),
    ([("partial", [0.3]), ("partial", [0.3, 0.3]), None], "30.0 at epoch 1 of 4, n=2, 1 not run", "mixed"),
    ([DONE[0], DONE[1], ("claimed", [0.3])], "41.5 ± 0.7 (n=2, 1 running)", "incomplete"),
    ([DONE[0], None, None], "41.0 (n=1, 2 not run)", "incomplete"),
    ([DONE[0], DONE[1], ("failed", [0.3], "oom")], "41.5 ± 0.7 (n=2, 1 out of memory)", "incomplete"),
    ([DONE[0], DONE[1], ("done", [0.3, math.nan, 0.5, 0.5])], "41.5 ± 0.7 (n=2, 1 diverged)", "incomplete"),
    ([("done", [math.nan] * 4)] * 3, "0/3 diverged", "diverged"),
])
def test_no_cell_is_blank(shelf, states, text, state):
    assert one_cell(shelf, states) == (text, state)


def test_one_seed_has_no_deviation(shelf):
    grid = make_grid(seeds=1)
    shelf.put(runs_of(grid, "S4D-Lin")[0], *DONE[0])
    cell = table(grid, shelf).cells[0][0]
    assert (cell.text, cell.std, cell.state) == ("41.0 (n=1)", None, "complete")


def test_a_first_epoch_is_complete_on_a_partial_run_and_a_best_epoch_is_not(shelf):
    states = [("partial", [0.30]), ("claimed", [0.32, 0.4]), ("failed", [0.31], "oom")]
    assert one_cell(shelf, states, epoch="first") == ("31.0 ± 1.0 (n=3)", "complete")
    assert one_cell(shelf, states, epoch=2)[0] == "40.0 (n=1, 1 at 1/4 epochs, 1 out of memory)"
    assert one_cell(shelf, states)[1] == "mixed"


@pytest.mark.parametrize(("column", "text"), [
    ({"epoch": "first"}, "30.0 ± 0.0 (n=3)"),
    ({"epoch": "last"}, "35.0 ± 0.0 (n=3)"),
    ({"epoch": 2}, "41.0 ± 1.0 (n=3)"),
    ({"metric": "test/accuracy"}, "32.0 ± 1.0 (n=3)"),  # at the epoch that is best by validation
    ({"metric": "val/loss", "digits": 2}, "0.58 ± 0.01 (n=3)"),
    ({"scale": "raw", "digits": 3}, "0.420 ± 0.010 (n=3)"),
    ({"digits": None}, "42.00 ± 1.00 (n=3)"),
])
def test_which_number_is_shown(shelf, column, text):
    assert one_cell(shelf, DONE, **column)[0] == text


def test_the_best_epoch_follows_the_runs_selection(shelf):
    grid = make_grid(select="min val/loss", seeds=2)
    for run in runs_of(grid, "S4D-Lin"):
        shelf.put(run, "done", [0.2, 0.5, 0.5, 0.3])
    made = table(grid, shelf, metric="train/loss", digits=2)
    assert made.cells[0][0].text == "0.50 ± 0.00 (n=2)"  # of equally good epochs the first
    assert made.heads[0].epoch_words == "at the epoch with the lowest validation loss"


def test_excluded_and_absent_cells(shelf):
    out = Excluded({"task": "sCIFAR", "method": "S4D-Inv"}, "softmax needs ZOH")
    grid = make_grid(excluded=(out,))
    assert [cell[0].text for cell in table(grid, shelf).cells] == ["not run", "excluded: softmax needs ZOH", "not run"]
    runs = tuple(run for run in grid.runs if run.labels["method"] != "S4D-Real")
    less = replace(grid, runs=runs)
    cell = table(less, shelf).cells[2][0]
    assert (cell.text, cell.state, cell.run_ids) == ("not selected", "absent", ())


def test_ranks_follow_the_direction_and_leave_incomplete_cells_out(shelf):
    grid = make_grid(["a", "b", "c", "d"], seeds=2)
    for name, values in {"a": [0.4, 0.4], "b": [0.5, 0.5], "c": [0.9], "d": [0.3, 0.3]}.items():
        for run, value in zip(runs_of(grid, name), values, strict=False):
            shelf.put(run, "done", [value] * 4)
    assert [row[0].rank for row in table(grid, shelf).cells] == [2, 1, 0, 0]
    assert [row[0].rank for row in table(grid, shelf, metric="val/loss").cells] == [2, 1, 0, 0]
    assert [row[0].rank for row in table(grid, shelf, direction="min").cells] == [2, 0, 0, 1]


def test_equal_numbers_share_a_rank(shelf):
    grid = make_grid(["a", "b", "c"], seeds=1)
    for name, value in {"a": 0.50001, "b": 0.5, "c": 0.4}.items():
        shelf.put(runs_of(grid, name)[0], "done", [value] * 4)
    assert [row[0].rank for row in table(grid, shelf).cells] == [1, 1, 2]


def test_a_metric_that_no_run_has(shelf):
    grid = make_grid()
    shelf.put(runs_of(grid, "S4D-Lin")[0], *DONE[0])
    with pytest.raises(UserError, match=r"demo.yaml:3: columns.0.metric: no run has the metric 'val/acu") as caught:
        table(grid, shelf, metric="val/acuracy", direction="max")
    assert "did you mean 'val/accuracy'?" in str(caught.value)


def test_a_metric_that_one_run_lacks(shelf):
    more = ("done", [0.3, 0.4, 0.4, 0.4], {"test_at_2": [0.1] * 4})
    assert one_cell(shelf, [DONE[0], DONE[1], more], metric="test_at_2", direction="max", scale="raw")[0] == \
        "0.1 (n=1, 2 without test_at_2)"


def test_a_metric_with_no_known_direction():
    with pytest.raises(UserError, match="the better direction of the metric 'val/f1' is unknown"):
        table(make_grid(), Shelf(Path("nowhere")), metric="val/f1")


def test_an_epoch_that_no_run_reaches(shelf):
    with pytest.raises(UserError, match="demo.yaml:4: columns.0.epoch: epoch 5 does not exist: the longest run has"):
        table(make_grid(), shelf, epoch=5)


def test_a_cell_never_mixes_configurations(shelf):
    with pytest.raises(UserError, match="S4D-Lin, CIFAR: more than one configuration for seed 0") as caught:
        table(make_grid(), shelf, where={})
    assert "name one label under `where:` of task" in str(caught.value)


def test_a_run_under_two_labels_is_counted_once(shelf):
    grid = make_grid(["a", "b"], ["sCIFAR", "SC"], seeds=2)
    first = [run for run in grid.runs if run.labels["task"] == "sCIFAR"]
    both = [type(run)(run.config, run.run_id, {**run.labels, "task": "SC"}) for run in first]
    for run in first:
        shelf.put(run, "done", [0.5] * 4)
    shared = replace(grid, runs=(*first, *both))
    cell = table(shared, shelf, where={"task": ["sCIFAR", "SC"]}).cells[0][0]
    assert (cell.text, len(cell.run_ids)) == ("50.0 ± 0.0 (n=2)", 2)


def test_a_result_that_breaks_after_the_states_were_read(shelf):
    grid = make_grid()
    for run in runs_of(grid, "S4D-Lin"):
        shelf.put(run, *DONE[0])
    states = shelf.states([run.run_id for run in grid.runs])
    shelf.put(runs_of(grid, "S4D-Lin")[0], "done", [0.3, 0.4])
    results = read_results(grid, shelf, states)
    assert judged_table(placed(), grid, results, load_published()).cells[0][0].text == "41.0 ± 0.0 (n=2, 1 unreadable)"


def test_the_tidy_table_has_a_row_per_run_and_epoch(tmp_path):
    grid, store = make_grid(), Store(tmp_path)
    fill(store, grid)
    frame = read_results(grid, store, store.states([run.run_id for run in grid.runs])).frame
    assert len(frame) == 18 * 4
    assert set(frame.columns) >= {"run_id", "task", "method", "seed", "state", "epoch", "val/accuracy", "time/train"}
    assert set(frame["state"]) == {"done"}
    best = frame.groupby("run_id", observed=True)["val/accuracy"].max()
    assert best[runs_of(grid, "S4D-Inv", "SC")[2].run_id] == pytest.approx(0.33)
    assert frame.groupby("run_id", observed=True)["epoch"].agg(list).tolist() == [[1, 2, 3, 4]] * 18


def test_axes_with_the_names_of_fixed_columns_keep_apart(shelf):
    run = make_run({"seed": "even", "epoch": "long"}, 0)
    grid = Grid(name="g", title="", path=Path("g.yaml"), profile="mini", runs=(run,), excluded=(), seeds=(0,),
                axes={"seed": ["even"], "epoch": ["long"]})
    shelf.put(run, *DONE[0])
    frame = read_results(grid, shelf, shelf.states([run.run_id])).frame
    assert frame["seed"].tolist() == [0] * 4
    assert frame[axis_column("seed")].tolist() == ["even"] * 4
    assert frame[axis_column("epoch")].tolist() == ["long"] * 4
