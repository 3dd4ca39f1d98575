"""Numbers in LaTeX tables: as text in centred columns, or in columns of siunitx that are aligned at the point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from suite.report.render.latex_text import escape


class NumberStyle(StrEnum):
    """How a table sets its numbers."""

    PLAIN = "plain"
    SIUNITX = "siunitx"


PACKAGES = {  # the lines of a preamble
    NumberStyle.PLAIN: (r"\usepackage{array,booktabs}",),
    NumberStyle.SIUNITX: (r"\usepackage{array,booktabs,siunitx}", r"\sisetup{detect-weight,retain-explicit-plus}")}


@dataclass(frozen=True)
class Quantity:
    """A mean as it is shown, its deviation or '', a command that marks the mean or '', and whether ≈ follows."""

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
        """What follows the mean."""
        return escape(" ".join([f"± {self.deviation}"] * bool(self.deviation) + ["≈"] * self.near))

    @property
    def digits(self) -> tuple[str, ...] | None:
        """Sign, digits and decimals of the mean; None if it is no plain number."""
        found = re.fullmatch(r"([+−-]?)(\d+)\.?(\d*)", self.mean)
        return found and found.groups()


@dataclass(frozen=True)
class Column:
    """A column of a table. With a `table_format` its means are a column S, and what follows them is one of its own."""

    table_format: str = ""

    @property
    def width(self) -> int:
        """Columns of the `tabular` that it takes."""
        return 2 if self.table_format else 1

    @property
    def spec(self) -> str:
        """Its letters in the head of the `tabular`."""
        return rf"S[table-format={self.table_format}]@{{\,}}l" if self.table_format else "c"

    def text(self, tex: str) -> str:
        """A cell of text."""
        return rf"\multicolumn{{2}}{{c}}{{{tex}}}" if self.table_format else tex

    def number(self, quantity: Quantity, after: str) -> str:
        """A cell with a number; `after` is the letter of its note, or ''."""
        if not self.table_format or quantity.digits is None:
            return self.text(quantity.tex + after)
        mean = quantity.mean.replace("−", "-")
        if quantity.mark == r"\textbf":
            mean = rf"\bfseries {mean}"
        elif quantity.mark:  # no other mark is known to a column S
            mean = rf"{{{quantity.mark}{{\tablenum[table-format={self.table_format}]{{{mean}}}}}}}"
        return f"{mean} & {quantity.tail}{after}"


def column(style: NumberStyle, quantities: Sequence[Quantity]) -> Column:
    """The column for these numbers, with room for the longest before and after the point."""
    digits = [one.digits for one in quantities if one.digits is not None]
    if style is NumberStyle.PLAIN or not digits:
        return Column()
    sign = "+" if any(sign for sign, _, _ in digits) else ""
    whole, decimals = (max(len(one[place]) for one in digits) for place in (1, 2))
    return Column(f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}")
