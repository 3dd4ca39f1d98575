"""Tables 1 and 12: read off the configurations of other tables' runs, they say what the paper prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_store import SOURCES

from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.against.comparison import counts, summary
from suite.report.against.verdict import judged_settings
from suite.report.published.papers import load_published
from suite.report.tables.layout_files import load_layout
from suite.report.tables.table import Table

GRIDS = Path(__file__).parents[3] / "grids"
PUBLISHED = load_published()


def table(number: str, layout: Path | None = None, **options) -> Table:
    grid: Grid = load_grid(GRIDS / f"table{number}.yaml", **options)
    placed = load_layout(layout or SOURCES / "tables" / f"table{number}.yaml", grid, PUBLISHED)
    return judged_settings(placed, grid, PUBLISHED)


@pytest.mark.parametrize(("number", "cells"), [("1", 18), ("12", 108)])
def test_every_setting_is_the_published_one(number, cells):
    made = table(number)
    assert [(c.row, c.column, c.text, c.judged[0].text) for row in made.cells for c in row
            if c.judged[0].verdict != "match"] == []
    assert counts(made) == {"match": cells}
    assert summary(made) == f"Against table {number} of the paper: {cells} cells match."


def test_what_table_1_says_of_s4_dss_and_s4d():
    made = table("1")
    shown = {row: [cell.text for cell in cells] for row, cells in zip(made.rows, made.cells, strict=True)}
    assert shown == {
        "S4": ["DPLR", "Cauchy", "bilinear", "exp", "yes", "HiPPO"],
        "DSS": ["diagonal", "softmax", "ZOH", "none", "no", "HiPPO-D"],
        "S4D": ["diagonal", "Vandermonde", "either", "exp or relu", "optional", "various"]}


def test_other_sizes_are_not_held_against_the_paper():
    made = table("12", profile="mini")
    assert counts(made) == {"not comparable": 108}
    assert made.cells[0][0].text == "1" and made.cells[0][0].judged[0].reason == "profile mini"


def test_a_setting_that_is_not_the_published_one():
    made = table("12", sets=["optim.weight_decay=0.5"])  # an open question: still compared
    off = {(c.row, c.column) for row in made.cells for c in row if c.judged[0].verdict == "off"}
    assert off == {(row, "weight decay") for row in made.rows}


@pytest.mark.parametrize(("old", "new", "message"), [
    ("field: model.layers", "field: model.leyers", "12.yaml:17: columns.0.field: unknown field 'model.leyers'"),
    ("label: depth", "label: deep", "the paper's table 12 has no column 'deep'"),
    ("label: Text,", "label: Txt,", "the paper's table 12 has no row 'Txt'"),
    ("where: {task: Text}", "where: {task: Txt}", "has no runs for the row 'Text'"),
    ("where: {task: Text}", "where: {tisk: Text}", "'tisk' is neither an axis of the grid 'table12' nor a field"),
    ('published: "12"', 'published: "13"', "the paper has no table '13' of settings"),
    ("kind: configuration", "kind: settings", "kind: it should be 'numbers'"),
])
def test_layouts_of_settings_that_do_not_fit(tmp_path, old, new, message):
    text = (SOURCES / "tables" / "table12.yaml").read_text()
    assert old in text
    (tmp_path / "12.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        table("12", tmp_path / "12.yaml")
