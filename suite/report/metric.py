"""Metrics: their names, the units they are shown in, and whether higher or lower is better."""

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
    """A measured quantity: its better direction, and how it is shown unless a layout changes this."""

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


MARGINS = {"accuracy": 1.0, "rmse": 0.02}  # by so much the paper's own tables differ for one configuration, as printed


@dataclass(frozen=True)
class Metric:
    """A metric as it is shown: `name` as in metrics.jsonl (`val/accuracy`); stored values × `factor` are in `unit`."""

    name: str
    words: str
    direction: Direction
    factor: float
    unit: str
    digits: int

    @property
    def heading(self) -> str:
        """Name, unit and better direction (↑ or ↓), for the head of a column."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.words}{unit} {'↑' if self.direction == 'max' else '↓'}"

    @property
    def axis(self) -> str:
        """Label of a figure's axis."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def printed_unit(self) -> float:
        """Factor from a number printed in the paper to the shown unit. The paper prints accuracy in percent."""
        return self.factor / (100 if self.name.rpartition("/")[2] == "accuracy" else 1)

    @property
    def difference_unit(self) -> str:
        """Unit of a difference: points for percentages, otherwise the unit itself."""
        return "points" if self.unit == "%" else self.unit

    def format(self, value: float, signed: bool = False) -> str:
        """`value` (in the shown unit) with the metric's number of decimals, and U+2212 as the minus sign."""
        text = f"{value:{'+' if signed else ''}.{self.digits}f}"
        if float(text) == 0:
            text = text.lstrip("+-")
        return text.replace("-", "−")

    def with_digits(self, digits: int) -> Metric:
        """The same metric with another number of decimals."""
        return replace(self, digits=digits)


def setting(field: str) -> Metric:
    """A placeholder for the metric in a table of settings."""
    return Metric(field, "", "max", 1.0, "", 0)


def metric(name: str, where: str, *, direction: Direction | None = None, scale: Scale | None = None,
           digits: int | None = None) -> Metric:
    """The metric of that name, with the given options of a layout.

    Raises UserError, at `where`, if its better direction is unknown.
    """
    split, _, last = name.partition("/")
    quantity = QUANTITIES.get("time" if split == "time" else last or name)
    if quantity is None and direction is None:
        direction = next((task.direction for task in cards.own_tasks().values() if task.metric == last), None)
    if quantity is None and direction is None:
        raise UserError(f"the better direction of the metric {name!r} is unknown", where,
                        "add `direction: max` or `direction: min`")
    quantity = quantity or Quantity(last or name, "max", "raw", "", 3)
    scale = scale or quantity.scale
    unit = "%" if scale == "percent" else "fraction" if quantity.scale == "percent" else quantity.unit
    words = f"{split_words(last)} time" if split == "time" else f"{split_words(split)} {quantity.words or last}"
    return Metric(name, words if last else name, direction or quantity.direction, FACTORS[scale], unit,
                  quantity.digits if digits is None else digits)


def split_words(split: str) -> str:
    """A split in words: `val` is validation, `test@8000` is test at 8000 Hz."""
    name, _, rate = split.partition("@")
    return SPLITS.get(name, name) + (f" at {rate} Hz" if rate else "")


def selection_words(select: str) -> str:
    """A selection in words: `max val/accuracy` is the epoch with the highest validation accuracy."""
    direction, _, name = select.partition(" ")
    split, _, last = name.partition("/")
    quantity = QUANTITIES.get(last)
    return (f"the epoch with the {'highest' if direction == 'max' else 'lowest'} "
            f"{split_words(split)} {quantity.words if quantity else last}")
