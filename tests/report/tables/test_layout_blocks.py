"""Blocks of rows, differences, printed rows, averages, X, turned tables; and layouts of these that do not fit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from claim_store import claim, write
from paper_store import GRIDS, table_grids
from report_store import METHODS, SOURCES, Shelf, make_grid, make_run, sources

from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.grid.model import Excluded, Grid
from suite.report.against.comparison import lines, remarks
from suite.report.against.verdict import judged_table
from suite.report.document import document_of
from suite.report.published.papers import load_published
from suite.report.render import html, latex, markdown
from suite.report.render.notes import caption
from suite.report.render.sheet import sheet
from suite.report.tables.layout import Placed
from suite.report.tables.layout_files import layout_files, load_layout
from suite.report.tables.results import read_results
from suite.report.tables.table import Table
from suite.store.store import Store

PUBLISHED = load_published()
HEAD = "name: demo\npublished: 3a\n"
BLOCKS = HEAD + """\
rows:
  axis: method
  groups:
    - {rows: [S4D-Real, S4D-Lin], base: S4D-Lin}
    - {label: others, rows: [S4D-Inv]}
columns:
  - {label: sCIFAR, where: {task: sCIFAR}, digits: 1}
"""


def made(tmp_path: Path, text: str, grid: Grid, shelf: Shelf) -> Table:
    (tmp_path / "demo.yaml").write_text(text)
    placed = load_layout(tmp_path / "demo.yaml", grid, PUBLISHED)
    assert isinstance(placed, Placed)
    results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
    return judged_table(placed, grid, results, PUBLISHED)


def shelf_of(tmp_path: Path, grid: Grid, values: dict[str, list[float | None]]) -> Shelf:
    """Best accuracies by method and seed; None is a run that has not started, NaN one that diverged."""
    shelf = Shelf(tmp_path)
    for run in grid.runs:
        value = values.get(run.labels["method"], [None] * 9)[run.config.seed]
        if value is not None:
            shelf.put(run, "done", [value / 2, value, value, value])
    return shelf


def texts(table: Table) -> dict[str, list[str]]:
    return {row: [cell.text for cell in cells] for row, cells in zip(table.rows, table.cells, strict=True)}


def test_rows_are_differences_from_the_base_row_of_their_block_over_the_same_seeds(tmp_path):
    grid = make_grid()
    shelf = shelf_of(tmp_path, grid, {"S4D-Lin": [0.5, 0.6, None], "S4D-Real": [0.4, 0.45, 0.9], "S4D-Inv": [0.3] * 3})
    table = made(tmp_path, BLOCKS, grid, shelf)
    assert texts(table) == {"S4D-Real": ["−12.5 ± 3.5 (n=2, 1 without S4D-Lin)"],
                            "S4D-Lin": ["55.0 ± 7.1 (n=2, 1 not run)"], "S4D-Inv": ["30.0 ± 0.0 (n=3)"]}
    cell = table.cells[0][0]
    assert (cell.base, cell.values, cell.state) == ("S4D-Lin", {0: pytest.approx(-10), 1: pytest.approx(-15)},
                                                    "incomplete")
    assert {cell.rank for row in table.cells for cell in row} == {0}  # differences have no best
    assert [(line.block, line.group, line.base) for line in table.lines] == [
        (0, "", "S4D-Lin"), (0, "", ""), (1, "others", "")]
    assert "Signed: differences from S4D-Lin, over the same seeds." in caption(table, grid, "text")


def test_a_difference_without_its_base_row(tmp_path):
    grid = make_grid()
    table = made(tmp_path, BLOCKS, grid, shelf_of(tmp_path, grid, {"S4D-Real": [0.4] * 3}))
    assert texts(table)["S4D-Real"] == ["0/3 without S4D-Lin"]


@pytest.mark.parametrize(("values", "text"), [
    ([0.5, None, None], "50.0 (n=1, 2 not run)"),
    ([0.5] * 3, "50.0 ± 0.0 (n=3)"),
    ([float("nan")] * 3, "0/3 diverged"),
    ([0.5, float("nan"), 0.7], "60.0 ± 14.1 (n=2, 1 diverged)")])
def test_one_seed_no_spread_and_no_number(tmp_path, values, text):
    grid = make_grid()
    table = made(tmp_path, BLOCKS, grid, shelf_of(tmp_path, grid, {"S4D-Lin": values}))
    assert texts(table)["S4D-Lin"] == [text]


def test_deviation_of_a_population_or_none_at_all(tmp_path):
    grid, values = make_grid(), {"S4D-Inv": [0.4, 0.5, 0.6]}
    for spread, text in (("sample", "50.0 ± 10.0 (n=3)"), ("population", "50.0 ± 8.2 (n=3)"), ("none", "50.0 (n=3)")):
        table = made(tmp_path, BLOCKS + f"spread: {spread}\n", grid, shelf_of(tmp_path, grid, values))
        assert texts(table)["S4D-Inv"] == [text]
        assert table.cells[2][0].interval == pytest.approx((50 - 24.84, 50 + 24.84), abs=0.01)  # t, in each case


TWICE = BLOCKS.replace("- {label: others, rows: [S4D-Inv]}", "- {rows: [S4D-Real, S4D-Inv], base: S4D-Inv}")
OTHER = TWICE.replace("{rows: [S4D-Real, S4D-Inv]", "{label: other, rows: [S4D-Real, S4D-Inv]")
THREE = {"S4D-Lin": [0.5, 0.6, 0.7], "S4D-Inv": [0.4, 0.5, 0.6], "S4D-Real": [0.3] * 3}
BY_TASK = """\
name: demo
rows:
  axis: method
  groups:
    - {label: one, where: {task: sCIFAR}}
    - {label: two, where: {task: SC}}
columns: [{label: accuracy}]
"""


@pytest.mark.parametrize(("layout", "second"), [(TWICE, "S4D-Real from S4D-Inv"), (OTHER, "other, S4D-Real")])
def test_a_row_of_two_blocks_has_a_cell_in_each(tmp_path, layout, second):
    grid = make_grid(profile="paper", data={"name": "cifar10", "variant": "original"})
    table = made(tmp_path, layout, grid, shelf_of(tmp_path, grid, THREE))
    assert table.rows == ("S4D-Real", "S4D-Lin", second, "S4D-Inv")  # what claims call the first is as it was
    assert [line.label for line in table.lines] == ["S4D-Real", "S4D-Lin", "S4D-Real", "S4D-Inv"]
    assert [cells[0].number for cells in table.cells] == ["−30.0", "60.0", "−20.0", "50.0"]
    against = {one.row: one for one in lines(table)["sCIFAR"]}
    assert len(against) == 5  # the column has a line, too
    assert [cells[0].judged[0].row for cells in table.cells] == [line.label for line in table.lines]
    assert against["S4D-Real"] != replace(against[second], row="S4D-Real")
    assert f"({second}, sCIFAR)" in " ".join(remarks(table))


def test_blocks_are_told_apart_on_the_page_and_in_claims(tmp_path):
    grid, folder = make_grid(), sources(tmp_path, OTHER)
    write(folder, claim(), claim(id="two", left="other, S4D-Real", right="S4D-Inv"))
    document = document_of(grid, shelf_of(tmp_path, grid, THREE), folder)
    assert [verdict.parts[0].difference for verdict in document.verdicts] == [pytest.approx(-30), pytest.approx(-20)]
    page = html.render([document], [{}], {}, SOURCES / "templates")
    assert re.findall(r'data-cell="(\d+)" data-value="([^"]+)"', page) == [
        ("0", "-30"), ("1", "60"), ("2", "-20"), ("3", "50")]


def test_blocks_of_one_name_are_refused_and_each_has_its_own_numbers(tmp_path):
    grid = make_grid(["S4D-Lin"])
    shelf = Shelf(tmp_path)
    for run in grid.runs:
        shelf.put(run, "done", [{"sCIFAR": 0.4, "SC": 0.3}[run.labels["task"]]] * 4)
    assert texts(made(tmp_path, BY_TASK, grid, shelf)) == {"one, S4D-Lin": ["40.00 ± 0.00 (n=3)"],
                                                           "two, S4D-Lin": ["30.00 ± 0.00 (n=3)"]}
    for text in (BY_TASK.replace("two", "one"), BY_TASK.replace("label: one, ", "").replace("label: two, ", "")):
        with pytest.raises(UserError) as caught:
            made(tmp_path, text, grid, shelf)
        assert str(caught.value).replace(f"{tmp_path}/", "") == (
            "demo.yaml:6: rows.groups.1: the row 'S4D-Lin' of this block has the same name as a row of another\n"
            "    give each group its own `label`")


def test_tables_of_one_name_are_refused(tmp_path):
    folder = sources(tmp_path, TWICE)
    (folder / "tables/second.yaml").write_text(TWICE.replace("name: demo", "grid: demo\nname: demo"))
    with pytest.raises(UserError, match=r"second.yaml:2: name: two tables of the grid are named 'demo'"):
        document_of(make_grid(), Shelf(tmp_path), folder)


def test_our_row_and_a_printed_one_of_the_same_label(tmp_path):
    text = TWICE.replace("3a", '"9"').replace("- {rows: [S4D-Real, S4D-Inv], base: S4D-Inv}",
                                              "- {label: printed, published: [S4D-Lin]}")
    table = made(tmp_path, text, make_grid(), shelf_of(tmp_path, make_grid(), {"S4D-Lin": [0.5] * 3}))
    assert texts(table)["S4D-Lin"] == ["50.0 ± 0.0 (n=3)"]
    assert table.cells[2][0].row == "printed, S4D-Lin"
    assert table.cells[2][0].mean == PUBLISHED.number("9", "S4D-Lin", "sCIFAR").mean


def test_runs_without_the_axis_have_a_row_of_their_own(tmp_path):
    runs = (make_run({"B": "no B"}, 0), make_run({}, 0, epochs=5))
    grid = replace(make_grid(), axes={"B": ["no B"]}, runs=runs)
    shelf = Shelf(tmp_path)
    for run, value in zip(runs, (0.4, 0.3), strict=True):
        shelf.put(run, "done", [value] * run.config.train.epochs)
    table = made(tmp_path, "name: demo\nrows: B\ncolumns: [{label: all}]\n", grid, shelf)
    assert texts(table) == {"no B": ["40.00 (n=1)"], "(no B)": ["30.00 (n=1)"]}


def test_rows_that_the_paper_prints(tmp_path):
    text = BLOCKS.replace("3a", '"9"') + "  - {label: SC, where: {task: SC}}\n"
    text = text.replace("    - {label: others", "    - {published: [LSTM, FlexConv]}\n    - {label: others")
    table = made(tmp_path, text, make_grid(), Shelf(tmp_path))
    assert texts(table)["LSTM"] == ["63.01", "not in the paper"]
    cell = table.cells[2][0]
    assert (cell.state, cell.mean, cell.run_ids, cell.judged) == ("published", 63.01, (), ())
    assert table.lines[2].source.startswith("[7, 12]") and table.lines[2].constant


def test_blocks_of_two_axes_have_the_names_of_both():
    grid = load_grid(GRIDS / "table3b.yaml")
    placed = load_layout(SOURCES / "tables" / "table3b.yaml", grid, PUBLISHED)
    shelf = Shelf(Path("nowhere"))
    results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
    table = judged_table(placed, grid, results, PUBLISHED)
    assert table.rows == tuple(PUBLISHED.file.tables["3b"].rows)
    assert [head.label for head in table.heads] == list(PUBLISHED.file.tables["3b"].columns)
    assert sheet(table, lambda cell: cell).spans() == [("sCIFAR", 2), ("SC", 2), ("BIDMC", 1)]
    frozen = {run.run_id for run in grid.runs if not run.config.ssm.train_a}
    assert frozen
    assert len(table.cells) == 14
    for line, cells in zip(table.lines, table.cells, strict=True):
        assert all((run_id in frozen) == (line.group == "frozen") for cell in cells for run_id in cell.run_ids)
        assert all(len(cell.run_ids) == 3 and len(cell.judged) >= 1 for cell in cells)


@pytest.mark.parametrize(("name", "only"), [("table3b", "A and B=frozen"), ("table2", "discretization=ZOH"),
                                            ("table3a", "task=SC")])
def test_a_part_of_a_grid_has_the_rows_of_the_whole_and_its_claims(tmp_path, name, only):
    grids = [load_grid(GRIDS / f"{name}.yaml", only=asked) for asked in ([], [only])]
    whole, part = (document_of(grid, Store(tmp_path)) for grid in grids)
    assert [table.rows for table in part.tables] == [table.rows for table in whole.tables]
    assert [[head.metric for head in table.heads] for table in part.tables] == \
        [[head.metric for head in table.heads] for table in whole.tables]
    assert len(part.verdicts) == len(whole.verdicts) > 4
    cells = [cell for table in part.tables for row in table.cells for cell in row]
    assert {cell.text for cell in cells} == {"not run", "not selected"}
    assert {run_id for cell in cells for run_id in cell.run_ids} == {run.run_id for run in part.grid.runs}


@pytest.mark.parametrize("grid", table_grids(), ids=lambda grid: grid.name)
def test_every_layout_of_the_paper_finds_its_published_numbers(grid):
    """Each row and column of the paper's table has a cell; what only the layout has is told here."""
    layouts = layout_files(SOURCES / "tables", grid.name)
    assert layouts
    for path in layouts:
        placed = load_layout(path, grid, PUBLISHED)
        name = placed.layout.published
        if name is None:  # of what the paper says in words, without a table
            continue
        if not isinstance(placed, Placed):
            assert [row.label for row in placed.layout.rows] == list(PUBLISHED.file.configurations[name].rows)
            continue
        shelf = Shelf(Path("nowhere"))
        results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
        table = judged_table(placed, grid, results, PUBLISHED)
        printed = PUBLISHED.file.tables[name]
        ours = {row for row in table.rows if row.endswith("(ours)")}  # of models that the paper only quotes
        assert set(table.rows) - ours == set(printed.rows)
        assert [head.label for head in table.heads if head.label != "Path-X, test"] == list(printed.columns)
        for row, cells in zip(table.rows, table.cells, strict=True):
            for cell in cells:
                assert row in ours or cell.judged or cell.state == "published" or cell.column == "Path-X, test", cell
                assert cell.state != "absent" and cell.text


TWO = """\
  - {label: SC, where: {task: SC}, digits: 1}
  - {label: mean, average: [sCIFAR, SC]}
"""


def test_an_average_of_differences_is_one_and_tells_what_it_is_of(tmp_path):
    grid, third = make_grid(), "  - {label: test, where: {task: SC}, metric: test/accuracy}\n"
    shelf = shelf_of(tmp_path, grid, {"S4D-Lin": [0.5, 0.6, 0.7], "S4D-Real": [0.4, 0.4, 0.6], "S4D-Inv": [0.3] * 3})
    table = made(tmp_path, BLOCKS + TWO.replace("  - {label: mean", third + "  - {label: mean"), grid, shelf)
    assert [row[3].text for row in table.cells] == ["−13.3", "60.0", "30.0"]
    assert (table.cells[0][3].base, {row[3].rank for row in table.cells}) == ("S4D-Lin", {0})
    told = caption(table, grid, "text")
    assert "mean: mean of sCIFAR, SC." in told and "an X" not in told


@pytest.mark.parametrize("spread", ["sample", "population", "none"])
def test_the_interval_of_an_average_does_not_hang_on_the_deviation_that_is_shown(tmp_path, spread):
    grid = make_grid()
    shelf = shelf_of(tmp_path, grid, {"S4D-Inv": [0.3, 0.4, 0.5]})
    cell = made(tmp_path, BLOCKS + TWO + f"spread: {spread}\n", grid, shelf).cells[2][2]
    half = 2.7764 * (2 * 100 / 3) ** 0.5 / 2  # t of 4 degrees of freedom, two columns of variance 100 / 3
    assert cell.interval == pytest.approx((40 - half, 40 + half), abs=0.01)


def test_columns_of_two_quantities_have_no_average(tmp_path):
    grid = make_grid()
    text = BLOCKS + TWO.replace("SC, where: {task: SC}", "loss, where: {task: SC}, metric: val/loss").replace(
        ", SC]", ", loss]")
    with pytest.raises(UserError, match=r"demo.yaml:11: columns.2.average: validation accuracy, % ↑ and validation lo"):
        made(tmp_path, text, grid, shelf_of(tmp_path, grid, {}))


def test_an_average_of_what_is_not_comparable_is_not_compared(tmp_path):
    """Of one column, on other data: the average is that cell's number, and has its verdict."""
    sample = {"name": "cifar10", "variant": "sample"}
    for data, verdict in ((sample, "not comparable"), ({"name": "cifar10", "variant": "original"}, "off")):
        grid = make_grid(profile="paper", data=data)
        text = BLOCKS + "  - {label: SC, average: [sCIFAR]}\n"
        table = made(tmp_path, text, grid, shelf_of(tmp_path, grid, {"S4D-Inv": [0.3, 0.31, 0.32]}))
        assert [cell.judged[0].verdict for cell in table.cells[2]] == [verdict, verdict]


def test_a_turned_table_has_one_line(tmp_path):
    grid = make_grid()
    values = {name: [0.5, 0.5, 0.5] for name in METHODS}
    text = "name: demo\ntranspose: true\nrows: method\ncolumns:\n- {label: CIFAR, where: {task: sCIFAR}}\n"
    table = made(tmp_path, text, grid, shelf_of(tmp_path, grid, values))
    turned = sheet(table, lambda cell: cell.text)
    assert [top.label for top in turned.tops] == METHODS
    assert [side.label for side in turned.sides] == ["CIFAR, validation accuracy, % ↑"]
    assert "S4D-Lin & S4D-Inv & S4D-Real" in latex.numbered(table, grid)
    assert "| S4D-Lin " in markdown.section(table, grid)
    assert "Bold: best of a row, among cells with all their seeds." in caption(table, grid, "text")


@pytest.mark.parametrize(("old", "new", "message"), [
    ("rows: [S4D-Real,", "rows: [S4D-Reel,", "yaml:6: rows.groups.0.rows.0: the grid 'demo' has no row 'S4D-Reel'"),
    ("[S4D-Inv]", "[S4D-Inv, S4D-Inv]", "yaml:7: rows.groups.1.rows: duplicate row 'S4D-Inv' in the block"),
    ("base: S4D-Lin", "base: S4D-Inv", "demo.yaml:6: rows.groups.0.base: the base row 'S4D-Inv' is not in its block"),
    ("label: others,", "label: others, where: {task: CS},", "rows.groups.1.where.task: the axis 'task' of the grid"),
    ("label: others,", "published: [LSTM],", "yaml:7: rows.groups.1.published.0: the paper's table '3a' has no row"),
    ("label: others, rows: [S4D-Inv]", "where: {task: null}",
     "yaml:7: rows.groups.1.where: no run of the grid matches, so the block has no rows\n    use labels that"),
    ("label: others, rows: [S4D-Inv]", "label: x, where: {task: CS}",  # one mistake is told once
     "rows.groups.1.where.task: the axis 'task' of the grid 'demo' has no label 'CS'\n    did you mean 'SC'? allowed: "
     "sCIFAR, SC"),
    ("published: 3a", "published: 3c", "demo.yaml:2: published: the paper has no table '3c' of numbers"),
    ("label: sCIFAR", "label: BIDMC", "the paper's column 'BIDMC' shows rmse, this one accuracy"),
    ("label: sCIFAR", "metric: val/rmse, label: sCIFAR", "the paper's column 'sCIFAR' shows accuracy, this one rmse"),
    ("label: sCIFAR", "epoch: first, label: sCIFAR", "column 'sCIFAR' shows the best epoch, this one first"),
    ("label: sCIFAR", "published: SC35, label: x", "columns.0.published: the paper's table has no column 'SC35'"),
    ("columns:\n", "columns:\n  - {label: Avg, average: [sCIFAR]}\n", "no column 'sCIFAR' of numbers before"),
    ("digits: 1", "chance: 1.5", "columns.0.chance: it should be less than 1"),
    ("name: demo", "name: demo\nspread: variance", "spread: it should be 'sample', 'population' or 'none'"),
    ("name: demo", "name: demo\nkind: numbrs", "kind: it should be 'numbers'"),
])
def test_layouts_that_do_not_fit(tmp_path, old, new, message):
    assert old in BLOCKS
    with pytest.raises(UserError) as caught:
        made(tmp_path, BLOCKS.replace(old, new, 1), make_grid(), Shelf(tmp_path))
    assert message in str(caught.value).replace(f"{tmp_path}/", "")


def test_a_base_row_that_its_block_does_not_have(tmp_path):
    grid = make_grid()
    lost = tuple(run for run in grid.runs if run.labels == {"task": "SC", "method": "S4D-Lin"})
    part = replace(grid, runs=tuple(run for run in grid.runs if run not in lost))
    text = BY_TASK.replace("where: {task: SC}", "where: {task: SC}, base: S4D-Lin")
    with pytest.raises(UserError, match=r"yaml:6: rows.groups.1.base: the base row 'S4D-Lin' is not in its block\n"
                                        r"    .*allowed: S4D-Inv, S4D-Real"):
        made(tmp_path, text, part, Shelf(tmp_path))
    asked = replace(part, left_out=lost)
    assert texts(made(tmp_path, text, asked, Shelf(tmp_path)))["two, S4D-Lin"] == ["not selected"]
    out = replace(part, excluded=(Excluded({"task": "SC", "method": "S4D-Lin"}, "too large"),))
    found = texts(made(tmp_path, text, out, Shelf(tmp_path)))
    assert (found["two, S4D-Lin"], found["two, S4D-Inv"]) == (["excluded: too large"], ["not run"])


def test_a_metric_that_no_run_has(tmp_path):
    grid = make_grid()
    shelf = shelf_of(tmp_path, grid, {"S4D-Inv": [0.5] * 3})
    text = BLOCKS.replace("label: sCIFAR", "metric: tset/accuracy, label: sCIFAR")
    with pytest.raises(UserError, match="columns.0.metric: no run has the metric 'tset/accuracy'"):
        made(tmp_path, text, grid, shelf)


def test_of_several_metrics_the_first_that_is_evaluated(tmp_path):
    text = BLOCKS.replace("label: sCIFAR", "metric: [test@8000/accuracy, test/accuracy], label: sCIFAR")
    grid = make_grid()
    table = made(tmp_path, text, grid, shelf_of(tmp_path, grid, {"S4D-Inv": [0.5] * 3}))
    assert table.heads[0].metric.name == "test/accuracy" and texts(table)["S4D-Inv"] == ["40.0 ± 0.0 (n=3)"]
