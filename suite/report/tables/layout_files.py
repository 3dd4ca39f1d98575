"""Reads layouts from their files and checks them against the grid and the paper's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.config.run_config import fields, is_field
from suite.errors import Problem, UserError, nearest
from suite.files.yaml import load_yaml
from suite.files.yaml_model import validated
from suite.report.metric import QUANTITIES
from suite.report.tables.layout import Column, Group, Layout, Placed, block_labels, matches, unknown_labels
from suite.report.tables.layout_names import layout_files as layout_files
from suite.report.tables.layout_names import layouts_of as layouts_of
from suite.report.tables.layout_names import table_name as table_name
from suite.report.tables.layout_names import table_names as table_names
from suite.report.tables.settings import PlacedSettings, SettingsLayout, runs_of

if TYPE_CHECKING:
    from suite.grid.model import Grid
    from suite.report.published.papers import Published


def load_layout(path: Path, grid: Grid, published: Published) -> Placed | PlacedSettings:
    """The layout in a file, checked against the grid and the paper's tables.

    Raises UserError with every problem: file, line, key.
    """
    node = load_yaml(path)
    placed: Placed | PlacedSettings
    if "kind" in node.value and node.value["kind"].value == "configuration":
        placed = PlacedSettings(validated(node, SettingsLayout), node)
        problems = list(_settings_misfits(placed, grid, published))
    else:
        placed = Placed(validated(node, Layout), node)
        problems = [*_row_misfits(placed, grid, published), *_column_misfits(placed, grid, published)]
    if problems:
        raise UserError(problems)
    return placed


def _row_misfits(placed: Placed, grid: Grid, published: Published) -> Iterator[Problem]:
    rows = placed.layout.rows
    if rows.axis not in grid.axes:
        yield Problem(f"the grid {grid.name!r} has no axis {rows.axis!r}", placed.where("rows", "axis"),
                      nearest(rows.axis, grid.axes))
        return
    table, known = placed.layout.published, published.file.tables
    if table is not None and table not in known:
        yield Problem(f"the paper has no table {table!r} of numbers", placed.where("published"), nearest(table, known))
    for i, name in enumerate(placed.layout.also):
        if name not in known or table is None:
            yield Problem(f"there is no published table {name!r}" if table else "`also` needs `published`, which is "
                          "not given", placed.where("also", i), nearest(name, known))
    for i, name in enumerate(placed.layout.other_protocol):
        if name not in (table, *placed.layout.also):
            yield Problem(f"{name!r} is neither `published` nor in `also`", placed.where("other_protocol", i),
                          nearest(name, placed.layout.also))
    yield from _unknown_rows(rows.order, placed, grid, "rows", "order")
    for i, group in enumerate(rows.groups):
        here = ("rows", "groups", i)
        yield from _unknown_rows(group.rows or (), placed, grid, *here, "rows")
        unknown = list(unknown_labels(group.where, grid, lambda *path, here=here: placed.where(*here, "where", *path)))
        yield from unknown or _block_misfits(group, placed, grid, here)
        for j, label in enumerate(group.published):
            if table not in known or label not in known[table].rows:
                yield Problem(f"the paper's table {table!r} has no row {label!r}", placed.where(*here, "published", j),
                              nearest(label, known[table].rows) if table in known else "name it with `published:`")


def _block_misfits(group: Group, placed: Placed, grid: Grid, here: Sequence[str | int]) -> Iterator[Problem]:
    labels = block_labels(group, placed.layout.rows, grid)
    if not labels and not group.published:
        yield Problem("no run of the grid matches, so the block has no rows", placed.where(*here, "where"),
                      "use labels that occur together in its runs")
    elif group.base is not None and group.base not in labels:
        yield Problem(f"the base row {group.base!r} is not in its block", placed.where(*here, "base"),
                      nearest(group.base, labels))


def _unknown_rows(labels: Sequence[str], placed: Placed, grid: Grid, *here: str | int) -> Iterator[Problem]:
    known = grid.axes[placed.layout.rows.axis]
    for i, label in enumerate(labels):
        if label not in known:
            yield Problem(f"the grid {grid.name!r} has no row {label!r}", placed.where(*here, i),
                          nearest(label, known))


def _column_misfits(placed: Placed, grid: Grid, published: Published) -> Iterator[Problem]:
    labels = [column.label for column in placed.layout.columns]
    for i, column in enumerate(placed.layout.columns):
        yield from unknown_labels(column.where, grid, lambda *path, i=i: placed.where("columns", i, "where", *path))
        for j, label in enumerate(column.average):
            if label not in labels[:i] or placed.layout.columns[labels.index(label)].average:
                yield Problem(f"there is no column {label!r} of numbers before the average",
                              placed.where("columns", i, "average", j), nearest(label, labels[:i]))
        table = published.file.tables.get(placed.layout.published or "")
        if table is not None:
            yield from _published_misfits(i, column, placed, grid, table.columns)


def _published_misfits(i: int, column: Column, placed: Placed, grid: Grid, known: dict) -> Iterator[Problem]:
    """A column may be compared only with published numbers of the same quantity and epoch."""
    name = column.published or column.label
    if name not in known:
        if column.published:
            yield Problem(f"the paper's table has no column {name!r}", placed.where("columns", i, "published"),
                          nearest(name, known))
        return
    runs = [run for run in grid.runs if matches(run.labels, column.where)]
    names = column.metric or tuple({str(run.config.train.select).partition(" ")[2] for run in runs})
    ours = {metric.rpartition("/")[2] for metric in names if metric.rpartition("/")[2] in QUANTITIES}
    if ours - {known[name].metric} and not column.average:
        yield Problem(f"the paper's column {name!r} shows {known[name].metric}, this one {' and '.join(sorted(ours))}",
                      placed.where("columns", i), "show the same metric, or name another column with `published:`")
    elif known[name].epoch != column.epoch and known[name].metric != "parameters":
        yield Problem(f"the paper's column {name!r} shows the {known[name].epoch} epoch, this one {column.epoch}",
                      placed.where("columns", i), "show the same epoch, or name another column with `published:`")


def _settings_misfits(placed: PlacedSettings, grid: Grid, published: Published) -> Iterator[Problem]:
    layout, tables = placed.layout, published.file.configurations
    for i, row in enumerate(layout.rows):
        for key in row.where:
            if key not in grid.axes and not is_field(key):
                yield Problem(f"{key!r} is neither an axis of the grid {grid.name!r} nor a field",
                              placed.where("rows", i, "where", key), nearest(key, [*grid.axes, *fields()]))
                return
        if not runs_of(row, grid):
            yield Problem(f"the grid {grid.name!r} has no runs for the row {row.label!r}",
                          placed.where("rows", i, "where"))
    for i, column in enumerate(layout.columns):
        if column.field not in fields():
            yield Problem(f"unknown field {column.field!r}", placed.where("columns", i, "field"),
                          nearest(column.field, fields()))
    if layout.published is not None and layout.published not in tables:
        yield Problem(f"the paper has no table {layout.published!r} of settings", placed.where("published"),
                      nearest(layout.published, tables))
    elif layout.published is not None:
        table = tables[layout.published]
        for part, known in (("rows", table.rows), ("columns", table.columns)):
            for i, named in enumerate(getattr(layout, part)):
                if named.label not in known:
                    yield Problem(f"the paper's table {layout.published} has no {part[:-1]} {named.label!r}",
                                  placed.where(part, i, "label"), nearest(named.label, known))
