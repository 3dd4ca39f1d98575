"""Seeds beyond a grid's list: their order, and the grid with their runs added."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from suite.grid.model import Grid, GridRun


def in_order(seeds: Sequence[int], most: int) -> tuple[int, ...]:
    """The first `most` seeds: the grid's list, then upwards from its largest. For example 0, 5, 7, then 8, 9, …"""
    listed = list(dict.fromkeys(seeds))
    upwards = range(max(listed) + 1, max(listed) + 1 + max(most - len(listed), 0))
    return (*listed, *upwards)[:max(most, 0)]


def at_seed(run: GridRun, seed: int) -> GridRun:
    """The run of the same configuration with another seed."""
    config = run.config.with_seed(seed)
    return GridRun(config, config.run_id, run.labels)


def configurations(runs: Iterable[GridRun]) -> list[GridRun]:
    """The first run of each combination of labels."""
    found: dict[tuple[tuple[str, str], ...], GridRun] = {}
    for run in runs:
        found.setdefault(tuple(run.labels.items()), run)
    return list(found.values())


def with_runs(grid: Grid, added: Collection[GridRun]) -> Grid:
    """The grid with these runs added. Its seeds continue up to the largest seed of the added runs, without gaps."""
    have = {run.run_id for run in grid.runs}
    fresh = [run for run in added if run.run_id not in have]
    if not fresh:
        return grid
    last = max(run.config.seed for run in fresh)
    order = in_order(grid.seeds, len(grid.seeds) + max(last - max(grid.seeds), 0))
    return replace(grid, runs=(*grid.runs, *fresh), seeds=order)
