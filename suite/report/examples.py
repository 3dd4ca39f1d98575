"""A picture of a few examples of a task as a PNG: images, signals over time, or strips of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.errors import UserError
from suite.files import atomic
from suite.report.figures.plot import canvas, saved, style

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

COUNT = {"images": 32, "signals": 8, "tokens": 12}
TOKENS_A_ROW = 128
SPECIALS = 3  # padding, unknown, end: tokens with names longer than a letter


def write(name: str, data: TaskData, labels: Sequence[str], path: Path) -> Path:
    """Draw the first test examples of every class in turn; for a regression, examples evenly spread over the targets.

    `name` is the data set, `labels` are the names of the classes (may be empty). Returns the path of the PNG.

    Raises UserError if the file cannot be written.
    """
    kind = kind_of(data)
    rows = spread(np.asarray(data.arrays["test/y"]), COUNT[kind], data.classes)
    names = [named(data, labels, data.arrays["test/y"][row]) for row in rows]
    title = f"{name} for {data.task}, variant {data.variant}, test split"
    with style(**{"axes.grid": False}):
        figure = {"images": images, "signals": signals, "tokens": tokens}[kind](data, rows, names)
        figure.suptitle(title, fontsize=10)
        content = saved(figure, "png", title)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(path, content, atomic.nobody())
    except OSError as error:
        raise UserError(f"the picture cannot be written: {error.strerror}", str(path), "choose a folder with --out") \
            from None
    return path


def kind_of(data: TaskData) -> str:
    """How the examples are drawn: `images`, `signals` or `tokens`."""
    if "tokens" in data.arrays:
        return "tokens"
    square = math.isqrt(data.length) ** 2 == data.length
    return "images" if square and data.classes and not data.rate_hz and "padding" not in data.arrays else "signals"


def spread(y: np.ndarray, count: int, classes: int | None) -> np.ndarray:
    """Indices (at most count,) of examples: all classes equally often, or targets from smallest to largest."""
    if classes is None:
        return np.argsort(y, kind="stable")[np.linspace(0, len(y) - 1, min(count, len(y))).astype(int)]
    turns = [np.flatnonzero(y == k)[:math.ceil(count / classes)] for k in range(classes)]
    rounds = [turn[i] for i in range(math.ceil(count / classes)) for turn in turns if i < len(turn)]
    return np.asarray(rounds[:count])


def named(data: TaskData, labels: Sequence[str], y: Any) -> str:
    """The label of a class, or the target."""
    if data.classes is None:
        return f"{float(y):.1f}"
    return labels[int(y)] if labels else f"class {int(y)}"


def images(data: TaskData, rows: np.ndarray, names: Sequence[str]) -> Any:
    """Sequences of pixels, drawn as images, row by row."""
    side = math.isqrt(data.length)
    pixels = np.asarray(data.arrays["test/x"][rows]).astype(np.float64)
    pixels = ((pixels - pixels.min()) / max(np.ptp(pixels), 1e-9)).reshape(len(rows), side, side, -1)
    across = 8
    figure = canvas(10, 1.45 * math.ceil(len(rows) / across))
    for k, (image, name) in enumerate(zip(pixels, names, strict=True)):
        axes = figure.add_subplot(math.ceil(len(rows) / across), across, k + 1)
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
        axes.set_title(name, fontsize=8, pad=2)
        axes.set_axis_off()
    return figure


def signals(data: TaskData, rows: np.ndarray, names: Sequence[str]) -> Any:
    """Model inputs against time in seconds, one line per channel."""
    x = data.batch("test", rows).x.numpy()
    seconds = np.arange(x.shape[1]) / (data.rate_hz or 1)
    figure = canvas(10, 1.3 * math.ceil(len(rows) / 2) + 0.5)
    for k, (values, name) in enumerate(zip(x, names, strict=True)):
        axes = figure.add_subplot(math.ceil(len(rows) / 2), 2, k + 1)
        for channel in range(values.shape[1]):
            axes.plot(seconds, values[:, channel], linewidth=0.6, label=f"channel {channel}")
        axes.set_title(name, fontsize=8, pad=2)
        axes.tick_params(labelsize=6)
        axes.margins(x=0)
        if k + 2 >= len(rows):
            axes.set_xlabel("s", fontsize=8)
        if k == 0 and values.shape[1] > 1:
            axes.legend(fontsize=6, loc="upper right")
    return figure


def tokens(data: TaskData, rows: np.ndarray, names: Sequence[str]) -> Any:
    """Token ids as colours, in lines of 128; white after the end. The two texts of a pair are drawn side by side."""
    batch = data.batch("test", rows)
    assert batch.lengths is not None  # noqa: S101  tokens have lengths
    texts = batch.x.reshape(len(rows), -1, batch.x.shape[-1]).numpy()
    lengths = batch.lengths.reshape(len(rows), -1).numpy()
    figure = canvas(12, 0.9 * len(rows) * texts.shape[1] + 0.5)
    for k, name in enumerate(names):
        for part in range(texts.shape[1]):
            axes = figure.add_subplot(len(rows), texts.shape[1], k * texts.shape[1] + part + 1)
            length = int(lengths[k, part])
            strip = np.full(max(8, math.ceil(length / TOKENS_A_ROW)) * TOKENS_A_ROW, np.nan)
            strip[:length] = texts[k, part, :length]
            axes.imshow(strip.reshape(-1, TOKENS_A_ROW), cmap="nipy_spectral", vmin=0, vmax=data.vocabulary,
                        aspect="auto", interpolation="nearest")
            excerpt = beginning(data, texts[k, part, :length], 130 // texts.shape[1])
            axes.set_title(f"{name}, {length:,} tokens: {excerpt}", fontsize=7, pad=2, loc="left")
            axes.set_axis_off()
    return figure


def beginning(data: TaskData, text: np.ndarray, most: int) -> str:
    """The first tokens as text of at most `most` characters; `…` if the data have no symbols for their tokens."""
    if "symbols" not in data.arrays:
        return "…"
    symbols = [str(symbol) for symbol in data.arrays["symbols"]]
    between = "" if sum(len(symbol) > 1 for symbol in symbols) <= SPECIALS else " "
    words = between.join(symbols[token] for token in text[:most])
    return "".join(letter if letter.isprintable() else " " for letter in words[:most]) + "…"
