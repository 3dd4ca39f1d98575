"""What the page tells of a cell when it is pointed at: numbers, runs, settings and learning curve, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from suite.differences import differences, settings, usual
from suite.report.figures import Line
from suite.report.results import status
from suite.report.table import Cell, Head

if TYPE_CHECKING:
    from suite.report.document import Document

MOST_POINTS = 60  # of a learning curve: more cannot be told apart at its size


def details(document: Document) -> dict[str, Any]:
    """Runs and cells of a grid: `runs` as [id, seed, state, its detail, labels], `cells` in the order of the tables.

    A cell has `what` its number is, `facts` as [name, text], `seeds` as [index of the run, number], `settings` as
    [field, value, usual value], and the `curve` over epochs.
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
    firsts = dict.fromkeys(cell.run_ids[0] for table in document.tables for row in table.cells for cell in row
                           if cell.run_ids)
    fields = {run_id: settings(configs[run_id]) for run_id in firsts}
    base = usual(fields.values())
    cells = []
    for table in document.tables:
        for row in table.cells:
            for cell, head in zip(row, table.heads, strict=True):
                changed = differences(fields[cell.run_ids[0]], base) if cell.run_ids else {}
                cells.append({
                    "what": _what(head), "facts": list(facts(cell, head)),
                    "seeds": _seeds(cell, head, place, configs),
                    "settings": [[key, _told(value), _told(other)] for key, (value, other) in changed.items()],
                    "curve": _curve(document.curves.get((head.metric.name, cell.run_ids)))})
    return {"axes": list(grid.axes), "runs": runs, "cells": cells}


def _what(head: Head) -> str:
    unit = f" ({head.metric.unit})" if head.metric.unit else ""
    return f"{head.metric.words}{unit}, {head.epoch_words}"


def facts(cell: Cell, head: Head) -> Iterable[tuple[str, str]]:
    """The cell's numbers with their names, or the reason why there is none."""
    if cell.mean is None:
        yield "no number", cell.reason
        return
    yield "n", f"{cell.n}" + (f" ({cell.reason})" if cell.reason else "")
    yield "mean", head.metric.format(cell.mean)
    if cell.std is not None:
        yield "standard deviation", head.metric.format(cell.std)
    if cell.interval is not None:
        yield "95 % interval of the mean", " to ".join(map(head.metric.format, cell.interval))


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
