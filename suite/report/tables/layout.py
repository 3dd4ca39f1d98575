"""Layouts of tables, `reports/tables/*.yaml`: the runs of each row and column, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from suite.errors import Problem, nearest
from suite.files.yaml import Node, Where
from suite.files.yaml_model import NAME, Part

if TYPE_CHECKING:
    from suite.grid.model import Grid


def label_text(value: Any) -> Any:
    """A label as grids write it: `true` for True, `64` for 64. None means runs that do not have the axis."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _label_list(value: Any) -> Any:
    if isinstance(value, list | tuple) and not value:
        raise ValueError("the list of labels is empty")
    return tuple(label_text(v) for v in value) if isinstance(value, list | tuple) else (label_text(value),)


def _once(labels: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [label for label in labels if labels.count(label) > 1]
    if repeated:
        raise ValueError(f"duplicate row {repeated[0]!r} in the block")
    return labels


Labels = Annotated[tuple[str | None, ...], BeforeValidator(_label_list)]
Match = dict[str, Labels]
Epoch = Literal["best", "first", "last"] | Annotated[int, Field(strict=True, ge=1)]


class Group(Part):
    """A block of rows; its label, if it has one, is a heading.

    `where` selects its runs; `rows` are labels of the axis (default: all). If `base` names one of them, the others are
    shown as differences from it, seed by seed. `published` are rows of the paper's table that are shown as printed:
    results of other work, or models that are not in this suite. The name of a row is its label. The label of the block
    is put in front if the block has a `where`, or if an earlier block has a row with the same label.
    """

    label: str = ""
    where: Match = {}
    rows: Annotated[tuple[str, ...], BeforeValidator(_label_list), AfterValidator(_once)] | None = None
    base: str | None = None
    published: Annotated[tuple[str, ...], AfterValidator(_once)] = ()


class Rows(Part):
    """One row for each label of an axis, those of `order` first, in blocks if there are `groups`."""

    axis: str
    order: Annotated[tuple[str, ...], BeforeValidator(_label_list)] = ()
    groups: tuple[Group, ...] = ()


def _metrics(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Column(Part):
    """One column: the runs whose labels match `where`, and the number that is shown for them.

    `metric` defaults to the runs' selection metric; of several metrics, the first that the runs evaluate is used.
    `epoch: best` is the best epoch by the runs' `train.select`. `group` is a heading over neighbouring columns, `short`
    the label below it. With `chance` (a fraction), a cell that is no better shows X. `average` names columns whose mean
    is shown instead. `published` is the column of the paper's table, if it has another label there.
    """

    label: str = Field(min_length=1)
    group: str = ""
    short: str = ""
    where: Match = {}
    metric: Annotated[tuple[str, ...], BeforeValidator(_metrics)] = ()
    epoch: Epoch = "best"
    digits: int | None = Field(None, ge=0, le=9, strict=True)
    scale: Literal["percent", "raw"] | None = None
    direction: Literal["max", "min"] | None = None
    chance: float | None = Field(None, gt=0, lt=1)
    average: tuple[str, ...] = ()
    published: str | None = None


def _rows(value: Any) -> Any:
    return {"axis": value} if isinstance(value, str) else value


class Labelled(Protocol):
    """An object with a label."""

    label: str


L = TypeVar("L", bound=Labelled)


def unique(columns: tuple[L, ...]) -> tuple[L, ...]:
    """Returns the columns. Raises ValueError if there are none, or if two have the same label."""
    if not columns:
        raise ValueError("a table needs a column")
    labels = [c.label for c in columns]
    repeated = [label for label in labels if labels.count(label) > 1]
    if repeated:
        raise ValueError(f"two columns are labelled {repeated[0]!r}")
    return columns


class Layout(Part):
    """A table: its `name`, the `grid` that it shows (default: the name), and the `published` table of the paper.

    `also` names tables of other papers, whose numbers for the same rows and columns are shown next to ours.
    `other_protocol` names those of them whose models have another size or training; they get no verdict. `spread` is
    the kind of standard deviation after ± (AMB-20). `transpose` swaps rows and columns, for tables with one row.
    """

    name: str = Field(pattern=NAME)
    grid: str = ""
    kind: Literal["numbers"] = "numbers"
    caption: str = ""
    published: str | None = None
    also: tuple[str, ...] = ()
    other_protocol: tuple[str, ...] = ()
    spread: Literal["sample", "population", "none"] = "sample"
    transpose: bool = False
    rows: Annotated[Rows, BeforeValidator(_rows)]
    columns: Annotated[tuple[Column, ...], AfterValidator(unique)]


@dataclass(frozen=True)
class Placed:
    """A layout with its file, so that errors can name line and key."""

    layout: Layout
    node: Node

    def where(self, *path: Any) -> str:
        """File, line and key of a part of the layout."""
        return self.node.find(path).key(*path)


def unknown_labels(match: Mapping[str, Labels], grid: Grid, where: Any) -> Iterator[Problem]:
    """Axes and labels in `match` that the grid does not have; `where(axis)` returns the place for the error."""
    for axis, labels in match.items():
        if axis not in grid.axes:
            yield Problem(f"the grid {grid.name!r} has no axis {axis!r}", where(axis), nearest(axis, grid.axes))
            continue
        for label in labels:
            if label is not None and label not in grid.axes[axis]:
                yield Problem(f"the axis {axis!r} of the grid {grid.name!r} has no label {label!r}", where(axis),
                              nearest(label, grid.axes[axis]))


def ordered_labels(rows: Rows, grid: Grid) -> list[str]:
    """The labels of the rows' axis, those of `order` first."""
    return list(dict.fromkeys([*rows.order, *grid.axes[rows.axis]]))


def block_labels(group: Group, rows: Rows, grid: Grid) -> list[str]:
    """The labels of a block: those that it names, otherwise all labels of runs that match its `where`."""
    if group.rows or group.published:
        return list(group.rows or ())
    used = {labels.get(rows.axis) for labels in grid.combinations if matches(labels, group.where)}
    return [label for label in ordered_labels(rows, grid) if label in used]


def default_layout(grid: Grid) -> Placed:
    """The layout of a grid without one. Rows: the first axis that does not change the task. Columns: all other axes.

    The choice of the row axis does not depend on which runs of the grid are selected.
    """
    axes, complete = list(grid.axes), grid.whole
    rows = next((axis for axis in axes if not _changes_task(axis, complete)), next(iter(axes), ""))
    others = [axis for axis in axes if axis != rows]
    keys: dict[tuple[str | None, ...], None] = {}
    for labels in [*(run.labels for run in grid.runs), *(out.labels for out in grid.excluded)]:
        keys.setdefault(tuple(labels.get(axis) for axis in others))
    order = {axis: {label: i for i, label in enumerate(labels)} for axis, labels in grid.axes.items()}
    ranked = sorted(keys, key=lambda key: [order[a].get(v, -1) if v else -1 for a, v in zip(others, key, strict=True)])
    named = [", ".join(v or f"no {a}" for a, v in zip(others, key, strict=True)) or "all runs" for key in ranked]
    if len(set(named)) < len(named):  # labels with commas; quotes make the names unique
        named = [", ".join(repr(v) if v else f"no {a}" for a, v in zip(others, key, strict=True)) for key in ranked]
    columns = tuple(Column(label=label, where={a: (v,) for a, v in zip(others, key, strict=True)})
                    for label, key in zip(named, ranked, strict=True))
    layout = Layout.model_construct(name=grid.name, grid=grid.name, rows=Rows(axis=rows), columns=columns)
    return Placed(layout, Node({}, Where(str(grid.path))))


def _changes_task(axis: str, grid: Grid) -> bool:
    """Whether runs that differ only in this axis have different tasks, so that one column cannot hold them."""
    tasks: dict[tuple[tuple[str, str], ...], str] = {}
    return any(tasks.setdefault(tuple((a, v) for a, v in run.labels.items() if a != axis), run.config.task)
               != run.config.task for run in grid.runs)


def matches(labels: Mapping[str, str], match: Mapping[str, Labels]) -> bool:
    """Whether a run with these labels matches."""
    return all(labels.get(axis) in allowed for axis, allowed in match.items())
