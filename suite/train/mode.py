"""How a step is computed: eagerly, compiled, or recorded as a CUDA graph."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from suite.data import cards
from suite.errors import UserError

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig


class Mode(StrEnum):
    """EAGER: operation by operation. COMPILED: by torch.compile. GRAPHS: whole steps as CUDA graphs, the same bits."""

    EAGER = ""
    COMPILED = "default"
    GRAPHS = "cuda graphs"


def check_graphs(configs: Iterable[RunConfig], mode: Mode, gpus: bool, recompute: bool) -> None:
    """Raises UserError if CUDA graphs are asked for and cannot be had."""
    if mode is not Mode.GRAPHS:
        return
    if not gpus:
        raise UserError("CUDA graphs without a GPU", "--cuda-graphs",
                        "name GPUs (--gpus, or --gpus-per-job on a cluster), or leave the option out")
    if recompute:
        raise UserError("what is computed again cannot be recorded", "--cuda-graphs with --recompute",
                        "leave one of them out")
    texts = sorted({config.task for config in configs if cards.task(config.task).inputs != "values"})
    if texts:
        raise UserError(f"batches of {', '.join(texts)} are as long as their longest text, and a graph has one shape",
                        "--cuda-graphs", "leave the option out, or these tasks: --only task=…")
