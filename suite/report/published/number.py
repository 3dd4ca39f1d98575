"""A published number with its place, and its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suite.report.metric import Metric

OURS = "s4d"  # id of the paper that this suite reproduces
CHANCE = 50.0  # accuracy of a failed cell in an average over Long Range Arena


@dataclass(frozen=True)
class Number:
    """A published number with its place. `mean` is in the printed unit: percent, or the unit of the target.

    `mean` is None if nothing was printed (`flag` has the reason) and for X (`failed`). `delta_of` is the row that a
    difference is taken from. `std` may come from a copy of the table (7 for 2); it is None if it is not printed at all.
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
    """The id of the paper of a table ("" for the S4D paper), and the table's own name."""
    paper, _, name = table.rpartition("/")
    return paper, name


def number_text(number: Number, metric: Metric, value: float | None, std: float | None, signed: bool) -> str:
    """The text of a published number: X, –, or value and standard deviation with the digits of the paper.

    `signed`: the value is a difference.
    """
    if number.failed:
        return "X"
    if value is None:
        return "–"
    if number.text:
        return number.text
    digits = metric.with_digits(number.digits)
    spread = f" ± {digits.format(std)}" if std is not None else ""
    return digits.format(value, signed=signed) + spread
