"""Canaries: the cheapest run of each kind starts first; the others wait for its first checkpoint."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from suite.config.run_config import RunConfig
from suite.store.state import RunState, State

if TYPE_CHECKING:
    from suite.grid.model import GridRun

FEWEST = 2  # other runs: with fewer, waiting for canaries does not pay off


class Kind(NamedTuple):
    """Runs of the same kind are expected to start, or fail to start, alike."""

    task: str
    model: str
    kernel: str

    @property
    def words(self) -> str:
        """The kind in messages: `scifar, s4d, vandermonde`."""
        return ", ".join(part for part in self if part)


def kind(config: RunConfig) -> Kind:
    """Returns the kind of a run."""
    return Kind(config.task, config.model.name, config.ssm.kernel)


def choose(runs: Sequence[GridRun], states: Mapping[str, RunState], prices: Mapping[str, float],
           covered: Collection[Kind] = ()) -> list[GridRun]:
    """Returns the canaries of these runs. Empty if there are too few other runs.

    `prices`: seconds per epoch, by shape. `covered`: kinds that already have a canary.
    """
    cheapest: dict[Kind, GridRun] = {}
    for run in runs:
        if states[run.run_id].is_held or states[run.run_id].name == State.DONE:
            continue
        one = kind(run.config)
        if one not in covered and (one not in cheapest or _cost(run, prices) < _cost(cheapest[one], prices)):
            cheapest[one] = run
    return list(cheapest.values()) if len(runs) >= len(cheapest) + FEWEST else []


def _cost(run: GridRun, prices: Mapping[str, float]) -> tuple[float, float]:
    """Returns a sort key: seconds per epoch of the run's shape or, if unknown, the size of its layers."""
    config = run.config
    size = config.train.batch_size * config.model.layers * config.model.features * (config.ssm.state_size + 64)
    return prices.get(config.shape, math.inf), float(size)
