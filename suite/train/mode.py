"""How a training step is computed: eagerly, compiled, or as a CUDA graph."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from suite.config import own
from suite.data import cards
from suite.errors import MachineFault, UserError

if TYPE_CHECKING:
    from suite.config.run_config import RunConfig


class Mode(StrEnum):
    """EAGER: operation by operation. COMPILED: with torch.compile. GRAPHS: steps as CUDA graphs, with the same bits.

    AUTO: as CUDA graphs on a GPU if possible, else eagerly (`steps_of`). PROVED: as CUDA graphs, after replayed steps
    were equal to eager ones to the bit.
    """

    EAGER = ""
    COMPILED = "default"
    GRAPHS = "cuda graphs"
    AUTO = "auto"
    PROVED = "proved cuda graphs"


RECORDED = (Mode.GRAPHS, Mode.AUTO, Mode.PROVED)  # modes in which steps are recorded, if possible


@dataclass(frozen=True)
class Steps:
    """How the steps of a run are computed, and why, for its log and provenance. `why` is "" if the user chose it."""

    mode: Mode
    why: str = ""


def steps_of(config: RunConfig, mode: Mode, device: str, recompute: bool) -> Steps:
    """How a run computes its steps on a device (cpu or cuda), if the user asked for `mode`."""
    if mode is Mode.GRAPHS and device == "cpu":  # a run that began on a CPU, among others on a GPU
        return Steps(Mode.EAGER, "eager steps: only a GPU has CUDA graphs")
    if mode is not Mode.AUTO:
        return Steps(mode)
    if device == "cpu" or config.kind == "bench":
        return Steps(Mode.EAGER)
    if recompute:
        return Steps(Mode.EAGER, "eager steps: --recompute cannot be recorded")
    if cards.task(config.task).inputs != "values":
        return Steps(Mode.EAGER, f"eager steps: batches of {config.task} are as long as their longest text, and a CUDA "
                     "graph has one shape")
    code = [one.name for one in own.named(config)]
    if code:
        return Steps(Mode.PROVED, f"{', '.join(code)} is your own code: steps are replayed as a CUDA graph after some "
                     "were equal to eager ones to the bit")
    return Steps(Mode.AUTO)


def check_compiler() -> None:
    """Raises MachineFault if there is no C++ compiler for torch.compile."""
    if not shutil.which(os.environ.get("CXX", "g++")):
        raise MachineFault("torch.compile finds no C++ compiler", "--compile",
                           "install g++, name another compiler in the variable CXX, or leave the option out")


def check_graphs(configs: Iterable[RunConfig], mode: Mode, gpus: bool, recompute: bool) -> None:
    """Raises UserError if the user asked for CUDA graphs and they are not possible."""
    if mode is not Mode.GRAPHS:
        return
    if not gpus:
        raise UserError("CUDA graphs without a GPU", "--cuda-graphs",
                        "name GPUs (--gpus, or --gpus-per-job on a cluster), or leave the option out")
    if recompute:
        raise UserError("recomputed activations cannot be recorded", "--cuda-graphs with --recompute",
                        "leave one of them out")
    texts = sorted({config.task for config in configs if cards.task(config.task).inputs != "values"})
    if texts:
        raise UserError(f"batches of {', '.join(texts)} are as long as their longest text, and a graph has one shape",
                        "--cuda-graphs", "leave the option out, or these tasks: --only task=…")
