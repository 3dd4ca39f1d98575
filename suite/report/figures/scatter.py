"""Our numbers against the published ones, one panel per unit. On the diagonal they are equal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from suite.report.figures.plot import COLOURS, PAPER, TEXT, canvas, style
from suite.report.tables.table import Table

MARKS = "osD^vP*"
FEWEST = 3  # points of a panel; fewer show no more than the table
ACROSS = 3  # panels side by side


@dataclass(frozen=True)
class Point:
    """A cell with both numbers: its column, both values, our interval, and whether the two are comparable."""

    column: str
    published: float
    ours: float
    interval: tuple[float, float] | None
    comparable: bool


def points(table: Table) -> dict[str, list[Point]]:
    """The cells with both numbers, by the label of their axis."""
    found: dict[str, list[Point]] = {}
    for row in table.cells:
        for cell, head in zip(row, table.heads, strict=True):
            one = cell.judged[0] if cell.judged else None
            if one is None or one.value is None or cell.mean is None or not cell.n:
                continue
            unit = f"{head.metric.words}, difference ({head.metric.difference_unit})" if cell.base else head.metric.axis
            found.setdefault(unit, []).append(Point(head.label, one.value, cell.mean, cell.interval,
                                                    one.difference is not None))
    return {unit: shown for unit, shown in found.items() if len(shown) >= FEWEST}


def figure(table: Table) -> Any:
    """One panel per unit. Open marks are cells that are not comparable, for example of another profile."""
    units = points(table)
    columns = list(dict.fromkeys(point.column for shown in units.values() for point in shown))
    across = min(len(units), ACROSS)
    down = -(-len(units) // across)
    with style():
        made = canvas(max(3.5, 3.2 * across), 3.6 * down + 0.22 * -(-len(columns) // 3))
        handles: dict[str, object] = {}
        for i, (unit, shown) in enumerate(units.items()):
            _panel(made.add_subplot(down, across, i + 1), unit, shown, columns, handles)
        made.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(3, len(columns)),
                    frameon=False)
    return made


def _panel(axes: Any, unit: str, shown: Iterable[Point], columns: list[str], handles: dict[str, object]) -> None:
    ends: list[float] = []
    for point in shown:
        place = columns.index(point.column)
        colour = COLOURS[place % len(COLOURS)]
        if point.interval:
            axes.plot([point.published] * 2, point.interval, color=colour, linewidth=1, alpha=0.6)
        drawn, = axes.plot(point.published, point.ours, linestyle="", marker=MARKS[place % len(MARKS)], markersize=5,
                           markeredgecolor=colour, markerfacecolor=colour if point.comparable else PAPER)
        handles.setdefault(point.column, drawn)
        ends += [point.published, point.ours, *(point.interval or ())]
    low, high = min(ends), max(ends)
    room = 0.06 * (high - low) or 1.0
    axes.plot([low - room, high + room], [low - room, high + room], color=TEXT, linewidth=0.8, zorder=1)
    axes.set(xlim=(low - room, high + room), ylim=(low - room, high + room), aspect="equal")
    axes.set_title(unit, fontsize=9)
    axes.set(xlabel="published", ylabel="ours")
