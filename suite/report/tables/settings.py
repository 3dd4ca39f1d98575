"""Tables of settings (tables 1 and 12 of the paper), taken from the runs of a grid and compared with the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from suite.files.yaml import Node
from suite.files.yaml_model import NAME, Part
from suite.report.metric import setting
from suite.report.tables.layout import Match, label_text, unique
from suite.report.tables.table import Cell, Head, Line, Table

if TYPE_CHECKING:
    from suite.grid.model import Grid, GridRun


def _words(value: Any) -> Any:
    return {str(label_text(k)): v for k, v in value.items()} if isinstance(value, dict) else value


class SettingColumn(Part):
    """A field of the runs. `words` maps a value, or several in alphabetical order (`exp, relu`), to the text shown."""

    label: str = Field(min_length=1)
    field: str
    words: Annotated[dict[str, str], BeforeValidator(_words)] = {}

    def text(self, values: set[str]) -> str:
        """The text for the values that the runs of a row have."""
        together = ", ".join(sorted(values))
        return self.words.get(together) or " or ".join(self.words.get(value, value) for value in sorted(values))


class SettingRow(Part):
    """The runs whose labels or fields match `where`."""

    label: str = Field(min_length=1)
    where: Annotated[Match, Field(min_length=1)]


class SettingsLayout(Part):
    """A table of settings. It needs no training."""

    name: str = Field(pattern=NAME)
    grid: str = ""
    kind: Literal["configuration"]
    caption: str = ""
    published: str | None = None
    rows: Annotated[tuple[SettingRow, ...], AfterValidator(unique)]
    columns: Annotated[tuple[SettingColumn, ...], AfterValidator(unique)]


@dataclass(frozen=True)
class PlacedSettings:
    """Such a layout with its file, so that errors can name line and key."""

    layout: SettingsLayout
    node: Node

    def where(self, *path: Any) -> str:
        """File, line and key of a part of the layout."""
        return self.node.find(path).key(*path)


def setting_text(value: Any) -> str:
    """A field's value as a table shows it: 0.05, true, legs."""
    return f"{value:g}" if isinstance(value, float) else str(label_text(value))


def runs_of(row: SettingRow, grid: Grid) -> list[GridRun]:
    """The runs of a row."""
    def fits(run: GridRun, key: str, allowed: Any) -> bool:
        value = run.labels.get(key) if key in grid.axes else setting_text(run.config.get(key))
        return value in allowed
    return [run for run in grid.runs if all(fits(run, key, allowed) for key, allowed in row.where.items())]


def build_settings(placed: PlacedSettings, grid: Grid) -> Table:
    """The table of settings. The layout must fit the grid (see `layout_files`)."""
    layout = placed.layout
    rows = [(row.label, runs_of(row, grid)) for row in layout.rows]
    heads = tuple(Head(column.label, setting(column.field), "last", (), tuple(grid.runs)) for column in layout.columns)
    cells = tuple(tuple(_cell(label, column, runs) for column in layout.columns) for label, runs in rows)
    return Table(layout.name, layout.caption, "", tuple(label for label, _ in rows), heads, cells,
                 lines=tuple(Line(label) for label, _ in rows), kind="configuration", published=layout.published or "")


def _cell(row: str, column: SettingColumn, runs: list[GridRun]) -> Cell:
    text = column.text({setting_text(run.config.get(column.field)) for run in runs})
    return Cell(row, column.label, "configuration", text, "")
