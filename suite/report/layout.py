"""Layouts of tables, `reports/tables/*.yaml`: which runs of a grid stand in which row and column, and what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from suite.errors import Problem, UserError, nearest
from suite.report.part import NAME, Part, validated
from suite.yamlfile import Node, Where, load_yaml

if TYPE_CHECKING:
    from suite.grid import Grid


def label_text(value: Any) -> Any:
    """A label as grids write it: `true` for True, `64` for 64. None stands for runs that lack the axis."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _label_list(value: Any) -> Any:
    if isinstance(value, list | tuple) and not value:
        raise ValueError("there is no label")
    return tuple(label_text(v) for v in value) if isinstance(value, list | tuple) else (label_text(value),)


Labels = Annotated[tuple[str | None, ...], BeforeValidator(_label_list)]
Match = dict[str, Labels]
Epoch = Literal["best", "first", "last"] | Annotated[int, Field(strict=True, ge=1)]


class Rows(Part):
    """One row for each label of an axis, those of `order` first."""

    axis: str
    order: Annotated[tuple[str, ...], BeforeValidator(_label_list)] = ()


class Column(Part):
    """One column: the runs whose labels are those of `where`, and the number that is shown of each.

    `metric` is the runs' selection metric where it is not given; `epoch: best` is the best by the runs' `train.select`.
    """

    label: str = Field(min_length=1)
    where: Match = {}
    metric: str | None = Field(None, min_length=1)
    epoch: Epoch = "best"
    digits: int | None = Field(None, ge=0, le=9, strict=True)
    scale: Literal["percent", "raw"] | None = None
    direction: Literal["max", "min"] | None = None


def _rows(value: Any) -> Any:
    return {"axis": value} if isinstance(value, str) else value


def _unique(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    if not columns:
        raise ValueError("a table needs a column")
    labels = [c.label for c in columns]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise ValueError(f"two columns are labelled {twice[0]!r}")
    return columns


class Layout(Part):
    """A table: `name` names it, `grid` the grid that it shows (default: the name)."""

    name: str = Field(pattern=NAME)
    grid: str = ""
    caption: str = ""
    rows: Annotated[Rows, BeforeValidator(_rows)]
    columns: Annotated[tuple[Column, ...], AfterValidator(_unique)]


@dataclass(frozen=True)
class Placed:
    """A layout with the file that it stands in, so that errors name line and key."""

    layout: Layout
    node: Node

    def where(self, *path: Any) -> str:
        """File, line and key of a part of the layout."""
        return self.node.find(path).key(*path)


def layout_files(folder: Path, grid: str) -> list[Path]:
    """The layouts that show a grid: `<grid>.yaml`, and every file with a line `grid: <grid>`."""
    line = re.compile(rf"^grid:\s*[\"']?{re.escape(grid)}[\"']?\s*(#.*)?$", re.MULTILINE)
    return [path for path in sorted(folder.glob("*.yaml")) if _shows(path, grid, line)]


def _shows(path: Path, grid: str, line: re.Pattern[str]) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return bool(line.search(text)) or (path.stem == grid and not re.search(r"^grid:", text, re.MULTILINE))


def load_layout(path: Path, grid: Grid) -> Placed:
    """The layout in a file, checked against the grid. Raises UserError with every problem: file, line, key."""
    node = load_yaml(path)
    placed = Placed(validated(node, Layout), node)
    problems = list(_misfits(placed, grid))
    if problems:
        raise UserError(problems)
    return placed


def _misfits(placed: Placed, grid: Grid) -> Iterator[Problem]:
    layout = placed.layout
    if layout.rows.axis not in grid.axes:
        yield Problem(f"the grid {grid.name!r} has no axis {layout.rows.axis!r}", placed.where("rows", "axis"),
                      nearest(layout.rows.axis, grid.axes))
    for i, label in enumerate(layout.rows.order if layout.rows.axis in grid.axes else ()):
        if label not in grid.axes[layout.rows.axis]:
            yield Problem(f"the grid {grid.name!r} makes no row {label!r}", placed.where("rows", "order", i),
                          nearest(label, grid.axes[layout.rows.axis]))
    for i, column in enumerate(layout.columns):
        yield from unknown_labels(column.where, grid, lambda *path, i=i: placed.where("columns", i, "where", *path))


def unknown_labels(match: Mapping[str, Labels], grid: Grid, where: Any) -> Iterator[Problem]:
    """What `match` names and the grid does not have; `where(axis)` tells the place."""
    for axis, labels in match.items():
        if axis not in grid.axes:
            yield Problem(f"the grid {grid.name!r} has no axis {axis!r}", where(axis), nearest(axis, grid.axes))
            continue
        for label in labels:
            if label is not None and label not in grid.axes[axis]:
                yield Problem(f"the axis {axis!r} of the grid {grid.name!r} has no label {label!r}", where(axis),
                              nearest(label, grid.axes[axis]))


def default_layout(grid: Grid) -> Placed:
    """Rows from the grid's first axis, a column for each combination of the others that it names, its select metric."""
    axes = list(grid.axes)
    others = axes[1:]
    keys: dict[tuple[str | None, ...], None] = {}
    for labels in [*(run.labels for run in grid.runs), *(out.labels for out in grid.excluded)]:
        keys.setdefault(tuple(labels.get(axis) for axis in others))
    order = {axis: {label: i for i, label in enumerate(labels)} for axis, labels in grid.axes.items()}
    ranked = sorted(keys, key=lambda key: [order[a].get(v, -1) if v else -1 for a, v in zip(others, key, strict=True)])
    columns = tuple(Column(label=", ".join(v or f"no {a}" for a, v in zip(others, key, strict=True)) or "all runs",
                           where={a: (v,) for a, v in zip(others, key, strict=True)}) for key in ranked)
    rows = Rows(axis=axes[0] if axes else "")
    layout = Layout.model_construct(name=grid.name, grid=grid.name, caption="", rows=rows, columns=columns)
    return Placed(layout, Node({}, Where(str(grid.path))))


def matches(labels: Mapping[str, str], match: Mapping[str, Labels]) -> bool:
    """Whether a run with these labels is meant."""
    return all(labels.get(axis) in allowed for axis, allowed in match.items())
