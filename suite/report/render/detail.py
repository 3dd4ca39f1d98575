"""The details of a cell that the page shows on request: numbers, runs, settings and learning curve.

`details` makes the input of `page.js`: the fields of these classes are the keys of its JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.config.compare import differences, settings, usual
from suite.report.claims.outcome import equals
from suite.report.figures.curves import Line, curve_of
from suite.report.published.number import paper_of
from suite.report.tables.cells import count_examples
from suite.report.tables.evaluated import NOT_RECORDED, counted, noun, split_of
from suite.report.tables.results import status
from suite.report.tables.table import NEAR, Cell, Head, Table

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig
    from suite.grid.model import GridRun
    from suite.report.document import Document
    from suite.report.tables.table import Judged

MOST_POINTS = 60  # of a learning curve; more are not visible at its size


@dataclass(frozen=True)
class RunDetail:
    """A run with its `state` and details on it; `labels` has one label for each axis of the grid."""

    id: str
    seed: int
    state: str
    detail: str
    labels: list[str]


@dataclass(frozen=True)
class Fact:
    """A fact about a cell, with its name."""

    name: str
    text: str


@dataclass(frozen=True)
class SeedDetail:
    """A run of a cell: its index among the grid's runs, and its number as text ("" if it has none)."""

    run: int
    number: str


@dataclass(frozen=True)
class SettingDetail:
    """A field that differs: its value, and the `other` value, of the base row or of most rows of the grid."""

    field: str
    value: str
    other: str


@dataclass(frozen=True)
class CurveDetail:
    """A learning curve over epochs. None replaces NaN."""

    epochs: list[int]
    mean: list[float | None]
    std: list[float | None]


@dataclass(frozen=True)
class CellDetail:
    """A cell: `what` describes its number; its settings are compared with the row `base` ("": the usual ones)."""

    what: str
    facts: list[Fact]
    base: str
    seeds: list[SeedDetail]
    settings: list[SettingDetail]
    curve: CurveDetail | None


@dataclass(frozen=True)
class GridDetails:
    """A grid: the names of its axes, its runs, and its cells in the order of the tables."""

    axes: list[str]
    runs: list[RunDetail]
    cells: list[CellDetail]


def details(document: Document) -> GridDetails:
    """The runs and cells of a grid."""
    grid = document.grid
    configs = {run.run_id: run.config for run in grid.runs}
    runs = [_run(run, document) for run in grid.runs]
    places: dict[str, int] = {}
    for place, run in enumerate(runs):
        places.setdefault(run.id, place)
    described = cells_of(document)
    shown = dict.fromkeys(one.cell.run_ids[0] for one in described if one.cell.run_ids)
    fields = {run_id: settings(configs[run_id]) for run_id in shown}
    common = usual(fields.values())
    cells = [CellDetail(what=one.what, facts=[Fact(*fact) for fact in one.facts],
                        base=one.cell.base if one.base_run else "",
                        seeds=_seeds(one.cell, one.head, places, configs),
                        settings=_settings(one.cell, fields, fields[one.base_run] if one.base_run else common),
                        curve=_curve(document.curves.get(curve_of(one.head, one.cell)))) for one in described]
    return GridDetails(list(grid.axes), runs, cells)


def _run(run: GridRun, document: Document) -> RunDetail:
    state = document.states[run.run_id]
    words = "done" if state.name == "done" else status(state, run.config.train.epochs)[1]
    return RunDetail(run.run_id, run.config.seed, words, state.detail,
                     [run.labels.get(axis, "") for axis in document.grid.axes])


@dataclass(frozen=True)
class DescribedCell:
    """A cell with its table and head, a description of its number, facts as (name, text), and a run of its base row."""

    table: Table
    cell: Cell
    head: Head
    what: str
    facts: list[tuple[str, str]]
    base_run: str


def cells_of(document: Document) -> list[DescribedCell]:
    """All cells in the order of tables, rows and columns."""
    found = []
    for table in document.tables:
        first = {(cell.row, cell.column): cell.run_ids[0] for row in table.cells for cell in row if cell.run_ids}
        for row in table.cells:
            for cell, head in zip(row, table.heads, strict=True):
                base = first.get((cell.base, cell.column), "")
                every = [*facts(cell, head), *examples(document, table, cell, head)]
                found.append(DescribedCell(table, cell, head, _what(head), every, base))
    return found


def _what(head: Head) -> str:
    if not head.metric.words:
        return "a setting of the runs"
    unit = f" ({head.metric.unit})" if head.metric.unit else ""
    when = f"mean of {', '.join(head.averages)}" if head.averages else head.epoch_words
    return f"{head.metric.words}{unit}, {when}"


def facts(cell: Cell, head: Head) -> Iterable[tuple[str, str]]:
    """Named facts about a cell: its numbers, or the reason why it has none, and the published numbers."""
    def text(value: float) -> str:
        return head.metric.format(value, signed=bool(cell.base))

    if cell.mean is None:
        yield ("no number", cell.reason) if cell.reason else ("shown", cell.text)
        if cell.so_far is not None:
            yield "so far", cell.rest
    else:
        if not head.averages:
            yield "n", f"{cell.n}" + (f" ({cell.reason})" if cell.reason else "")
        yield (f"mean difference from {cell.base}" if cell.base else "mean"), text(cell.mean)
    if cell.std is not None:
        yield "standard deviation", head.metric.format(cell.std)
    if cell.interval is not None:
        yield "95 % interval of the mean", " to ".join(map(text, cell.interval))
    if cell.p_from_best is not None:
        words = "not distinguishable" if cell.p_from_best > NEAR else "differs"
        yield "from the best", f"{words}, p {equals(cell.p_from_best)} after Holm and after selection"
    for one in cell.judged:
        paper, name = paper_of(one.table)
        yield f"{paper or 'paper'}, table {name.replace('-', ' ')}", f"{one.text} ({one.row}, {one.column})"
        if one.difference is not None:
            yield "ours − published", _difference(one, head)
        yield "verdict", ": ".join(filter(None, (one.verdict, one.reason)))
        if one.remark:
            yield "note", one.remark


def examples(document: Document, table: Table, cell: Cell, head: Head) -> Iterable[tuple[str, str]]:
    """The number of evaluated examples, and the interval of the mean over seeds and examples."""
    place = table.name, cell.row, cell.column
    if cell.mean is None or not head.runs or place not in document.over_examples:
        return
    name, interval = noun(head.runs[0]), document.over_examples[place]
    count = count_examples(head.runs[0], split_of(head.metric.name))
    if count:
        yield "evaluated on", counted(count, name)
    yield f"95 % interval over seeds and {name}", \
        " to ".join(map(head.metric.format, interval)) if interval else NOT_RECORDED


def _difference(one: Judged, head: Head) -> str:
    sides = [head.metric.format(side, signed=True) for side in one.interval or ()]
    interval = f", 95 % interval {' to '.join(sides)}" if sides else ""
    return head.metric.format(one.difference or 0.0, signed=True) + interval


def _seeds(cell: Cell, head: Head, places: Mapping[str, int],
           configs: Mapping[str, RunConfig]) -> list[SeedDetail]:
    values = cell.values or {}
    return [SeedDetail(places[run_id],
                       head.metric.format(values[seed]) if (seed := configs[run_id].seed) in values else "")
            for run_id in cell.run_ids]


def _settings(cell: Cell, fields: Mapping[str, Mapping[str, object]],
              base: Mapping[str, object]) -> list[SettingDetail]:
    changed = differences(fields[cell.run_ids[0]], base) if cell.run_ids else {}
    return [SettingDetail(name, _text(value), _text(other)) for name, (value, other) in changed.items()]


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _curve(line: Line | None) -> CurveDetail | None:
    if line is None or len(line.epochs) < 2:
        return None
    step = math.ceil(len(line.epochs) / MOST_POINTS)
    shown = [*range(0, len(line.epochs) - 1, step), len(line.epochs) - 1]
    return CurveDetail([int(line.epochs[i]) for i in shown], [_short(line.mean[i]) for i in shown],
                       [_short(line.std[i]) for i in shown])


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
