"""Numbers in LaTeX tables: as text in centred columns, or in siunitx columns, aligned at the decimal point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from suite.report.render.latex_text import escape


class NumberStyle(StrEnum):
    """The format of numbers in a table."""

    PLAIN = "plain"
    SIUNITX = "siunitx"


PACKAGES = {  # lines of the preamble
    NumberStyle.PLAIN: (r"\usepackage{array,booktabs}",),
    NumberStyle.SIUNITX: (r"\usepackage{array,booktabs,siunitx}", r"\sisetup{detect-weight,retain-explicit-plus}")}


@dataclass(frozen=True)
class Quantity:
    """A mean as text, its standard deviation or "", a command that marks the mean or "", and whether ≈ follows."""

    mean: str
    deviation: str = ""
    mark: str = ""
    near: bool = False

    @property
    def tex(self) -> str:
        """The number as text."""
        mean = f"{self.mark}{{{escape(self.mean)}}}" if self.mark else escape(self.mean)
        return f"{mean} {self.tail}".rstrip()

    @property
    def tail(self) -> str:
        """The text after the mean."""
        return escape(" ".join([f"± {self.deviation}"] * bool(self.deviation) + ["≈"] * self.near))

    @property
    def digits(self) -> tuple[str, ...] | None:
        """Sign, digits and decimals of the mean; None if it is not a plain number."""
        found = re.fullmatch(r"([+−-]?)(\d+)\.?(\d*)", self.mean)
        return found and found.groups()


@dataclass(frozen=True)
class Column:
    """A column of a table. With a `table_format`, means are in an S column and the text after them in a second one."""

    table_format: str = ""

    @property
    def width(self) -> int:
        """The number of columns that it needs in the `tabular`."""
        return 2 if self.table_format else 1

    @property
    def spec(self) -> str:
        """Its column specification in the `tabular`."""
        return rf"S[table-format={self.table_format}]@{{\,}}l" if self.table_format else "c"

    def text(self, tex: str) -> str:
        """A cell of text."""
        return rf"\multicolumn{{2}}{{c}}{{{tex}}}" if self.table_format else tex

    def number(self, quantity: Quantity, after: str) -> str:
        """A cell with a number; `after` is the mark of its footnote, or ""."""
        if not self.table_format or quantity.digits is None:
            return self.text(quantity.tex + after)
        mean = quantity.mean.replace("−", "-")
        if quantity.mark == r"\textbf":
            mean = rf"\bfseries {mean}"
        elif quantity.mark:  # an S column has no other mark
            mean = rf"{{{quantity.mark}{{\tablenum[table-format={self.table_format}]{{{mean}}}}}}}"
        return f"{mean} & {quantity.tail}{after}"


def column(style: NumberStyle, quantities: Sequence[Quantity]) -> Column:
    """The column for these numbers, with room for the most digits before and after the decimal point."""
    digits = [one.digits for one in quantities if one.digits is not None]
    if style is NumberStyle.PLAIN or not digits:
        return Column()
    sign = "+" if any(sign for sign, _, _ in digits) else ""
    integers, decimals = (max(len(one[place]) for one in digits) for place in (1, 2))
    return Column(f"{sign}{integers}.{decimals}" if decimals else f"{sign}{integers}")
