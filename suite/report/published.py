"""The numbers that papers print, `reports/published/*.yaml`, found by table, row and column as reports label them.

The tables of the S4D paper go by their numbers, `3a`; those of any other paper by its id, too: `gated2026/1`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import NAME, Part, validated
from suite.report.places import SOURCES, published_files

if TYPE_CHECKING:
    from suite.report.metric import Metric


FOLDER = SOURCES / "published"
OURS = "s4d"  # id of the paper that this suite is after
CHANCE = 50.0  # what a failed cell counts in an average over Long Range Arena
LENDERS, BORROWERS = ("7", "8"), ("2-left", "2-right", "3a", "3b")  # small models of one protocol
Flag = Literal["missing", "absent", "ocr", "suspicious", "unsigned"]
Source = Literal["paper", "literature"]
Setting = bool | int | float | str


class Printed(Part):
    """A cell as printed. Without a mean it has a flag that says why, or the status failed (an X)."""

    mean: float | None = None
    std: float | None = Field(None, ge=0)
    status: Literal["failed"] | None = None
    flag: Flag | None = None
    text: str = ""
    note: str = ""


class Column(Part):
    """What stands in a column: the task and its metric, at which epoch, and at which sampling rate if not its own.

    `task` is empty for one that the suite does not have.
    """

    task: str = ""
    metric: Literal["accuracy", "rmse", "parameters"]
    digits: int = Field(ge=0)
    epoch: Literal["best", "first"] = "best"
    rate: int | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, int | None]:
        """Equal for columns of different tables that show the same quantity."""
        return self.task, self.metric, self.epoch, self.rate


def _printed(value: Any) -> Any:
    return {"mean": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Row(Part):
    """A row: whose numbers they are, and from which row they differ where they are differences.

    `reading` is `secondary` where the paper quotes them, at the place that `via` names, and their own paper was not
    read. `parameters` is the size of the model as printed.
    """

    source: Source = "paper"
    citation: str = ""
    citation_flag: str = ""
    reading: Literal["source", "secondary"] = "source"
    via: str = ""
    parameters: int | str | None = None
    note: str = ""
    delta_of: str | None = None
    assumed: bool = False
    cells: dict[str, Annotated[Printed, BeforeValidator(_printed)]]


class Seeds(Part):
    """How many seeds a number is the mean of."""

    least: int
    most: int
    note: str = ""


class Table(Part):
    """A table of numbers. `split` and `selection` are None where the paper does not say.

    `seeds` is of this table, where that is not the paper's. `spread` is what is printed after the ±.
    """

    caption: str
    split: Literal["val", "test"] | None
    selection: str | None
    seeds: Seeds | None = None
    spread: Literal["deviation", "standard error"] = "deviation"
    note: str = ""
    columns: dict[str, Column]
    rows: dict[str, Row]


class Configuration(Part):
    """A table of settings."""

    caption: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Setting]]


class Same(Part):
    """Numbers of one configuration: the rows of equal labels in `copies`, or one row of each table in `rows`."""

    because: str
    copies: tuple[str, ...] = ()
    rows: dict[str, str] = {}


@dataclass(frozen=True)
class Number:
    """A published number with its place. `mean` is in the printed unit: percent, or the unit of the target.

    `mean` is None where nothing was printed (`flag` says why) and for X (`failed`). `delta_of` names the row that a
    difference is taken from. `std` may stand in a copy of the table (7 for 2) and is None where it is printed nowhere.
    """

    table: str
    row: str
    column: str
    mean: float | None
    std: float | None
    digits: int
    metric: str
    split: str | None
    failed: bool = False
    flag: str = ""
    note: str = ""
    text: str = ""
    delta_of: str | None = None
    assumed: bool = False
    source: str = "paper"
    citation: str = ""


class File(Part):
    """The file of a paper as it stands."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=NAME, description="names the paper in layouts")
    title: str
    year: int
    citation: str
    read: str = ""
    note: str = ""
    seeds: Seeds | None = None
    same: tuple[Same, ...] = ()
    tables: dict[str, Table] = {}
    configurations: dict[str, Configuration] = {}

    @property
    def named(self) -> File:
        """The same, with its tables by the names that layouts use."""
        def name(table: str) -> str:
            return table if self.id == OURS else f"{self.id}/{table}"

        same = [one.model_copy(update={"copies": tuple(map(name, one.copies)),
                                       "rows": {name(table): row for table, row in one.rows.items()}})
                for one in self.same]
        return self.model_copy(update={"same": tuple(same),
                                       "tables": {name(key): table for key, table in self.tables.items()},
                                       "configurations": {name(key): one for key, one in self.configurations.items()}})


@dataclass(frozen=True)
class Published:
    """What papers print, with ways to find what belongs together: all tables as of one file. By `load_published`."""

    papers: tuple[File, ...]

    @cached_property
    def file(self) -> File:
        """The tables of all papers, the S4D paper's first."""
        first, *others = sorted((paper.named for paper in self.papers), key=lambda paper: paper.id != OURS)
        for other in others:
            first = first.model_copy(update={"same": first.same + other.same, "tables": first.tables | other.tables,
                                             "configurations": first.configurations | other.configurations})
        return first

    @property
    def seeds(self) -> Seeds | None:
        """How many seeds stand behind each number of the S4D paper."""
        return self.file.seeds

    def least_seeds(self, table: str) -> int:
        """The fewest seeds that a number of the table may be the mean of: 1 where its paper does not say."""
        paper = next((paper.named for paper in self.papers if table in paper.named.tables), None)
        seeds = None if paper is None else paper.tables[table].seeds or paper.seeds
        return 1 if seeds is None else seeds.least

    def table(self, name: str, where: str = "") -> Table:
        """The table of that name. Raises UserError, at `where`, with the names there are."""
        if name not in self.file.tables:
            raise UserError(f"the paper has no table {name!r} of numbers", where, nearest(name, self.file.tables))
        return self.file.tables[name]

    def find(self, table: str, row: str, column: str) -> Number | None:
        """The number at a place, None where the paper has no such table, row or column."""
        return self._numbers.get((table, row, column))

    def number(self, table: str, row: str, column: str, where: str = "") -> Number:
        """The number at a place. Raises UserError, at `where`, with the nearest name that there is."""
        printed = self.table(table, where)
        for name, known, what in ((row, printed.rows, "row"), (column, printed.columns, "column")):
            if name not in known:
                raise UserError(f"table {table} of the paper has no {what} {name!r}", where, nearest(name, known))
        return self._numbers[table, row, column]

    def absolute(self, number: Number) -> float | None:
        """The number itself, or what a difference makes of its reference; None where one of them is not printed."""
        if number.delta_of is None or number.mean is None:
            return number.mean
        reference = self._numbers[number.table, number.delta_of, number.column].mean
        return None if reference is None else reference + number.mean

    def same(self, number: Number) -> tuple[Number, ...]:
        """Every number that the paper prints for this configuration and quantity, this one first, each result once.

        A result that is printed with a deviation in one table and without in another counts once.
        """
        places, result = [(number.table, number.row)], self._result(number.table, number.row)
        for group in self.file.same:
            if result in group.rows.items():
                places += group.rows.items()
        found: dict[Any, Number] = {}
        for table, row in places:
            for label, column in self.file.tables[table].columns.items():
                if column.key == self.file.tables[number.table].columns[number.column].key:
                    found.setdefault(self._result(table, row), self._numbers[table, row, label])
        return tuple(found.values())

    def borrowed(self, table: str, column: str) -> tuple[float, ...] | None:
        """The deviations that tables 7 and 8 print for a column of this task, metric, epoch and split; None for none.

        They belong to the small models of the ablations, and only tables of these borrow them.
        """
        if table not in BORROWERS or column not in self.file.tables[table].columns:
            return None
        key = self.file.tables[table].columns[column].key
        found = [cell.std for name in LENDERS for label, head in self.file.tables[name].columns.items()
                 if head.key == key for row in self.file.tables[name].rows.values()
                 if (cell := row.cells[label]).std is not None]
        return tuple(std for std in found if std is not None) or None

    def _result(self, table: str, row: str) -> tuple[str, str]:
        """Table and row, or where a copy of them stands first."""
        group = next((g.copies for g in self.file.same if table in g.copies), (table,))
        return next(name for name in group if row in self.file.tables[name].rows), row

    @cached_property
    def _numbers(self) -> dict[tuple[str, str, str], Number]:
        plain = {(t, r, c): self._number(t, r, c) for t, table in self.file.tables.items() for r in table.rows
                 for c in table.columns}
        return {place: number if number.std is not None or number.mean is None else
                Number(**vars(number) | {"std": self._std_of_copy(number, plain)}) for place, number in plain.items()}

    def _number(self, table: str, row: str, column: str) -> Number:
        printed, head = self.file.tables[table], self.file.tables[table].columns[column]
        line = printed.rows[row]
        cell = line.cells.get(column, Printed(flag="absent"))
        std, text = cell.std, cell.text
        if std is not None and printed.spread == "standard error":
            text = text or f"{cell.mean:.{head.digits}f} ± {std:g} (standard error)"
            std *= math.sqrt(self.least_seeds(table))
        quoted = f"quoted in {line.via}; its own paper was not read" if line.reading == "secondary" else ""
        note = "; ".join(filter(None, (cell.note, line.note, quoted)))
        return Number(table, row, column, cell.mean, std, head.digits, head.metric, printed.split,
                      cell.status == "failed", cell.flag or "", note, text, line.delta_of, line.assumed,
                      line.source, line.citation)

    def _std_of_copy(self, number: Number, plain: dict[tuple[str, str, str], Number]) -> float | None:
        key = self.file.tables[number.table].columns[number.column].key
        for group in self.file.same:
            for name in group.copies if number.table in group.copies else ():
                for label, column in self.file.tables[name].columns.items():
                    other = plain.get((name, number.row, label))
                    if column.key == key and other is not None and other.std is not None:
                        return other.std
        return None


def paper_of(table: str) -> tuple[str, str]:
    """The id of the paper that a table is of ('' for the S4D paper), and the table's own name."""
    paper, _, name = table.rpartition("/")
    return paper, name


def load_published(*folders: Path) -> Published:
    """What the files of these folders say, of the suite's own without one. Raises UserError: file, line, key."""
    paths = tuple(published_files(folders or [FOLDER]))
    try:
        return _load(paths, tuple(path.read_bytes() for path in paths))
    except OSError:  # which reading it as YAML tells in words
        return _load.__wrapped__(paths, ())


@lru_cache(maxsize=4)
def _load(paths: Sequence[Path], contents: Sequence[bytes]) -> Published:
    """The same. Every look of `--decide` and every report asks for it, and the files are long: known by content."""
    papers: dict[str, tuple[File, Node]] = {}
    problems: list[Problem] = []
    for path in paths:
        node = load_yaml(path)
        file = validated(node, File)
        problems += _problems(file, node)
        if file.id in papers:
            first = papers[file.id][1].find(("id",)).key("id")
            problems.append(Problem(f"the paper {file.id!r} has another file, {first}", node.find(("id",)).key("id"),
                                    "rename one of them, or put the tables into one file"))
        papers.setdefault(file.id, (file, node))
    if problems:
        raise UserError(problems)
    return Published(tuple(file for file, _ in papers.values()))


def _problems(file: File, node: Node) -> Iterator[Problem]:
    def place(*path: str | int) -> str:
        return node.find(path).key(*path)

    for name, table in file.tables.items():
        for label, row in table.rows.items():
            here = ("tables", name, "rows", label)
            if row.delta_of is not None and row.delta_of not in table.rows:
                yield Problem(f"table {name} has no row {row.delta_of!r}", place(*here, "delta_of"),
                              nearest(row.delta_of, table.rows))
            for column in sorted(set(row.cells) - set(table.columns)):
                yield Problem(f"{column!r} is no column of table {name}", place(*here, "cells", column),
                              nearest(column, table.columns))
            if (row.reading == "secondary") != bool(row.via):
                yield Problem("a number that another paper quotes has `reading: secondary` and `via`, the place",
                              place(*here))
            for column, cell in row.cells.items():
                if cell.mean is None and cell.status is None and cell.flag not in ("missing", "absent"):
                    yield Problem("a cell without a mean has `flag: missing`, `flag: absent` or `status: failed`",
                                  place(*here, "cells", column))
    for name, settings in file.configurations.items():
        for label, values in settings.rows.items():
            for column in sorted(set(settings.columns) ^ set(values)):
                yield Problem(f"{column!r} is missing, or is no column of table {name}",
                              place("configurations", name, "rows", label))
    for i, group in enumerate(file.same):
        places = [*((name, None) for name in group.copies), *group.rows.items()]
        for table_name, row_label in places:
            if table_name not in file.tables or row_label not in (None, *file.tables[table_name].rows):
                yield Problem(f"there is no row {row_label!r} in a table {table_name!r}", place("same", i),
                              nearest(table_name, file.tables))


def number_text(number: Number, metric: Metric, value: float | None, std: float | None) -> str:
    """A published number as it is shown: X, -, or value and deviation with the digits of the paper."""
    if number.failed:
        return "X"
    if value is None:
        return "–"
    if number.text:
        return number.text
    digits = metric.with_digits(number.digits)
    spread = f" ± {digits.format(std)}" if std is not None else ""
    return digits.format(value, signed=number.delta_of is not None) + spread
