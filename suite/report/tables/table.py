"""Tables: cells with a number and its standard deviation, or the reason why there is none, in rows and columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from suite.report.metric import Metric, selection_words
from suite.report.tables.so_far import SoFar

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.report.tables.layout import Epoch

Verdict = Literal["match", "off", "compatible", "undecided", "one seed", "not comparable", "not printed", "no number",
                  "other protocol"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SHOWN = (*VERDICTS[:5], "no number", "other protocol")  # published numbers with these verdicts are shown in cells
NEAR = 0.05  # level of the test against the best cell of a column


@dataclass(frozen=True)
class Cell:
    """One cell. Its text is `number` + `rest`; without a number, `rest` is the reason.

    `mean`, `std`, `interval` (95 %, Student) and `values` (by seed) are in the metric's shown unit. If `base` is given,
    they are differences from that row. `rank` is 1 for the best complete cell of the column, 2 for the second, else 0.
    `state`: complete, incomplete, excluded, absent, mixed, chance (X: no better), published (printed in the paper),
    average, configuration, or the state of a run. `judged` has the published numbers for this cell, those of its own
    table first. `so_far` is the mean over unfinished runs, in the shown unit; `mean` is then None. `p_from_best` is the
    Holm-corrected p of the difference from the best cell of the column, None if it was not tested.
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
    base: str = ""
    judged: tuple[Judged, ...] = ()
    so_far: SoFar | None = None
    p_from_best: float | None = None

    @property
    def near_best(self) -> bool:
        """Whether the cell is not distinguishable from the best of its column."""
        return self.p_from_best is not None and self.p_from_best > NEAR and self.rank != 1

    @property
    def papers(self) -> tuple[Judged, ...]:
        """The first published number of each paper, if it may be shown in this cell."""
        first: dict[str, Judged] = {}
        for one in self.judged:
            first.setdefault(one.paper, one)
        return tuple(one for one in first.values() if one.verdict in SHOWN)

    @property
    def text(self) -> str:
        """The text of the cell, without marks."""
        return self.number + self.rest

    @property
    def chance(self) -> bool:
        """Whether the cell is an X, no better than chance."""
        return self.state == "chance"


def each_once(cells: Iterable[Cell]) -> list[Cell]:
    """The cells without duplicates: a row in two blocks of a table has the same numbers of the same runs twice."""
    first: dict[object, Cell] = {}
    for i, cell in enumerate(cells):
        first.setdefault((cell.column, cell.run_ids, cell.base) if cell.run_ids else i, cell)
    return list(first.values())


@dataclass(frozen=True)
class Head:
    """The head of a column: its label, metric, epoch, the `selects` by which the epoch was chosen, and its runs.

    `group` is a heading over neighbouring columns, `short` the label below it. `averages` names the columns that this
    one is the mean of; it then has no runs. `chance` (a fraction) is the chance level by which cells become an X.
    """

    label: str
    metric: Metric
    epoch: Epoch
    selects: tuple[str, ...]
    runs: tuple[GridRun, ...]
    group: str = ""
    short: str = ""
    averages: tuple[str, ...] = ()
    chance: float | None = None

    @property
    def heading(self) -> str:
        """Metric, unit and better direction. Returns "" for a setting."""
        return self.metric.heading if self.metric.words else ""

    @property
    def epoch_words(self) -> str:
        """The epoch in words."""
        if self.epoch == "best":
            return "at " + " or ".join(selection_words(select) for select in self.selects)
        return f"after the {self.epoch} epoch" if isinstance(self.epoch, str) else f"after epoch {self.epoch}"


@dataclass(frozen=True)
class Line:
    """How a row is shown: its label, the heading of its block, and the row `base` of a difference ("" if absolute).

    A `constant` row shows numbers printed in the paper; `source` is the work that the paper cites for it.
    """

    label: str
    group: str = ""
    block: int = 0
    base: str = ""
    source: str = ""
    constant: bool = False


@dataclass(frozen=True)
class Table:
    """A table, ready to be rendered: `cells[i][j]` belongs to `rows[i]`, `lines[i]` and `heads[j]`.

    `rows` are unique names; `lines` say how the rows are shown. `published` is the paper's table, or "".
    """

    name: str
    caption: str
    axis: str
    rows: tuple[str, ...]
    heads: tuple[Head, ...]
    cells: tuple[tuple[Cell, ...], ...]
    lines: tuple[Line, ...]
    kind: Literal["numbers", "configuration"] = "numbers"
    spread: Literal["sample", "population", "none"] = "sample"
    transpose: bool = False
    published: str = ""
    offsets: tuple[Offset, ...] = ()
    papers: tuple[Paper, ...] = ()

    @property
    def marked(self) -> bool:
        """Whether any cell is marked as not distinguishable from the best of its column."""
        return any(cell.near_best for row in self.cells for cell in row)


@dataclass(frozen=True)
class Paper:
    """A paper whose numbers are in the table: its `key`, and its citation for the legend."""

    key: str
    citation: str


@dataclass(frozen=True)
class Offset:
    """The mean of ours − published over the `cells` of a column, with its 95 % interval over `seeds` seeds."""

    column: str
    mean: float
    interval: tuple[float, float]
    cells: int
    seeds: int

    @property
    def established(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class Judged:
    """A cell compared with one published number: its place, its text, its value in the cell's unit, and the verdict.

    `difference` is ours − published, `interval` its 95 % interval, which includes the error of the published mean.
    `reason` explains the verdict if numbers were not compared; `remark` is a note on the comparison.
    """

    table: str
    row: str
    column: str
    text: str
    value: float | None
    std: float | None
    difference: float | None
    interval: tuple[float, float] | None
    verdict: Verdict
    reason: str = ""
    remark: str = ""

    @property
    def paper(self) -> str:
        """The key of its paper."""
        return self.table.rpartition("/")[0] or "s4d"
