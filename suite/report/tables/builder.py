"""Builds a table from a layout, a grid and its results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from suite.errors import UserError
from suite.report.metric import metric
from suite.report.tables.cells import average, difference, make_cell, mark_chance, published_cell, ranked
from suite.report.tables.layout import Column, Group, Labels, Match, Placed, block_labels, matches, ordered_labels
from suite.report.tables.so_far import so_far
from suite.report.tables.table import Cell, Head, Line, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid, GridRun
    from suite.report.published.papers import Published
    from suite.report.tables.results import Results, Sample


@dataclass(frozen=True)
class Row:
    """A row to be filled: its unique name, its label on the axis, the `where` of its runs, and how it is shown.

    `printed` is its name in the paper. It differs from `name` if the row is in a second block under another name.
    """

    name: str
    label: str | None
    where: Match
    line: Line
    printed: str


@dataclass(frozen=True)
class Source:
    """The inputs of a table."""

    placed: Placed
    grid: Grid
    results: Results
    published: Published


def build_table(placed: Placed, grid: Grid, results: Results, published: Published) -> Table:
    """The table of a layout. Raises UserError for unknown metrics, and if a cell would mix configurations."""
    source = Source(placed, grid, results, published)
    layout, rows = placed.layout, rows_of(placed, grid, published)
    heads: list[Head] = []
    columns: dict[str, list[Cell]] = {}
    for i, column in enumerate(layout.columns):
        if column.average:
            head = _average_head(i, column, heads, source)
            parts = [[columns[label][j] for label in column.average] for j in range(len(rows))]
            made = [average(row.name, head, cells) if not row.line.constant else _published(row, head, column, source)
                    for row, cells in zip(rows, parts, strict=True)]
        else:
            head = _head(i, column, source)
            made = _column(i, column, head, rows, source)
        heads.append(head)
        columns[column.label] = ranked(made, head.metric)
    return Table(layout.name, layout.caption, layout.rows.axis or "grid", tuple(row.name for row in rows), tuple(heads),
                 tuple(zip(*columns.values(), strict=True)), tuple(row.line for row in rows), spread=layout.spread,
                 transpose=layout.transpose, published=layout.published or "")


def rows_of(placed: Placed, grid: Grid, published: Published) -> list[Row]:
    """The rows in order: those of each block, or of the whole axis if the layout has no blocks.

    Raises UserError for a row that would have the same name as another.
    """
    rows = placed.layout.rows
    if rows.axis not in grid.axes:
        return [_row(grid.name, None, Line(grid.name))]
    if rows.groups:
        return _named(placed, [row for i, group in enumerate(rows.groups)
                               for row in _block(i, group, placed, grid, published)])
    labels = ordered_labels(rows, grid)
    found = [_row(label, label, Line(label)) for label in labels]
    if any(rows.axis not in combination for combination in grid.combinations):
        name = f"no {rows.axis}"
        while name in labels:
            name = f"({name})"
        found.append(_row(name, None, Line(name)))
    return found


def _row(name: str, label: str | None, line: Line, where: Match | None = None) -> Row:
    return Row(name, label, where or {}, line, name)


def _named(placed: Placed, rows: Iterable[Row]) -> list[Row]:
    """The rows with unique names. A repeated name is extended by the label of its block, or by its base row."""
    found: dict[str, Row] = {}
    for row in rows:
        line, names = row.line, [row.name]
        if not row.where:
            names += [f"{line.group}, {row.name}"] if line.group else []
            names += [f"{row.name} from {line.base}"] if line.base else []
        name = next((name for name in names if name not in found), None)
        if name is None:
            raise UserError(f"the row {line.label!r} of this block has the same name as a row of another",
                            placed.where("rows", "groups", line.block), "give each group its own `label`")
        found[name] = replace(row, name=name)
    return list(found.values())


def _block(i: int, group: Group, placed: Placed, grid: Grid, published: Published) -> Iterable[Row]:
    def name(label: str) -> str:
        return f"{group.label}, {label}" if group.where else label

    for label in block_labels(group, placed.layout.rows, grid):
        base = name(group.base) if group.base and label != group.base else ""
        yield _row(name(label), label, Line(label, group.label, i, base), group.where)
    for label in group.published:
        printed = published.table(placed.layout.published or "").rows[label]
        yield _row(label, None, Line(label, group.label, i, source=printed.citation, constant=True))


def _column(i: int, column: Column, head: Head, rows: Sequence[Row], source: Source) -> list[Cell]:
    axis, layout = source.placed.layout.rows.axis, source.placed.layout
    samples: dict[tuple[int, str | None], Sample] = {}
    by_label: dict[str | None, list[GridRun]] = {}
    for run in head.runs:
        by_label.setdefault(run.labels.get(axis), []).append(run)
    for row in (row for row in rows if not row.line.constant):
        meant = [run for run in by_label.get(row.label, ()) if matches(run.labels, row.where)]
        runs = one_configuration(meant, source.placed.where("columns", i), f"{row.name}, {column.label}")
        samples[row.line.block, row.label] = source.results.sample(runs, head.metric.name, column.epoch)
    made = []
    for row in rows:
        if row.line.constant:
            made.append(_published(row, head, column, source))
            continue
        block, base = row.line.block, row.line.base
        sample = samples[block, row.label]
        reason = "" if sample.runs else _excluded(source.grid, {**column.where, **row.where}, axis, row.label)
        spread = "none" if head.metric.name == "parameters" else layout.spread
        shown = difference(sample, samples[block, layout.rows.groups[block].base], base) if base else sample
        reference = samples[block, layout.rows.groups[block].base].runs if base else None
        cell = make_cell(row.name, head, shown, reason, spread, base,
                         None if shown.values else
                         so_far(source.results, sample.runs, head.metric.name, reference))
        if column.chance and sample.runs:
            cell = mark_chance(cell, head, column.chance, source.results.sample(sample.runs, head.metric.name, "last"))
        made.append(cell)
    return made


def _published(row: Row, head: Head, column: Column, source: Source) -> Cell:
    table = source.placed.layout.published or ""
    return published_cell(row.name, head, source.published.find(table, row.printed, column.published or column.label))


def one_configuration(runs: Iterable[GridRun], where: str, what: str) -> list[GridRun]:
    """The runs without duplicate ids. Raises UserError, at `where`, if two of them have the same seed."""
    found = list({run.run_id: run for run in runs}.values())
    by_seed: dict[int, GridRun] = {}
    for run in found:
        other = by_seed.setdefault(run.config.seed, run)
        if other is not run:
            axes = [axis for axis in run.labels | other.labels if run.labels.get(axis) != other.labels.get(axis)]
            raise UserError(f"{what}: more than one configuration for seed {run.config.seed}", where,
                            "name one label under `where:` of " + (" and ".join(axes) or "an axis that splits them"))
    return found


def _head(i: int, column: Column, source: Source) -> Head:
    placed, grid = source.placed, source.grid
    where = placed.where("columns", i)
    runs = tuple(run for run in grid.runs if matches(run.labels, column.where))
    selects = tuple(dict.fromkeys(str(run.config.train.select) for run in runs))
    meant = runs or tuple(run for run in grid.left_out if matches(run.labels, column.where))
    name = _measured(column.metric, meant) if column.metric else select_metric(meant or grid.runs, where)
    shown = metric(name, where, direction=column.direction, scale=column.scale, digits=column.digits)
    if name != "parameters":
        source.results.require(runs, name, placed.where("columns", i, "metric"))
    longest = max((run.config.train.epochs for run in runs), default=0)
    if isinstance(column.epoch, int) and runs and column.epoch > longest:
        raise UserError(f"epoch {column.epoch} does not exist: the longest run has {longest} epochs",
                        placed.where("columns", i, "epoch"))
    return Head(column.label, shown, column.epoch, selects, runs, column.group, column.short, chance=column.chance)


def _average_head(i: int, column: Column, heads: Sequence[Head], source: Source) -> Head:
    """The head of an average, like that of its columns. Raises UserError if these show different quantities."""
    among = [head for head in heads if head.label in column.average]
    if len({(head.metric.name.rpartition("/")[2], head.metric.unit, head.metric.direction) for head in among}) > 1:
        raise UserError(f"{' and '.join(dict.fromkeys(head.heading for head in among))} cannot be averaged",
                        source.placed.where("columns", i, "average"), "name columns of one quantity and unit")
    return replace(among[0], label=column.label, group=column.group, short=column.short, runs=(),
                   averages=column.average)


def _measured(names: Sequence[str], runs: Sequence[GridRun]) -> str:
    """The first of several metrics that the runs evaluate. For example, the profile `mini` has other sampling rates."""
    evaluated = {entry for run in runs for entry in run.config.train.evaluate}
    return next((name for name in names if name.partition("/")[0] in evaluated), names[0])


def select_metric(runs: Sequence[GridRun], where: str) -> str:
    """The metric by which the best epoch of these runs is selected. Raises UserError if they differ."""
    names = {str(run.config.train.select).partition(" ")[2] for run in runs}
    if len(names) != 1:
        raise UserError(f"these runs are selected by different metrics: {', '.join(sorted(names))}", where,
                        "name one with `metric:`")
    return names.pop()


def _excluded(grid: Grid, match: dict[str, Labels], axis: str, label: str | None) -> str:
    match = match | {axis: (label,)} if axis else match
    return "; ".join(dict.fromkeys(out.reason for out in grid.excluded if matches(out.labels, match)))
