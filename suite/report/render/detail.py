"""What the page shows of a cell when it is pointed at: numbers, runs, settings and learning curve.

`details` gives what `page.js` reads: the fields of these classes are the keys of its JSON.
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

MOST_POINTS = 60  # of a learning curve: more cannot be told apart at its size


@dataclass(frozen=True)
class RunDetail:
    """A run: `detail` is that of its `state`, and `labels` are those of the grid's axes."""

    id: str
    seed: int
    state: str
    detail: str
    labels: list[str]


@dataclass(frozen=True)
class Fact:
    """Something that is known of a cell."""

    name: str
    text: str


@dataclass(frozen=True)
class SeedDetail:
    """A run of a cell, as the index among the grid's runs, and its number as it is shown, or ''."""

    run: int
    number: str


@dataclass(frozen=True)
class SettingDetail:
    """A field that differs: its value, and the `other` one, which is that of the base row or the usual one."""

    field: str
    value: str
    other: str


@dataclass(frozen=True)
class CurveDetail:
    """A learning curve over epochs. None stands for what is not a number."""

    epochs: list[int]
    mean: list[float | None]
    std: list[float | None]


@dataclass(frozen=True)
class CellDetail:
    """A cell: `what` its number is, and the row `base` whose settings it is compared with, '' for the usual ones."""

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
    every = cells_of(document)
    shown = dict.fromkeys(told.cell.run_ids[0] for told in every if told.cell.run_ids)
    fields = {run_id: settings(configs[run_id]) for run_id in shown}
    common = usual(fields.values())
    cells = [CellDetail(what=told.what, facts=[Fact(*fact) for fact in told.facts],
                        base=told.cell.base if told.base_run else "",
                        seeds=_seeds(told.cell, told.head, places, configs),
                        settings=_settings(told.cell, fields, fields[told.base_run] if told.base_run else common),
                        curve=_curve(document.curves.get(curve_of(told.head, told.cell)))) for told in every]
    return GridDetails(list(grid.axes), runs, cells)


def _run(run: GridRun, document: Document) -> RunDetail:
    state = document.states[run.run_id]
    words = "done" if state.name == "done" else status(state, run.config.train.epochs)[1]
    return RunDetail(run.run_id, run.config.seed, words, state.detail,
                     [run.labels.get(axis, "") for axis in document.grid.axes])


@dataclass(frozen=True)
class Told:
    """A cell with its table and head, `what` its number is, `facts` about it as (name, text), and a run of its base."""

    table: Table
    cell: Cell
    head: Head
    what: str
    facts: list[tuple[str, str]]
    base_run: str


def cells_of(document: Document) -> list[Told]:
    """Every cell in the order of the tables, rows and columns."""
    found = []
    for table in document.tables:
        first = {(cell.row, cell.column): cell.run_ids[0] for row in table.cells for cell in row if cell.run_ids}
        for row in table.cells:
            for cell, head in zip(row, table.heads, strict=True):
                base = first.get((cell.base, cell.column), "")
                told = [*facts(cell, head), *examples(document, table, cell, head)]
                found.append(Told(table, cell, head, _what(head), told, base))
    return found


def _what(head: Head) -> str:
    if not head.metric.words:
        return "a setting of the runs"
    unit = f" ({head.metric.unit})" if head.metric.unit else ""
    when = f"mean of {', '.join(head.averages)}" if head.averages else head.epoch_words
    return f"{head.metric.words}{unit}, {when}"


def facts(cell: Cell, head: Head) -> Iterable[tuple[str, str]]:
    """The cell's numbers with their names, or the reason why there is none, and what the paper prints."""
    def told(value: float) -> str:
        return head.metric.format(value, signed=bool(cell.base))

    if cell.mean is None:
        yield ("no number", cell.reason) if cell.reason else ("shown", cell.text)
        if cell.so_far is not None:
            yield "so far", cell.rest
    else:
        if not head.averages:
            yield "n", f"{cell.n}" + (f" ({cell.reason})" if cell.reason else "")
        yield (f"mean difference from {cell.base}" if cell.base else "mean"), told(cell.mean)
    if cell.std is not None:
        yield "standard deviation", head.metric.format(cell.std)
    if cell.interval is not None:
        yield "95 % interval of the mean", " to ".join(map(told, cell.interval))
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
    """On how many examples the cell was evaluated, and the interval of its mean over seeds and examples."""
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
    return [SettingDetail(name, _told(value), _told(other)) for name, (value, other) in changed.items()]


def _told(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value)) or "none"
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
