"""What the page tells of a cell when it is pointed at: numbers, runs, settings and learning curve, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from suite.config.compare import differences, settings, usual
from suite.report.figures.curves import Line, curve_of
from suite.report.tables.results import status
from suite.report.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from suite.report.document import Document
    from suite.report.tables.table import Judged

MOST_POINTS = 60  # of a learning curve: more cannot be told apart at its size


def details(document: Document) -> dict[str, Any]:
    """Runs and cells of a grid: `runs` as [id, seed, state, its detail, labels], `cells` in the order of the tables.

    A cell has `what` its number is, `facts` as [name, text], `seeds` as [index of the run, number], `settings` as
    [field, value, value in the row `base`, or the usual one], and the `curve` over epochs.
    """
    grid = document.grid
    place: dict[str, int] = {}
    runs: list[list[Any]] = []
    for run in grid.runs:
        state = document.states[run.run_id]
        words = "done" if state.name == "done" else status(state, run.config.train.epochs)[1]
        place.setdefault(run.run_id, len(runs))
        labels = (run.labels.get(axis, "") for axis in grid.axes)
        runs.append([run.run_id, run.config.seed, words, state.detail, *labels])
    configs = {run.run_id: run.config for run in grid.runs}
    every = cells_of(document)
    fields = {run_id: settings(configs[run_id]) for run_id in dict.fromkeys(told.cell.run_ids[0] for told in every
                                                                            if told.cell.run_ids)}
    common = usual(fields.values())
    cells = []
    for told in every:
        cell, base = told.cell, fields[told.base_run] if told.base_run else common
        changed = differences(fields[cell.run_ids[0]], base) if cell.run_ids else {}
        cells.append({
            "what": told.what, "facts": told.facts, "base": cell.base if told.base_run else "",
            "seeds": _seeds(cell, told.head, place, configs),
            "settings": [[key, _told(value), _told(other)] for key, (value, other) in changed.items()],
            "curve": _curve(document.curves.get(curve_of(told.head, cell)))})
    return {"axes": list(grid.axes), "runs": runs, "cells": cells}


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
                found.append(Told(table, cell, head, _what(head), list(facts(cell, head)), base))
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
    else:
        if not head.averages:
            yield "n", f"{cell.n}" + (f" ({cell.reason})" if cell.reason else "")
        yield (f"mean difference from {cell.base}" if cell.base else "mean"), told(cell.mean)
    if cell.std is not None:
        yield "standard deviation", head.metric.format(cell.std)
    if cell.interval is not None:
        yield "95 % interval of the mean", " to ".join(map(told, cell.interval))
    for one in cell.judged:
        yield f"paper, table {one.table.replace('-', ' ')}", f"{one.text} ({one.row}, {one.column})"
        if one.difference is not None:
            yield "ours less the paper's", _difference(one, head)
        yield "verdict", ": ".join(filter(None, (one.verdict, one.reason)))
        if one.remark:
            yield "to be known", one.remark


def _difference(one: Judged, head: Head) -> str:
    sides = [head.metric.format(side, signed=True) for side in one.interval or ()]
    interval = f", 95 % interval {' to '.join(sides)}" if sides else ""
    return head.metric.format(one.difference or 0.0, signed=True) + interval


def _seeds(cell: Cell, head: Head, place: Mapping[str, int], configs: Mapping[str, Any]) -> list[list[Any]]:
    values = cell.values or {}
    return [[place[run_id], head.metric.format(values[seed]) if (seed := configs[run_id].seed) in values else ""]
            for run_id in cell.run_ids]


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _curve(line: Line | None) -> dict[str, list[float | None]] | None:
    if line is None or len(line.epochs) < 2:
        return None
    step = math.ceil(len(line.epochs) / MOST_POINTS)
    shown = [*range(0, len(line.epochs) - 1, step), len(line.epochs) - 1]
    return {"x": [int(line.epochs[i]) for i in shown], "y": [_short(line.mean[i]) for i in shown],
            "s": [_short(line.std[i]) for i in shown]}


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
