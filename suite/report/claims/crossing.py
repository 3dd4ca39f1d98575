"""The second interval of a comparison, over seeds and examples: for other examples of the same kind."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

from suite.report.claims.estimating import WeightedCell, common_seeds
from suite.report.claims.outcome import Comparison
from suite.report.statistics import crossed
from suite.report.statistics.contrast import Estimate
from suite.report.statistics.crossed import Layer
from suite.report.tables.evaluated import NOT_RECORDED, NOUN, ByExample

TEST = "t over seeds and examples"


def noun_of(cells: Sequence[WeightedCell]) -> str:
    """The name of the examples if all cells have the same kind, otherwise `examples`."""
    found = {cell.datum.by_example.noun for cell in cells if cell.datum.by_example is not None}
    return found.pop() if len(found) == 1 else NOUN


def with_examples(part: Comparison, cells: Sequence[WeightedCell]) -> Comparison:
    """The comparison with its interval over seeds and examples, or with the reason for having no interval.

    Only accuracy and RMSE have one, because they are computed from the outcomes of the examples. Constants have no
    error.
    """
    moving = [cell for cell in cells if not cell.datum.constant]
    sources = [cell.datum.by_example for cell in moving]
    known = [one for one in sources if one is not None and one.applies]
    if part.estimate is None or len(known) < len(moving):
        return part
    layers = _layers(moving, known, part.estimate.paired)
    if layers is None:
        return replace(part, not_crossed=NOT_RECORDED)
    found = crossed.paired(layers) if part.estimate.paired else crossed.unpaired(layers)
    if not found.value:
        return part
    made = Estimate(part.estimate.value, math.sqrt(found.value), found.df, math.nan, TEST, part.estimate.paired)
    return replace(part, crossed=made)


def _layers(cells: Sequence[WeightedCell], sources: Sequence[ByExample], paired: bool) -> list[Layer] | None:
    """The values by example of each cell, over the seeds that count. None if one of them is not recorded."""
    common = common_seeds(cells) if paired else []
    layers: list[Layer] = []
    sizes: dict[Hashable, int] = {}  # of each set of examples
    for cell, source in zip(cells, sources, strict=True):
        values = source.values(common if paired else list(cell.datum.values))
        if values is None or sizes.setdefault(source.examples, values.shape[1]) != values.shape[1]:
            return None
        layers.append(Layer(cell.coefficient, source.examples, values))
    return layers
