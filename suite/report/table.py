"""Tables of cells: for every row and column a mean with its deviation and n, or the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from suite.errors import UserError
from suite.report import stats
from suite.report.layout import Column, Labels, Placed, matches
from suite.report.metric import Metric, metric, selection_words
from suite.report.results import Missing, Results, Sample

if TYPE_CHECKING:
    from suite.grid import Grid, GridRun
    from suite.report.layout import Epoch


@dataclass(frozen=True)
class Cell:
    """One cell. `number` and `rest` together are what is shown; without a number, `rest` is the reason.

    `mean`, `std`, `interval` (95 %, Student) and `values` (by seed) are in the metric's shown unit. `rank` is 1 for
    the best complete cell of the column, 2 for the second, else 0. `state`: complete, incomplete, excluded, absent,
    mixed, or a run's state.
    """

    row: str
    column: str
    state: str
    number: str
    rest: str
    reason: str = ""
    mean: float | None = None
    std: float | None = None
    interval: tuple[float, float] | None = None
    n: int = 0
    values: dict[int, float] | None = None
    run_ids: tuple[str, ...] = ()
    rank: int = 0

    @property
    def text(self) -> str:
        """What is shown, without marks."""
        return self.number + self.rest


@dataclass(frozen=True)
class Head:
    """A column's head: its label, metric, epoch and how the epoch was chosen, and the runs below it."""

    label: str
    metric: Metric
    epoch: Epoch
    selects: tuple[str, ...]
    runs: tuple[GridRun, ...]

    @property
    def epoch_words(self) -> str:
        """Which epoch is shown, in words."""
        if self.epoch == "best":
            return "at " + " or ".join(selection_words(select) for select in self.selects)
        return f"after the {self.epoch} epoch" if isinstance(self.epoch, str) else f"after epoch {self.epoch}"


@dataclass(frozen=True)
class Table:
    """A table, ready to be rendered: `cells[i][j]` belongs to `rows[i]` and `heads[j]`."""

    name: str
    caption: str
    axis: str
    rows: tuple[str, ...]
    heads: tuple[Head, ...]
    cells: tuple[tuple[Cell, ...], ...]


def build_table(placed: Placed, grid: Grid, results: Results) -> Table:
    """The cells of a layout. Raises UserError for unknown metrics, and where a cell would mix configurations."""
    axis = placed.layout.rows.axis
    rows = _rows(placed, grid)
    heads, columns = [], []
    for i, column in enumerate(placed.layout.columns):
        head = _head(placed, i, column, grid, results)
        heads.append(head)
        by_row: dict[str | None, list[GridRun]] = {}
        for run in head.runs:
            by_row.setdefault(run.labels.get(axis), []).append(run)
        cells = []
        for label, name in rows.items():
            runs = one_configuration(by_row.get(label, ()), placed.where("columns", i), f"{name}, {column.label}")
            sample = results.sample(runs, head.metric.name, column.epoch)
            reason = "" if runs else _excluded(grid, column.where | {axis: (label,)} if axis else column.where)
            cells.append(_cell(name, head, sample, reason))
        columns.append(_ranked(cells, head.metric))
    return Table(placed.layout.name, placed.layout.caption, axis or "grid", tuple(rows.values()), tuple(heads),
                 tuple(zip(*columns, strict=True)))


def one_configuration(runs: Iterable[GridRun], where: str, what: str) -> list[GridRun]:
    """The runs, each id once. Raises UserError at `where` if a seed occurs in two of them."""
    found = list({run.run_id: run for run in runs}.values())
    seen: dict[int, GridRun] = {}
    for run in found:
        other = seen.setdefault(run.config.seed, run)
        if other is not run:
            axes = [axis for axis in run.labels | other.labels if run.labels.get(axis) != other.labels.get(axis)]
            raise UserError(f"{what}: more than one configuration for seed {run.config.seed}", where,
                            "name one label under `where:` of " + (" and ".join(axes) or "an axis that splits them"))
    return found


def _rows(placed: Placed, grid: Grid) -> dict[str | None, str]:
    """Label on the row axis (None: runs without that axis) to the name that is shown, in order."""
    axis, order = placed.layout.rows.axis, placed.layout.rows.order
    if axis not in grid.axes:
        return {None: grid.name}
    labels: dict[str | None, str] = {label: label for label in [*order, *grid.axes[axis]]}
    if any(axis not in run.labels for run in grid.runs):
        labels[None] = f"no {axis}"
    return labels


def _head(placed: Placed, i: int, column: Column, grid: Grid, results: Results) -> Head:
    where = placed.where("columns", i)
    runs = tuple(run for run in grid.runs if matches(run.labels, column.where))
    selects = tuple(dict.fromkeys(str(run.config.train.select) for run in runs))
    name = column.metric or select_metric(runs or grid.runs, where)
    shown = metric(name, where, direction=column.direction, scale=column.scale, digits=column.digits)
    results.require(runs, name, placed.where("columns", i, "metric"))
    longest = max((run.config.train.epochs for run in runs), default=0)
    if isinstance(column.epoch, int) and runs and column.epoch > longest:
        raise UserError(f"epoch {column.epoch} is asked for, and no run is longer than {longest}",
                        placed.where("columns", i, "epoch"))
    return Head(column.label, shown, column.epoch, selects, runs)


def select_metric(runs: Sequence[GridRun], where: str) -> str:
    """The metric that these runs are selected by. Raises UserError where they differ."""
    names = {str(run.config.train.select).partition(" ")[2] for run in runs}
    if len(names) != 1:
        raise UserError(f"these runs are selected by different metrics: {', '.join(sorted(names))}", where,
                        "name one with `metric:`")
    return names.pop()


def _excluded(grid: Grid, match: dict[str, Labels]) -> str:
    reasons = dict.fromkeys(out.reason for out in grid.excluded if matches(out.labels, match))
    return "; ".join(reasons)


def _cell(row: str, head: Head, sample: Sample, excluded: str) -> Cell:
    ids = tuple(run.run_id for run in sample.runs)
    if not sample.runs:
        state, reason = ("excluded", f"excluded: {excluded}") if excluded else ("absent", "not asked for")
        return Cell(row, head.label, state, "", reason, reason)
    shown = {seed: value * head.metric.factor for seed, value in sorted(sample.values.items())}
    if not shown:
        state = sample.missing[0].state if len({m.state for m in sample.missing}) == 1 else "mixed"
        reason = nothing_yet(sample.missing)
        return Cell(row, head.label, state, "", reason, reason, values={}, run_ids=ids)
    summary = stats.summarise(list(shown.values()))
    interval = stats.mean_interval(list(shown.values())) if summary.n > 1 else None
    missing = count_words(sample.missing)
    spread = f" ± {head.metric.format(summary.std)}" if summary.std is not None else ""
    rest = f"{spread} ({', '.join([f'n={summary.n}', *missing])})"
    return Cell(row, head.label, "incomplete" if missing else "complete", head.metric.format(summary.mean), rest,
                ", ".join(missing), summary.mean, summary.std, interval, summary.n, shown, ids)


def nothing_yet(missing: Sequence[Missing]) -> str:
    """Why no seed of a cell has a number: `not run`, `1/100 epochs`, `0/3 diverged`, `0/3: 1 running, 2 not run`."""
    words = dict.fromkeys(m.words for m in missing)
    if len(words) > 1:
        return f"0/{len(missing)}: {', '.join(count_words(missing))}"
    only = next(iter(words))
    return only if missing[0].state in ("todo", "partial") else f"0/{len(missing)} {only}"


def count_words(missing: Iterable[Missing]) -> list[str]:
    """`1 running`, `2 not run`, `1 at 3/100 epochs`."""
    counts = Counter(f"at {m.words}" if m.state == "partial" else m.words for m in missing)
    return [f"{count} {words}" for words, count in counts.items()]


def _ranked(cells: list[Cell], shown: Metric) -> list[Cell]:
    """Marks the best and the second of the complete cells, by what is printed: equal numbers share a place."""
    complete = [cell for cell in cells if cell.state == "complete"]
    means = {cell.number: cell.mean for cell in complete if cell.mean is not None}
    order = sorted(means, key=lambda number: means[number], reverse=shown.direction == "max")
    if len(complete) < 2:
        return cells
    rank = {number: place for place, number in enumerate(order[:2], 1)}
    return [replace(cell, rank=rank.get(cell.number, 0) if cell.state == "complete" else 0) for cell in cells]
