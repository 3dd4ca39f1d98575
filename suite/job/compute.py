"""How a run is computed, and how far. None of this is part of its identity."""

from __future__ import annotations

from pydantic import Field

from suite.files.record import Record
from suite.train.mode import Mode


class Compute(Record):
    """Settings of every run of a launch.

    threads: of each run. until: the epoch of the full schedule to stop after; None: the last one. timeout_s: seconds
    after which to stop. checkpoint_s: seconds between checkpoints, the most that is lost. mode: how a step is computed.
    recompute: whether activations are computed again in the backward pass (see `suite.models.backbone`).
    """

    threads: int = Field(1, ge=1)
    until: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 300.0
    mode: Mode = Mode.EAGER
    recompute: bool = False
