"""What a runner asks of a job, beside the run itself: plain values that travel as JSON, none of them in a run's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass
from suite.train.mode import Mode


@dataclass(frozen=True)
class Order:
    """How to compute a run, and how far.

    until: stop after this epoch of the full schedule; None for its end. timeout_s: seconds after which to stop.
    checkpoint_s: seconds between them, at most that much is lost. probe: stop after the first one. recompute: see
    `suite.models.backbone`. still: number and heartbeats of an attempt that
    may be overtaken although it has not ended (`suite.store.attempt.claim`). launch: what
    `suite.store.provenance.of_launch` says, and the job and batch of a cluster.
    """

    threads: int = 1
    device: str = "cpu"
    until: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 300.0
    compile: Mode = Mode.EAGER
    recompute: bool = False
    probe: bool = False
    still: tuple[int, int] | None = None
    launch: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of text; `from_json` reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """What `to_json` was called on."""
        values = json.loads(text)
        still = tuple(values["still"]) if values["still"] else None
        return cls(**(values | {"still": still, "compile": Mode(values["compile"])}))
