"""Claims: a sentence, the comparison that it makes, and the rules of its family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from suite.errors import UserError
from suite.files.yaml_model import NAME, Part
from suite.report.statistics.looks import Looks
from suite.report.statistics.ranks import Statistic
from suite.report.tables.layout import Epoch, label_text

if TYPE_CHECKING:
    from suite.report.metric import Metric

Kind = Literal["better", "worse", "noninferior", "equivalent", "order", "keeps", "collapses", "solves", "correlation"]


class Difference(Part):
    """One row minus another, as one side of a comparison; for example, what a method loses if A and B are frozen."""

    of: str
    less: str

    def __str__(self) -> str:
        return f"({self.of} − {self.less})"


def _list(value: Any) -> Any:
    return tuple(label_text(v) for v in value) if isinstance(value, list | tuple) else (label_text(value),)


Names = Annotated[tuple[str, ...], BeforeValidator(_list)]
Side = str | Difference
Other = Side | float  # a row, or a level printed in a paper
Sides = Annotated[tuple[Side, ...], BeforeValidator(_list)]
Count = Literal["all", "any", "most"] | Annotated[int, Field(strict=True, ge=1)]


class Claim(Part):
    """A sentence and the comparison that it makes. `kinds/` defines which keys each kind has.

    Each row of `left` is compared with each row of `right`, in each of the `columns`. Instead of `right`, a claim may
    name `pairs`, a `chain` (each row is compared with the next), or a `level`, a number from the paper's text. `over:
    mean` compares the mean over the columns, `over: pairs` the mean difference over the pairs. `of_pairs` and
    `of_columns` say how many comparisons must hold; `of_left`, how many rows of `left` must hold against each row of
    `right` (`any`: the best one). `by: seed` pairs the seeds. `epoch` replaces the epoch of the columns; `mean` is the
    mean over all epochs of a run.
    """

    id: str = Field(pattern=NAME)
    text: str = Field(min_length=1, description="the sentence, in our words")
    source: str = Field(min_length=1, description="where the sentence comes from, e.g. `paper section 5.2`")
    family: str = Field("", description="claims that are corrected together; without one, the claim is tested alone")
    table: str
    kind: Kind
    left: Sides = ()
    right: Sides = ()
    level: float | None = Field(None, description="in the unit that the table shows; only for the profile `paper` "
                                "if `source` is the paper or begins with an arXiv number")
    pairs: tuple[tuple[Side, Side], ...] = ()
    chain: Sides = ()
    others: Names = ()
    columns: Names = ()
    rows: Names = ()
    over: Literal["each", "mean", "pairs"] = "each"
    of_pairs: Count = "all"
    of_columns: Count = "all"
    of_left: Count = "all"
    margin: Annotated[float, Field(ge=0)] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    share: float | None = Field(None, gt=0, lt=1)
    chance: float | None = Field(None, ge=0, lt=100, description="in percent")
    examples: int | None = Field(None, strict=True, ge=1, description="how many examples the paper evaluated")
    statistic: Statistic = "kendall"
    epoch: Epoch | Literal["mean"] | None = None
    by: Literal["seed"] | None = None
    alpha: float = Field(0.05, gt=0, lt=1)

    @property
    def compared(self) -> tuple[tuple[Side, Other], ...]:
        """The pairs of sides that are compared."""
        if self.kind == "order":
            return tuple(zip(self.chain, self.chain[1:], strict=False))
        if self.level is not None:
            return tuple((a, self.level) for a in self.left)
        return self.pairs or tuple((a, b) for a in self.left for b in self.right)

    @property
    def groups(self) -> tuple[tuple[tuple[Side, Other], ...], ...]:
        """The pairs of each comparison: one pair each, or all pairs together if their mean is compared."""
        return (self.compared,) if self.over == "pairs" else tuple((pair,) for pair in self.compared)

    @property
    def places(self) -> tuple[str, ...]:
        """The columns in which rows are compared, or the rows in which columns are."""
        return self.columns or self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names on all sides of the claim, without duplicates."""
        sides = (self.left, self.right, self.pairs, self.chain, self.others)
        return tuple(dict.fromkeys(name for side in sides for name in names_in(side)))

    @property
    def cells(self) -> tuple[tuple[str, str], ...]:
        """Row and column of each cell that the claim names."""
        return tuple((place, name) if self.rows else (name, place) for place in self.places for name in self.names)


def names_in(value: Any) -> Iterator[str]:
    """The names in a side, or in nested sides."""
    if isinstance(value, Difference):
        yield from (value.of, value.less)
    elif isinstance(value, str):
        yield value
    else:
        for one in value:
            yield from names_in(one)


class LooksPlan(Part):
    """The looks of a family: the first at `start` seeds, then one after each further seed, up to `most` seeds."""

    start: int = Field(3, ge=2, strict=True)
    most: int = Field(10, ge=2, le=200, strict=True)

    @model_validator(mode="after")
    def _ordered(self) -> LooksPlan:
        if self.most < self.start:
            raise ValueError(f"most is {self.most} but start is {self.start}, so there would be no look")
        return self


class Family(Part):
    """Claims that are corrected together, and the rules by which they are tested.

    `variance: column` pools the variance of a seed over the rows of a column; `cell` does not. `seen` has the seeds
    whose results were known when these rules were chosen. In the file, a family may also have any key that its claims
    share.
    """

    about: str = ""
    looks: LooksPlan | None = None
    variance: Literal["column", "cell"] = "column"
    seen: tuple[int, ...] = ()

    @property
    def plan(self) -> Looks | None:
        """The declared looks, None if there are none."""
        return Looks(self.looks.start, self.looks.most) if self.looks else None


ALONE = Family()


@dataclass(frozen=True)
class Stated:
    """A claim, its place in the file, the number of claims in its family, and the rules of the family."""

    claim: Claim
    where: str
    family: int
    rules: Family = ALONE

    def margin(self, shown: Metric) -> float:
        """The margin for a metric, in the unit that the table shows. Raises UserError if the claim has none for it."""
        margin = self.claim.margin or 0.0
        if not isinstance(margin, dict):
            return margin
        quantity = shown.name.rpartition("/")[2]
        if quantity and quantity not in margin:
            raise UserError(f"claim {self.claim.id}: the margin has no value for {quantity}", self.where,
                            "it has one for " + ", ".join(margin))
        return margin.get(quantity, 0.0)
