"""A published number with its place, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suite.report.metric import Metric

OURS = "s4d"  # id of the paper that this suite is after
CHANCE = 50.0  # what a failed cell counts in an average over Long Range Arena


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


def paper_of(table: str) -> tuple[str, str]:
    """The id of the paper that a table is of ('' for the S4D paper), and the table's own name."""
    paper, _, name = table.rpartition("/")
    return paper, name


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
