"""Files of the Monash time series regression archive (`.ts`): a header, then one line for each example.

A line has the dimensions, separated by colons, with comma-separated values, and then the target. The format also has
time stamps and series of unequal length, which are not supported.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from suite.data.progress_bar import track
from suite.data.source import Source
from suite.errors import UserError


def read_files(source: Source, files: list[str], channels: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, length, channels) float32 and targets (n,) float64 of the card's files, concatenated.

    Raises UserError if a file is missing, truncated or has other content.
    """
    values, targets = [], []
    for path in map(source.path, files):
        fix = source.fix_for(path)
        for number, line in track(examples(source, path), f"reading {path.name}"):
            where = f"{source.place}: {path}, line {number}"
            *dimensions, target = line.split(":")
            if len(dimensions) != channels:
                raise UserError(f"{len(dimensions)} dimensions and a target, not {channels}", where, fix)
            window = [parse_numbers(text, where, fix) for text in dimensions]
            if any(len(one) != length for one in window):
                raise UserError(f"series of {', '.join(str(len(one)) for one in window)} values, not {length}: the "
                                "file is truncated, or of another data set", where, fix)
            values.append(np.stack(window, axis=1).astype(np.float32))
            targets.append(parse_numbers(target, where, fix).item())
    return np.stack(values), np.asarray(targets)


def examples(source: Source, path: Path) -> list[tuple[int, str]]:
    """The lines after `@data`, with their line numbers. Raises UserError if there is no such line."""
    lines = [(number, line.strip()) for number, line in enumerate(source.lines(path), 1)]
    starts = [k for k, (_, line) in enumerate(lines) if line.lower() == "@data"]
    found = [(number, line) for number, line in lines[starts[0] + 1:] if line] if starts else []
    if not found:
        raise UserError(f"{path} has no examples after a line @data", source.place, source.fix_for(path))
    return found


def parse_numbers(text: str, where: str, fix: str) -> np.ndarray:
    """Comma-separated numbers (n,) float64. Raises UserError for anything but finite numbers, such as `?` or NaN."""
    try:
        parsed = np.array(text.split(","), dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{error}: not a number", where, fix) from None
    if not np.isfinite(parsed).all():
        raise UserError(f"value {int(np.flatnonzero(~np.isfinite(parsed))[0]) + 1} is not a finite number", where,
                        fix)
    return parsed
