"""A column that is the mean over other columns, where an X counts as chance (table 5 of the paper)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from scipy import special

from suite.report.published import CHANCE
from suite.report.tables.table import Cell, Head


def average(row: str, head: Head, cells: Sequence[Cell]) -> Cell:
    """The mean of complete cells, with the 95 % interval that their deviations give (Welch and Satterthwaite).

    Where one has no number, or not all of its seeds, the average has none either. Of differences it is one, too.
    """
    there = [cell for cell in cells if cell.mean is not None and cell.state in ("complete", "chance")]
    if len(there) < len(cells):
        reason = f"{len(there)}/{len(cells)} columns"
        return Cell(row, head.label, "mixed", "", reason, reason)
    worst, base = CHANCE * head.metric.factor / 100, cells[0].base
    if base and any(cell.chance for cell in cells):
        return Cell(row, head.label, "mixed", "", "X has no difference", "X has no difference", base=base)
    mean = sum(worst if cell.chance else cell.mean or 0.0 for cell in cells) / len(cells)
    return Cell(row, head.label, "average", head.metric.format(mean, signed=bool(base)), "", mean=mean,
                interval=_interval(mean, cells), base=base)


def _interval(mean: float, cells: Sequence[Cell]) -> tuple[float, float] | None:
    samples = [list((cell.values or {}).values()) for cell in cells]
    if any(len(sample) < 2 for sample in samples):
        return None
    parts = [(statistics.variance(sample) / len(sample), len(sample) - 1)
             for cell, sample in zip(cells, samples, strict=True) if not cell.chance]
    variance = sum(part for part, _ in parts)
    if not variance:
        return mean, mean
    df = variance**2 / sum(part**2 / free for part, free in parts)
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(variance) / len(cells)
    return mean - half, mean + half
