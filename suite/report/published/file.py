"""The file of a paper, `reports/published/<id>.yaml`: its tables of numbers and of settings, as they are printed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from suite.files.yaml_model import NAME, Part
from suite.report.published.number import OURS

Flag = Literal["missing", "absent", "ocr", "suspicious", "unsigned"]
Source = Literal["paper", "literature"]
Setting = bool | int | float | str


class Printed(Part):
    """A cell as printed. Without a mean, it has a flag with the reason, or the status `failed` (an X)."""

    mean: float | None = None
    std: float | None = Field(None, ge=0)
    status: Literal["failed"] | None = None
    flag: Flag | None = None
    text: str = ""
    note: str = ""


class Column(Part):
    """The contents of a column: task, metric, epoch, and the sampling rate if it is not that of the task.

    `task` is empty if the suite does not have it.
    """

    task: str = ""
    metric: Literal["accuracy", "rmse", "parameters"]
    digits: int = Field(ge=0)
    epoch: Literal["best", "first"] = "best"
    rate: int | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, str, str, int | None]:
        """A key that is equal for columns of different tables with the same quantity."""
        return self.task, self.metric, self.epoch, self.rate


def _printed(value: Any) -> Any:
    return {"mean": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Row(Part):
    """A row: the source of its numbers, and the row `delta_of` if they are differences.

    `reading` is `secondary` if the numbers were taken from a quotation at the place `via`, and their own paper was not
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
    """The number of seeds behind a mean."""

    least: int
    most: int
    note: str = ""


class Table(Part):
    """A table of numbers. `split` and `selection` are None if the paper does not give them.

    `seeds` is set if it differs from the rest of the paper. `spread` is the quantity printed after ±.
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
    """Numbers of one configuration: rows with equal labels in the tables `copies`, or one row per table in `rows`."""

    because: str
    copies: tuple[str, ...] = ()
    rows: dict[str, str] = {}


class File(Part):
    """The file of a paper."""

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
        """The same file, with the table names that layouts use."""
        def name(table: str) -> str:
            return table if self.id == OURS else f"{self.id}/{table}"

        same = [one.model_copy(update={"copies": tuple(map(name, one.copies)),
                                       "rows": {name(table): row for table, row in one.rows.items()}})
                for one in self.same]
        return self.model_copy(update={"same": tuple(same),
                                       "tables": {name(key): table for key, table in self.tables.items()},
                                       "configurations": {name(key): one for key, one in self.configurations.items()}})
