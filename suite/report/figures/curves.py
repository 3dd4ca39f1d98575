"""Learning curves: mean over seeds with a band of one sample standard deviation, one panel per column of a table.

Grids that measure kernels get time against length instead, one panel per table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.report.figures.plot import canvas, legend_label, look, style
from suite.report.tables.results import Results

if TYPE_CHECKING:
    from suite.report.tables.table import Cell, Head, Table

ACROSS = 3  # panels side by side


@dataclass(frozen=True)
class Line:
    """One curve: mean and sample standard deviation (NaN for one seed) at each of `epochs`, all (epochs,)."""

    label: str
    epochs: np.ndarray
    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Panel:
    """The curves of one column. `metric` is the label of the vertical axis, with its unit.

    `x` is epoch, or length on a logarithmic axis; `Line.epochs` then has lengths.
    """

    title: str
    metric: str
    lines: tuple[Line, ...]
    x: str = "epoch"


Curves = dict[tuple[str, float, tuple[str, ...]], Line]


def curve_of(head: Head, cell: Cell) -> tuple[str, float, tuple[str, ...]]:
    """The key of a cell's learning curve: its metric, the factor to the shown unit, its runs."""
    return head.metric.name, head.metric.factor, cell.run_ids


def curves(tables: Iterable[Table], results: Results) -> Curves:
    """The learning curve of each cell that has one, in the unit of its column."""
    found: Curves = {}
    for table in tables:
        for row in table.cells:
            for cell, head in zip(row, table.heads, strict=True):
                key = curve_of(head, cell)
                if key not in found and cell.run_ids:
                    line = _line(cell.row, cell.run_ids, head.metric.name, head.metric.factor, results)
                    found |= {key: line} if line is not None else {}
    return found


def panels(tables: Iterable[Table], results: Results, lines: Curves) -> tuple[Panel, ...]:
    """One panel for each column with curves. Columns that differ only in the epoch share a panel."""
    found: dict[tuple[Any, ...], Panel] = {}
    for table in tables:
        if any(run.config.kind == "bench" for head in table.heads for run in head.runs):
            panel = _measured(table, results)
            found |= {(table.name,): panel} if panel.lines else {}
            continue
        keys = [(head.metric.name, tuple(run.run_id for run in head.runs)) for head in table.heads]
        for j, (key, head) in enumerate(zip(keys, table.heads, strict=True)):
            drawn = [lines.get(curve_of(head, cells[j])) for cells in table.cells]
            if key not in found and any(line is not None for line in drawn):
                named = zip(table.rows, drawn, strict=True)
                title = _title([other for k, other in zip(keys, table.heads, strict=True) if k == key])
                found[key] = Panel(title, head.metric.axis, tuple(replace(line, label=name)
                                                                  for name, line in named if line is not None))
    return tuple(found.values())


def _title(heads: Sequence[Head]) -> str:
    """The common words of the labels of columns that differ only in the epoch, without that epoch."""
    labels = [head.label.removesuffix(f" {head.epoch}").split() for head in heads]
    same = [words[0] for words in zip(*labels, strict=False) if len(set(words)) == 1]
    return " ".join(same).rstrip(" ,:(") or heads[0].label


def _measured(table: Table, results: Results) -> Panel:
    """The columns in milliseconds against the length of each run."""
    lines = []
    for head in table.heads:
        at = {run.config.bench.length: results.value(run, head.metric.name, "last") for run in head.runs
              if head.metric.name.endswith("/ms")}
        shown = sorted((length, value) for length, value in at.items() if isinstance(value, float))
        if shown:
            lengths, values = (np.array(side, dtype=np.float64) for side in zip(*shown, strict=True))
            lines.append(Line(head.label, lengths, values, np.full(len(values), np.nan)))
    title = next((run.labels.get("kernel", "") for head in table.heads for run in head.runs), "")
    return Panel(title or table.name, "one pass (ms)", tuple(lines), x="length L")


def _line(label: str, run_ids: Sequence[str], metric: str, factor: float, results: Results) -> Line | None:
    measured = [run_id for run_id in run_ids if metric in results.measured[run_id]]
    if not measured:
        return None
    epochs = [results.series(run_id, "epoch").astype(np.int64) for run_id in measured]
    values = np.full((len(measured), max(e.max() for e in epochs) + 1), np.nan)
    for row, run_id, at in zip(values, measured, epochs, strict=True):
        row[at] = results.series(run_id, metric) * factor
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    shown = np.flatnonzero(n)
    if not len(shown):
        return None
    total = np.where(finite, values, 0.0).sum(axis=0)
    mean = np.divide(total, n, where=n > 0, out=np.full(len(n), np.nan))
    squares = np.where(finite, (values - mean) ** 2, 0.0).sum(axis=0)
    std = np.sqrt(np.divide(squares, n - 1, where=n > 1, out=np.full(len(n), np.nan)))
    return Line(label, shown, mean[shown], std[shown])


def figure(shown: Sequence[Panel]) -> Any:
    """A figure of at least one panel, with one legend."""
    across = min(len(shown), ACROSS)
    down = -(-len(shown) // across)
    names = list(dict.fromkeys(line.label for panel in shown for line in panel.lines))
    columns, legend_rows = _legend_shape(names, across)
    with style():
        made = canvas(3.5 * across, 2.7 * down + 0.25 * legend_rows + 0.15)
        handles: dict[str, object] = {}
        for i, panel in enumerate(shown):
            _axes(made.add_subplot(down, across, i + 1), panel, names, handles)
        made.legend([handles[name] for name in names], [legend_label(name) for name in names],
                      loc="outside lower center", ncols=columns, frameon=False)
    return made


def _legend_shape(names: Sequence[str], across: int) -> tuple[int, int]:
    """Columns and rows of the legend: as many columns as the longest name allows, evenly filled."""
    inches = 0.55 + 0.075 * max(map(len, names))
    rows = -(-len(names) // max(1, int(3.5 * across / inches)))
    return -(-len(names) // rows), rows


def _axes(axes: Any, panel: Panel, names: Sequence[str], handles: dict[str, object]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    for line in panel.lines:
        shown = look(names.index(line.label))
        marker = "o" if len(line.epochs) < 3 or panel.x != "epoch" else None
        handles[line.label], = axes.plot(line.epochs, line.mean, marker=marker, markersize=4, **shown)
        axes.fill_between(line.epochs, line.mean - line.std, line.mean + line.std, color=shown["color"], alpha=0.18,
                          linewidth=0)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.metric)
    if panel.x == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        plain = FuncFormatter(lambda value, _: f"{value:,g}")  # the default labels are formulas, which are switched off
        axes.xaxis.set_major_locator(LogLocator(base=4))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(plain)
        axes.yaxis.set_major_formatter(plain)


def curve_words(panels: Iterable[Panel]) -> tuple[str, str]:
    """The title and the caption of the figure."""
    if any(panel.x != "epoch" for panel in panels):
        return "Run time against sequence length", "Median of interleaved passes; both axes are logarithmic."
    return ("Learning curves",
            "Lines: mean over the seeds that have reached the epoch; bands: ± sample standard deviation.")
