"""A table as a figure: the mean of each cell with its 95 % interval, next to the published number."""

from __future__ import annotations

from typing import Any

from suite.report.figures.plot import COLOURS, PAPER, TEXT, canvas, style
from suite.report.tables.table import Cell, Head, Table

ACROSS = 3  # panels side by side
MARK = {"marker": "D", "markersize": 4.5, "markerfacecolor": PAPER, "markeredgecolor": COLOURS[1], "linestyle": ""}


def columns(table: Table) -> list[int]:
    """The indices of the columns with our own numbers, which are drawn."""
    if table.kind != "numbers":
        return []
    return [j for j in range(len(table.heads)) if any(row[j].mean is not None and row[j].n for row in table.cells)]


def words(table: Table) -> str:
    """The caption. It mentions differences if there are any."""
    differences = any(form for j in columns(table) for form in _forms(table, j))
    return f"Means over seeds with 95 % intervals (Student){'; bars are differences from the base row' * differences}."


def figure(table: Table) -> Any:
    """One panel for each column and form of its numbers, with one line for each row that is not printed.

    Differences are bars from 0. Absolute numbers are points, because their axis does not begin at 0.
    """
    shown = [(j, differences) for j in columns(table) for differences in _forms(table, j)]
    rows = [i for i, line in enumerate(table.lines) if not line.constant]
    across = min(len(shown), ACROSS)
    down = -(-len(shown) // across)
    bases = {line.base for line in table.lines if line.base}
    names = [f"{name} (base)" if name in bases else name for name in (table.rows[i] for i in rows)]
    widest = max(map(len, names)) * 0.075
    with style():
        made = canvas(min(11.0, widest + 2.6 * across), down * (0.24 * len(rows) + 0.85) + 0.35)
        for i, (j, differences) in enumerate(shown):
            axes = made.add_subplot(down, across, i + 1)
            _panel(axes, table.heads[j], [table.cells[i][j] for i in rows], differences)
            axes.set_yticks(range(len(rows)), names if i % across == 0 else [""] * len(names))
        if any(_published(row[j]) for row in table.cells for j, _ in shown):
            made.legend([axes.plot([], [], **MARK)[0]], ["published, ± its standard deviation"],
                        loc="outside lower center", frameon=False)
    return made


def _forms(table: Table, j: int) -> list[bool]:
    """The forms of a column: True if it has differences; False if it has absolute numbers besides their base rows."""
    numbers = [(bool(row[j].base), line.block) for row, line in zip(table.cells, table.lines, strict=True)
               if row[j].mean is not None and row[j].n]
    relative = {block for differences, block in numbers if differences}
    return [True] * bool(relative) + [False] * any(block not in relative for _, block in numbers)


def _panel(axes: Any, head: Head, cells: list[Cell], differences: bool) -> None:
    for y, cell in enumerate(cells):
        if bool(cell.base) != differences:
            continue
        if cell.mean is not None and cell.n:
            low, high = cell.interval or (cell.mean, cell.mean)
            if cell.base:
                axes.barh(y, cell.mean, height=0.55, color=COLOURS[0], alpha=0.45)
            axes.plot([low, high], [y, y], color=COLOURS[0], linewidth=1.6)
            axes.plot(cell.mean, y, "o", color=COLOURS[0], markersize=4)
        for value, std in _published(cell):
            axes.plot([value - std, value + std], [y - 0.28, y - 0.28], color=COLOURS[1], linewidth=1)
            axes.plot(value, y - 0.28, **MARK)
    if differences:
        axes.axvline(0, color=TEXT, linewidth=0.8)
    axes.set_ylim(len(cells) - 0.4, -0.6)  # the first row on top
    axes.grid(axis="y", visible=False)
    axes.set_title(f"{head.group} {head.short}" if head.group and head.short else head.label)
    unit = head.metric.difference_unit
    axes.set_xlabel(f"{head.metric.words},\ndifference ({unit})" if differences else head.metric.axis)


def _published(cell: Cell) -> list[tuple[float, float]]:
    """Value and standard deviation of the published number of the cell's own table, if it is comparable."""
    comparable = [one for one in cell.judged[:1] if one.difference is not None and one.value is not None]
    return [(one.value, one.std or 0.0) for one in comparable if one.value is not None]
