"""What a metric is called, in which unit it is shown, and which of two values of it is the better one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from suite.data import cards
from suite.errors import UserError

Direction = Literal["max", "min"]
Scale = Literal["percent", "raw", "thousands"]
FACTORS = {"percent": 100.0, "raw": 1.0, "thousands": 0.001}
SPLITS = {"train": "training", "val": "validation", "test": "test", "eval": "evaluation"}


@dataclass(frozen=True)
class Quantity:
    """What is measured: its better direction, and how it is shown where a layout says nothing else."""

    words: str
    direction: Direction
    scale: Scale
    unit: str
    digits: int


QUANTITIES = {
    "accuracy": Quantity("accuracy", "max", "percent", "%", 2),
    "rmse": Quantity("RMSE", "min", "raw", "target units", 3),
    "loss": Quantity("loss", "min", "raw", "", 3),
    "ms": Quantity("time", "min", "raw", "ms", 1),
    "mb": Quantity("memory", "min", "raw", "MiB", 0),
    "ratio": Quantity("time ratio", "max", "raw", "", 1),
    "parameters": Quantity("parameters", "min", "thousands", "K", 0),
    "time": Quantity("", "min", "raw", "s", 1),
}


MARGINS = {"accuracy": 1.0, "rmse": 0.02}  # as far as the paper's own tables differ for one configuration, as printed


@dataclass(frozen=True)
class Metric:
    """A metric as it is shown: `name` as in metrics.jsonl (`val/accuracy`), values times `factor` in `unit`."""

    name: str
    words: str
    direction: Direction
    factor: float
    unit: str
    digits: int

    @property
    def heading(self) -> str:
        """Name, unit and the better direction in a few words, for the head of a column."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.words}{unit} {'↑' if self.direction == 'max' else '↓'}"

    @property
    def axis(self) -> str:
        """Label of a figure's axis."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def printed_unit(self) -> float:
        """What a number of the paper is multiplied by, to be in the shown unit: it prints accuracy in percent."""
        return self.factor / (100 if self.name.rpartition("/")[2] == "accuracy" else 1)

    @property
    def difference_unit(self) -> str:
        """Unit of a difference of two values: percentage points for percentages."""
        return "points" if self.unit == "%" else self.unit

    def format(self, value: float, signed: bool = False) -> str:
        """`value` (in the shown unit) with the metric's digits, and a true minus sign."""
        text = f"{value:{'+' if signed else ''}.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", "−")

    def with_digits(self, digits: int) -> Metric:
        """The same metric, shown with other digits."""
        return replace(self, digits=digits)


def setting(field: str) -> Metric:
    """What stands in for a metric in a table of settings."""
    return Metric(field, "", "max", 1.0, "", 0)


def metric(name: str, where: str, *, direction: Direction | None = None, scale: Scale | None = None,
           digits: int | None = None) -> Metric:
    """The metric of that name. Raises UserError, at `where`, for one whose better direction nobody told."""
    split, _, last = name.partition("/")
    quantity = QUANTITIES.get("time" if split == "time" else last or name)
    if quantity is None and direction is None:
        direction = next((task.direction for task in cards.own_tasks().values() if task.metric == last), None)
    if quantity is None and direction is None:
        raise UserError(f"whether more or less is better is not known of the metric {name!r}", where,
                        "add `direction: max` or `direction: min`")
    quantity = quantity or Quantity(last or name, "max", "raw", "", 3)
    scale = scale or quantity.scale
    unit = "%" if scale == "percent" else "fraction" if quantity.scale == "percent" else quantity.unit
    words = f"{split_words(last)} time" if split == "time" else f"{split_words(split)} {quantity.words or last}"
    return Metric(name, words if last else name, direction or quantity.direction, FACTORS[scale], unit,
                  quantity.digits if digits is None else digits)


def split_words(split: str) -> str:
    """`val` as validation, `test@8000` as test at 8000 Hz."""
    name, _, rate = split.partition("@")
    return SPLITS.get(name, name) + (f" at {rate} Hz" if rate else "")


def selection_words(select: str) -> str:
    """`max val/accuracy` as words: the epoch with the highest validation accuracy."""
    direction, _, name = select.partition(" ")
    split, _, last = name.partition("/")
    quantity = QUANTITIES.get(last)
    return (f"the epoch with the {'highest' if direction == 'max' else 'lowest'} "
            f"{split_words(split)} {quantity.words if quantity else last}")
