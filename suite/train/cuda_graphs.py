"""A training step as a CUDA graph: recorded once and replayed, so that its thousand kernels are launched together.

Small models are launch-bound: launching a kernel takes longer than computing it. A replay does the same operations on
the same memory, so the results are the same to the bit.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from suite.errors import UserError, is_no_memory

if TYPE_CHECKING:
    from suite.data.prepared import Batch

WARM = 3  # steps before recording, in which libraries choose algorithms and the optimiser creates its state


class Recording:
    """Runs `work(batch)`, a forward, backward and optimiser step, first eagerly and then as a graph.

    Only the batch, the learning rates and the seeds of the generators differ between steps; a graph reads all three at
    each replay. `generators`: those used by the work, besides the default one. Invariant: outside `step`, the
    optimiser's learning rates are plain numbers.
    """

    def __init__(self, work: Callable[[Batch], None], optimizer: torch.optim.Optimizer, device: torch.device,
                 generators: Sequence[torch.Generator] = ()) -> None:
        self.work, self.groups = work, optimizer.param_groups
        self.device, self.generators = device, generators
        self.stream: Any = torch.cuda.Stream(device)
        self.rates = [torch.zeros((), device=device) for _ in self.groups]
        self.left = WARM
        self.batch: Batch | None = None
        self.graph: torch.cuda.CUDAGraph | None = None

    def step(self, batch: Batch) -> None:
        """Do the work. Raises UserError if it cannot be recorded, or if the batch has another shape."""
        for rate, group in zip(self.rates, self.groups, strict=True):
            rate.fill_(group["lr"])
        if self.left:
            self.left -= 1
            self.eagerly(batch)
            return
        if self.graph is None or self.batch is None:
            self.graph, self.batch = self._record(batch)
        for own, new in zip(_tensors(self.batch), _tensors(batch), strict=True):
            if own.shape != new.shape:
                raise UserError(f"a batch of shape {tuple(new.shape)} after one of {tuple(own.shape)}", "--cuda-graphs",
                                "leave the option out: a graph has one shape")
            own.copy_(new, non_blocking=True)
        self.graph.replay()

    def eagerly(self, batch: Batch) -> None:
        """Do the work eagerly, on the stream and with the learning rates of the recording."""
        here = torch.cuda.current_stream()
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream), self._rates():
            self.work(batch)
        here.wait_stream(self.stream)

    def _record(self, batch: Batch) -> tuple[torch.cuda.CUDAGraph, Batch]:
        kept = replace(batch, x=batch.x.clone(), y=batch.y.clone(),
                       lengths=None if batch.lengths is None else batch.lengths.clone())
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        try:
            with self._rates(), _no_garbage(), torch.cuda.graph(graph, stream=self.stream):
                self.work(kept)
        except RuntimeError as error:
            self._wake_generators()
            cause = error.__context__ or error  # an error in a recording also makes its end fail
            for either in (cause, error):
                if is_no_memory(either):
                    raise either from None
            raise UserError(f"a step of this model cannot be recorded: {' '.join(str(cause).split())[:300]}",
                            "--cuda-graphs", "leave the option out; nothing in it may wait for the GPU") from error
        return graph, kept

    def _wake_generators(self) -> None:
        """Give the generators a new state: after a failed recording they behave as if it continued."""
        if self.device.type != "cuda":
            return
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        for generator in (torch.cuda.default_generators[index], *self.generators):
            generator.graphsafe_set_state(torch.Generator(self.device).graphsafe_get_state())

    @contextmanager
    def _rates(self) -> Iterator[None]:
        """A context in which learning rates are tensors, which a graph reads, and the optimiser can be recorded."""
        before = [(group["lr"], group["capturable"]) for group in self.groups]
        for group, rate in zip(self.groups, self.rates, strict=True):
            group["lr"], group["capturable"] = rate, True
        try:
            yield
        finally:
            for group, (rate, capturable) in zip(self.groups, before, strict=True):
                group["lr"], group["capturable"] = rate, capturable


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Collect garbage before, but not during a recording: freeing another graph can make it fail."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tensors(batch: Batch) -> list[Tensor]:
    return [x for x in (batch.x, batch.y, batch.lengths) if x is not None]
