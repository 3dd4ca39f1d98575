"""Layouts of tables: the grammar, its errors with file, line and key, and the layout of grids that have none."""

from dataclasses import replace
from pathlib import Path

import pytest
from claim_store import claim
from claim_store import write as claims
from report_store import Shelf, make_grid, make_run

from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.against.verdict import judged_table
from suite.report.claims.language import load_claims
from suite.report.places import SOURCES
from suite.report.published.papers import load_published
from suite.report.tables.layout import default_layout, matches
from suite.report.tables.layout_files import layout_files, load_layout
from suite.report.tables.results import read_results

PUBLISHED = load_published()
GOOD = """\
name: demo
caption: Two tasks
rows: {axis: method, order: [S4D-Real]}
columns:
  - {label: CIFAR, where: {task: sCIFAR}, metric: test/accuracy, epoch: first, digits: 1}
  - label: both
    where: {task: [SC, sCIFAR]}
    epoch: 3
    scale: raw
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_layout(write(tmp_path, text), make_grid(), PUBLISHED)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_a_good_layout(tmp_path):
    layout = load_layout(write(tmp_path, GOOD), make_grid(), PUBLISHED).layout
    assert layout.rows.axis == "method"
    assert layout.columns[0].where == {"task": ("sCIFAR",)}
    assert layout.columns[1].where == {"task": ("SC", "sCIFAR")}
    assert (layout.columns[0].epoch, layout.columns[1].epoch, layout.columns[1].metric) == ("first", 3, ())


def test_every_error_of_a_file_is_told_with_its_line(tmp_path):
    told = problems(tmp_path, """\
name: a/b
rowz: method
columns:
  - {label: x, epoch: bets}
  - {where: {task: SC}, digit: 1, digits: -1}
  - {label: y, epoch: 0}
  - 7
""")
    assert [line.partition("\n")[0].rpartition(": ")[0] for line in told] == [
        "demo.yaml:1: name", "demo.yaml:1: rows", "demo.yaml:2: rowz", "demo.yaml:4: columns.0.epoch",
        "demo.yaml:5: columns.1.label", "demo.yaml:5: columns.1.digits", "demo.yaml:5: columns.1.digit",
        "demo.yaml:6: columns.2.epoch", "demo.yaml:7: columns.3"]
    text = "\n".join(told)
    assert "did you mean 'rows'?" in text
    assert "did you mean 'digits'?" in text
    assert "'best', 'first' or 'last'" in text


@pytest.mark.parametrize(("old", "new", "where", "fix"), [
    ("axis: method", "axis: metod", "demo.yaml:3: rows.axis", "did you mean 'method'?"),
    ("[S4D-Real]", "[S4D-Reel]", "demo.yaml:3: rows.order.0", "did you mean 'S4D-Real'?"),
    ("{task: sCIFAR}", "{tusk: sCIFAR}", "demo.yaml:5: columns.0.where.tusk", "did you mean 'task'?"),
    ("{task: [SC, sCIFAR]}", "{task: [SC, CIFAR]}", "demo.yaml:7: columns.1.where.task", "did you mean 'sCIFAR'?"),
])
def test_names_that_no_grid_makes(tmp_path, old, new, where, fix):
    told = problems(tmp_path, GOOD.replace(old, new))
    assert len(told) == 1
    assert told[0].startswith(where)
    assert fix in told[0]


@pytest.mark.parametrize(("old", "new", "what"), [
    ("label: both", "label: CIFAR", "two columns are labelled 'CIFAR'"),
    (GOOD[GOOD.index("columns:"):], "columns: []\n", "a table needs a column"),
    ("{task: sCIFAR}", "{task: []}", "the list of labels is empty"),
    ("digits: 1", "digits: 1e-1", "it should be a valid integer"),
])
def test_what_cannot_be_shown(tmp_path, old, new, what):
    assert what in problems(tmp_path, GOOD.replace(old, new))[0]


def test_labels_are_text_as_in_grids(tmp_path):
    grid = Grid(name="demo", title="", path=Path("g.yaml"), profile="mini", excluded=(), seeds=(0,),
                axes={"ssm.state_size": ["16", "64"], "ssm.train_b": ["true", "false"]},
                runs=(make_run({"ssm.state_size": "64", "ssm.train_b": "true"}, 0),))
    layout = load_layout(write(tmp_path, """\
name: demo
rows: {axis: ssm.state_size, order: [64, 16]}
columns: [{label: trained, where: {ssm.train_b: true}}]
"""), grid, PUBLISHED).layout
    assert layout.rows.order == ("64", "16")
    assert matches(grid.runs[0].labels, layout.columns[0].where)


def test_the_layouts_of_a_grid(tmp_path):
    (tmp_path / "demo.yaml").write_text("name: demo\n")
    (tmp_path / "first.yaml").write_text("name: first\ngrid: demo  # the same runs\n")
    (tmp_path / "second.yaml").write_text("name: second\ngrid: 'demo'\n")
    (tmp_path / "other.yaml").write_text("name: other\ngrid: demo2\n")
    assert [path.name for path in layout_files(tmp_path, "demo")] == ["demo.yaml", "first.yaml", "second.yaml"]
    (tmp_path / "demo.yaml").write_text("name: demo\ngrid: elsewhere\n")
    assert [path.name for path in layout_files(tmp_path, "demo")] == ["first.yaml", "second.yaml"]
    assert layout_files(tmp_path / "missing", "demo") == []


def test_a_grid_without_layout_has_one_column_for_each_combination():
    layout = default_layout(make_grid()).layout
    assert layout.rows.axis == "task"
    assert [column.label for column in layout.columns] == ["S4D-Lin", "S4D-Inv", "S4D-Real"]


def test_every_layout_in_the_repository_belongs_to_a_grid_and_fits_it():
    folder, read = SOURCES / "tables", set()
    for path in sorted((Path(__file__).parents[2] / "grids").glob("*.yaml")):
        grid = load_grid(path)
        for layout in layout_files(folder, grid.name):
            assert load_layout(layout, grid, load_published()).layout.columns
            read.add(layout)
    assert len(read) > 10
    assert read == set(folder.glob("*.yaml"))


def test_a_column_of_the_default_layout_has_one_task():
    grid = make_grid()
    runs = tuple(replace(run, config=run.config.model_copy(update={"task": {"sCIFAR": "scifar", "SC": "sc_bi"}[
        run.labels["task"]]})) for run in grid.runs)
    layout = default_layout(replace(grid, runs=runs)).layout
    assert layout.rows.axis == "method" and [column.label for column in layout.columns] == ["sCIFAR", "SC"]
    one = [run for run in runs if run.labels["method"] == "S4D-Lin"]
    lone = replace(grid, runs=tuple(replace(run, labels={"task": run.labels["task"]}) for run in one),
                   axes={"task": grid.axes["task"]})
    assert default_layout(lone).layout.rows.axis == "task"  # there is no other


@pytest.mark.parametrize(("only", "columns"), [
    ([], ["sCIFAR", "SC"]), (["task=sCIFAR"], ["sCIFAR"]), (["method=S4D-Lin"], ["sCIFAR", "SC"])])
def test_a_default_table_is_not_turned_by_what_is_asked_for(tmp_path, only, columns):
    (tmp_path / "demo.yaml").write_text("""\
name: demo
profile: mini
axes:
  task: {sCIFAR: {task: scifar}, SC: {task: sc_bi}}
  method: {S4D-Lin: {ssm.init: lin}, S4D-Real: {ssm.init: real}}
""")
    grid = load_grid(tmp_path / "demo.yaml", only=only)
    layout = default_layout(grid).layout
    assert (layout.rows.axis, [column.label for column in layout.columns]) == ("method", columns)
    shelf = Shelf(tmp_path)
    results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
    table = judged_table(default_layout(grid), grid, results, PUBLISHED)
    assert load_claims(claims(tmp_path, claim(columns=["sCIFAR", "SC"])), grid, [table])  # a lost column is still known
    with pytest.raises(UserError, match="no column 'S4D-Lin'"):
        load_claims(claims(tmp_path, claim(columns="S4D-Lin")), grid, [table])


def test_the_default_layout_tells_blocks_apart():
    runs = (make_run({"task": "SC", "size": "1"}, 0), make_run({"task": "SC"}, 0, epochs=5))
    grid = Grid(name="g", title="", path=Path("g.yaml"), profile="mini", runs=runs, excluded=(), seeds=(0,),
                axes={"task": ["SC"], "size": ["1"]})
    columns = default_layout(grid).layout.columns
    assert [column.label for column in columns] == ["no size", "1"]
    assert [[matches(run.labels, column.where) for run in runs] for column in columns] == [[False, True], [True, False]]


def test_the_columns_of_the_default_layout_have_labels_of_their_own():
    """Also where labels hold the commas that stand between them."""
    labels = [{"task": "SC", "p": p, "q": q} for p in ("x", "x, y") for q in ("z", "y, z")]
    grid = replace(make_grid(), runs=tuple(make_run(one, 0) for one in labels),
                   axes={"method": [], "p": ["x", "x, y"], "q": ["z", "y, z"]})
    columns = default_layout(grid).layout.columns
    assert [column.label for column in columns] == ["'x', 'z'", "'x', 'y, z'", "'x, y', 'z'", "'x, y', 'y, z'"]
    assert [[matches(run.labels, column.where) for run in grid.runs].index(True) for column in columns] == [0, 1, 2, 3]
