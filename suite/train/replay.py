"""Steps as CUDA graphs if possible, else eagerly. The bits are the same.

If a step cannot be recorded, it and all later ones are eager. Steps with user code are replayed only after some
replayed steps have given the same bits as eager ones on the same batches.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from suite.errors import UserError, is_no_memory
from suite.train.cuda_graphs import Recording
from suite.train.mode import Mode

if TYPE_CHECKING:
    from suite.data.prepared import Batch

LOG = logging.getLogger(__name__)
PROOFS = 3  # replayed steps, each on another batch, that must equal eager ones


class Replay:
    """`work(batch)` as a CUDA graph. If it cannot be recorded, `mode` GRAPHS raises an error, while AUTO and PROVED
    continue eagerly. PROVED replays only after a proof.

    state: returns all tensors that a step changes. seed: seeds the generators of the step's dropout again: the default
    one, or `generators`.
    """

    def __init__(self, work: Callable[[Batch], None], optimizer: torch.optim.Optimizer, device: torch.device,
                 mode: Mode, state: Callable[[], Sequence[Tensor]], seed: Callable[[], None],
                 generators: Sequence[torch.Generator] = ()) -> None:
        self.work, self.optimizer, self.device, self.mode = work, optimizer, device, mode
        self.state, self.seed = state, seed
        self.recording: Recording | None = Recording(work, optimizer, device, generators)
        self.proofs = PROOFS if mode is Mode.PROVED else 0
        self.why = ""  # why steps are eager; "" if they are replayed

    @property
    def recorded(self) -> bool:
        """Whether steps are replayed now."""
        return self.recording is not None and self.recording.graph is not None and not self.proofs

    def step(self, batch: Batch) -> None:
        """Do the work. Raises UserError if `mode` is GRAPHS and the step cannot be recorded."""
        if self.recording is None:
            self.work(batch)
        elif self.mode is Mode.GRAPHS:
            self.recording.step(batch)
        else:
            self._try(self.recording, batch)

    def _try(self, recording: Recording, batch: Batch) -> None:
        before = [tensor.detach().clone() for tensor in self.state()] if self.proofs and not recording.left else []
        try:
            recording.step(batch)
        except (UserError, RuntimeError) as error:
            if not isinstance(error, UserError) and not (is_no_memory(error) and recording.graph is None):
                raise
            problem = error.problems[0].what if isinstance(error, UserError) else "too little memory to record a step"
            self._give_up(problem)
            self.seed()
            self.work(batch)
            return
        if before:
            self._prove(recording, batch, before)

    def _prove(self, recording: Recording, batch: Batch, before: Sequence[Tensor]) -> None:
        """Do the step again, eagerly, and compare. Afterwards the state is that of the eager step."""
        replayed = [tensor.detach().clone() for tensor in self.state()]
        for tensor, old in zip(self.state(), before, strict=True):
            tensor.detach().copy_(old)
        self.seed()
        recording.eagerly(batch)
        if all(torch.equal(one, other) for one, other in zip(self.state(), replayed, strict=True)):
            self.proofs -= 1
            if not self.proofs:
                LOG.info("%d replayed steps were equal to eager ones to the bit: steps are CUDA graphs from now on",
                         PROOFS)
        else:
            self._give_up("a replayed step was not equal to an eager one")

    def _give_up(self, why: str) -> None:
        self.why, self.recording = f"eager steps: {' '.join(why.split())}", None
        LOG.warning("%s", self.why)
        self.optimizer.zero_grad(set_to_none=True)  # gradients of the recording are in its own memory
