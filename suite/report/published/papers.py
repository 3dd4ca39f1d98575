"""The numbers printed in papers, `reports/published/*.yaml`, by table, row and column, with the labels of reports.

Tables of the S4D paper are named by their number, `3a`; those of other papers also by the paper's id, `gated2026/1`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from suite.errors import Problem, UserError, nearest
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import validated
from suite.report.places import SOURCES, published_files
from suite.report.published.faults import problems_of
from suite.report.published.file import File, Printed, Seeds, Table
from suite.report.published.number import OURS, Number

FOLDER = SOURCES / "published"
LENDERS, BORROWERS = ("7", "8"), ("2-left", "2-right", "3a", "3b")  # small models of one protocol


@dataclass(frozen=True)
class Published:
    """The published numbers, with all tables merged into one file. Made by `load_published`."""

    papers: tuple[File, ...]

    @cached_property
    def file(self) -> File:
        """The tables of all papers, those of the S4D paper first."""
        first, *others = sorted((paper.named for paper in self.papers), key=lambda paper: paper.id != OURS)
        for other in others:
            first = first.model_copy(update={"same": first.same + other.same, "tables": first.tables | other.tables,
                                             "configurations": first.configurations | other.configurations})
        return first

    @property
    def seeds(self) -> Seeds | None:
        """The number of seeds behind each number of the S4D paper."""
        return self.file.seeds

    def least_seeds(self, table: str) -> int:
        """The smallest number of seeds that a number of the table may be a mean over; 1 if its paper gives none."""
        paper = next((paper.named for paper in self.papers if table in paper.named.tables), None)
        seeds = None if paper is None else paper.tables[table].seeds or paper.seeds
        return 1 if seeds is None else seeds.least

    def table(self, name: str, where: str = "") -> Table:
        """The table of that name. Raises UserError, at `where`, with the nearest name."""
        if name not in self.file.tables:
            raise UserError(f"the paper has no table {name!r} of numbers", where, nearest(name, self.file.tables))
        return self.file.tables[name]

    def find(self, table: str, row: str, column: str) -> Number | None:
        """The number at a place, None if the paper has no such table, row or column."""
        return self._numbers.get((table, row, column))

    def number(self, table: str, row: str, column: str, where: str = "") -> Number:
        """The number at a place. Raises UserError, at `where`, with the nearest name."""
        printed = self.table(table, where)
        for name, known, what in ((row, printed.rows, "row"), (column, printed.columns, "column")):
            if name not in known:
                raise UserError(f"table {table} of the paper has no {what} {name!r}", where, nearest(name, known))
        return self._numbers[table, row, column]

    def absolute(self, number: Number) -> float | None:
        """The absolute number; a difference is added to its reference. None if one of them is not printed."""
        if number.delta_of is None or number.mean is None:
            return number.mean
        reference = self._numbers[number.table, number.delta_of, number.column].mean
        return None if reference is None else reference + number.mean

    def same(self, number: Number) -> tuple[Number, ...]:
        """All numbers that the paper prints for this configuration and quantity, this one first, without duplicates.

        A result that is printed with a standard deviation in one table and without it in another counts once.
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
        """The standard deviations that tables 7 and 8 print for a column with the same task, metric, epoch and rate.

        None if there are none. They are for the small models of the ablations, so only tables of these models use them.
        """
        if table not in BORROWERS or column not in self.file.tables[table].columns:
            return None
        key = self.file.tables[table].columns[column].key
        found = [cell.std for name in LENDERS for label, head in self.file.tables[name].columns.items()
                 if head.key == key for row in self.file.tables[name].rows.values()
                 if (cell := row.cells[label]).std is not None]
        return tuple(std for std in found if std is not None) or None

    def _result(self, table: str, row: str) -> tuple[str, str]:
        """Table and row, or those of the first copy."""
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


def load_published(*folders: Path) -> Published:
    """Read the files in these folders (default: the suite's own folder). Raises UserError: file, line, key."""
    paths = tuple(published_files(folders or [FOLDER]))
    try:
        return _load(paths, tuple(path.read_bytes() for path in paths))
    except OSError:  # reading it as YAML reports the cause
        return _load.__wrapped__(paths, ())


@lru_cache(maxsize=4)
def _load(paths: Sequence[Path], contents: Sequence[bytes]) -> Published:
    """The same, cached by content: the files are long, and every look of `--decide` and every report needs them."""
    papers: dict[str, tuple[File, Node]] = {}
    problems: list[Problem] = []
    for path in paths:
        node = load_yaml(path)
        file = validated(node, File)
        problems += problems_of(file, node)
        if file.id in papers:
            first = papers[file.id][1].find(("id",)).key("id")
            problems.append(Problem(f"the paper {file.id!r} has another file, {first}", node.find(("id",)).key("id"),
                                    "rename one of them, or put the tables into one file"))
        papers.setdefault(file.id, (file, node))
    if problems:
        raise UserError(problems)
    return Published(tuple(file for file, _ in papers.values()))
