"""What a runner asks of a job, beside the run itself: plain values that travel as JSON, none of them in a run's id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from suite.data.tasks import TASKS
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig

COMPILED, GRAPHS = "default", "cuda graphs"  # torch.compile's mode of that name; `suite.train.cuda_graphs`


@dataclass(frozen=True)
class Order:
    """How to compute a run, and how far.

    until: stop after this epoch of the full schedule; None for its end. timeout_s: seconds after which to stop.
    checkpoint_s: seconds between them, at most that much is lost. probe: stop after the first one. compile: COMPILED,
    GRAPHS, or "" for neither. recompute: see `suite.models.backbone`. still: number and heartbeats of an attempt that
    may be overtaken although it has not ended (`suite.store.attempt.claim`). launch: what
    `suite.store.provenance.of_launch` says, and the job and batch of a cluster.
    """

    threads: int = 1
    device: str = "cpu"
    until: int | None = None
    timeout_s: float | None = None
    checkpoint_s: float = 300.0
    compile: str = ""
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
        return cls(**(values | {"still": tuple(values["still"]) if values["still"] else None}))


def check_graphs(configs: Iterable[RunConfig], compile: str, gpus: bool, recompute: bool) -> None:
    """Raises UserError where CUDA graphs are asked for and cannot be had."""
    if compile != GRAPHS:
        return
    if not gpus:
        raise UserError("CUDA graphs without a GPU", "--cuda-graphs",
                        "name GPUs (--gpus, or --gpus-per-job on a cluster), or leave the option out")
    if recompute:
        raise UserError("what is computed again cannot be recorded", "--cuda-graphs with --recompute",
                        "leave one of them out")
    texts = sorted({config.task for config in configs if TASKS[config.task].inputs != "values"})
    if texts:
        raise UserError(f"batches of {', '.join(texts)} are as long as their longest text, and a graph has one shape",
                        "--cuda-graphs", "leave the option out, or these tasks: --only task=…")
