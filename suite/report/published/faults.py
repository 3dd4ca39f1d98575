"""Checks of a paper's file beyond its schema: rows, columns and copies that do not exist."""

from __future__ import annotations

from collections.abc import Iterator

from suite.errors import Problem, nearest
from suite.files.yaml import Node
from suite.report.published.file import File


def problems_of(file: File, node: Node) -> Iterator[Problem]:
    """The problems in the file of a paper, each with its place."""
    def place(*path: str | int) -> str:
        return node.find(path).key(*path)

    for name, table in file.tables.items():
        for label, row in table.rows.items():
            here = ("tables", name, "rows", label)
            if row.delta_of is not None and row.delta_of not in table.rows:
                yield Problem(f"table {name} has no row {row.delta_of!r}", place(*here, "delta_of"),
                              nearest(row.delta_of, table.rows))
            for column in sorted(set(row.cells) - set(table.columns)):
                yield Problem(f"{column!r} is not a column of table {name}", place(*here, "cells", column),
                              nearest(column, table.columns))
            if (row.reading == "secondary") != bool(row.via):
                yield Problem("a number quoted by another paper needs both `reading: secondary` and `via`, the place",
                              place(*here))
            for column, cell in row.cells.items():
                if cell.mean is None and cell.status is None and cell.flag not in ("missing", "absent"):
                    yield Problem("a cell without a mean needs `flag: missing`, `flag: absent` or `status: failed`",
                                  place(*here, "cells", column))
    for name, settings in file.configurations.items():
        for label, values in settings.rows.items():
            for column in sorted(set(settings.columns) ^ set(values)):
                yield Problem(f"{column!r} is missing, or is not a column of table {name}",
                              place("configurations", name, "rows", label))
    for i, group in enumerate(file.same):
        places = [*((name, None) for name in group.copies), *group.rows.items()]
        for table_name, row_label in places:
            if table_name not in file.tables or row_label not in (None, *file.tables[table_name].rows):
                yield Problem(f"there is no row {row_label!r} in a table {table_name!r}", place("same", i),
                              nearest(table_name, file.tables))
