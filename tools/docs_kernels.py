"""Time and error of each kernel as a function of L: a figure and its caption, from docs/kernel-speed.json.

`tools/kernel_speed.py` writes that file.
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from suite.report.figures.plot import COLOURS, canvas, style

PATH = Path(__file__).parents[1] / "docs/kernel-speed.json"
KERNELS = {"power_sum": "Vandermonde", "softmax": "softmax", "dplr": "Cauchy (S4)"}
BACKENDS = {"blocked": ("-", "o"), "keops": ("--", "s"), "naive": (":", "^")}
BUSY = 0.3  # load of the machine above which times are not reliable


class Point(BaseModel):
    """A back end of a kernel at a length: median time of a forward and backward pass, and error of the values.

    `error` is the largest error divided by the largest value, compared with dense powers of A_bar in float64. Time and
    error are None, with a reason, if the back end cannot run.
    """

    model_config = ConfigDict(extra="forbid")
    kernel: str
    backend: str
    length: int
    milliseconds: float | None
    error: float | None
    reason: str = ""


class Record(BaseModel):
    """The measurements, when and on what machine. `load`: its load (1 minute) before the first measurement."""

    model_config = ConfigDict(extra="forbid")
    day: datetime.date
    cpu: str
    cores: int
    load: float
    torch: str
    features: int
    state_size: int
    points: list[Point]


def kept() -> Record:
    """The record in the repository."""
    return Record.model_validate_json(PATH.read_text(encoding="utf-8"))


def picture() -> Any:
    """Milliseconds on the left, errors on the right. Colours are kernels, line styles are back ends."""
    record = kept()
    with style(**{"svg.fonttype": "none", "font.family": "sans-serif"}):
        made = canvas(8.6, 4.0)
        times, errors = made.subplots(1, 2)
        for place, kernel in enumerate(KERNELS):
            for backend, (dash, mark) in BACKENDS.items():
                points = [one for one in record.points if (one.kernel, one.backend) == (kernel, backend)]
                ran = sorted((one for one in points if one.error is not None), key=lambda one: one.length)
                look = {"color": COLOURS[place], "linestyle": dash, "marker": mark, "markersize": 3.5}
                _line(times, ran, [one.milliseconds for one in ran], look, f"{KERNELS[kernel]}, {backend}")
                _line(errors, ran, [one.error for one in ran], look, "")
        times.set(ylabel="milliseconds", title="A pass, forward and backward")
        errors.set(ylabel="largest error / largest value", title="Error of the kernel in float32")
        for axes in (times, errors):
            axes.set(xlabel="length L", xscale="log", yscale="log")
            lengths = sorted({one.length for one in record.points})
            axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(lambda value, _: _power(value))
        made.legend(*times.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return made


def _power(value: float) -> str:
    """A power of ten as text, since these figures have no formulas."""
    exponent = round(math.log10(value))
    small = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{10**exponent:,}" if 0 <= exponent <= 4 else f"10{small}"


def _line(axes: Any, points: list[Point], values: list[Any], look: dict[str, Any], label: str) -> None:
    if points:
        axes.plot([one.length for one in points], values, label=label, **look)


def conditions() -> str:
    """When and on what it was measured, and whether the machine was quiet."""
    record = kept()
    missing = {one.backend: one.reason for one in record.points if one.error is None}
    parts = [f"Measured on {record.day:%d %B %Y} on one core of an {record.cpu}, torch {record.torch}, "
             f"N = {record.state_size}, H = {record.features}; freed memory is kept, as in training."]
    if record.load > BUSY:
        parts.append(f"**The machine was busy** (load {record.load:.1f} on {record.cores} cores), so the times are too "
                     "long and uneven. The errors do not depend on the load.")
    parts += [f"Not measured, since it does not run: {name} ({reason})." for name, reason in missing.items()]
    return " ".join(parts)
