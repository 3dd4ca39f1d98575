"""The trajectory that a job advances step by step: training, a fit or a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from suite.config.fields import CLASSICAL
from suite.config.outcomes import Outcomes
from suite.config.rows import Memory, Row
from suite.config.run_config import RunConfig
from suite.train.mode import Mode


class Trajectory(Protocol):
    """The interface of training, a fit or a benchmark that a job uses."""

    @property
    def step(self) -> int:
        """Number of finished steps."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps in an epoch."""

    @property
    def rows(self) -> list[Row]:
        """One row for each finished epoch."""

    @property
    def outcomes(self) -> Outcomes:
        """The outcome of each example at the best and the last epoch. Empty if it was not recorded."""

    @property
    def parameters(self) -> int:
        """Number of trained real scalars. For a fit, see `suite.models.classical.parameters`."""

    def advance(self) -> Row | None:
        """Do one step. Returns the epoch's row after its last step, else None."""

    def state(self) -> Memory:
        """All that is needed to continue (see `Trainer.state`)."""

    def restore(self, state: Memory) -> None:
        """Continue from a result of `state`."""


def make(config: RunConfig, data: Any, device: torch.device, mode: Mode, recompute: bool) -> Trajectory:
    """The trajectory for a run's configuration. `recompute`: see `suite.models.build`.

    Raises UserError if the configuration does not fit the data or the device.
    """
    if config.kind == "bench":
        from suite.train.measurement import Measurement

        return Measurement(config, device)
    if config.model.name in CLASSICAL:
        from suite.train.classical_fit import Fit

        return Fit(config, data, device)
    from suite.train.trainer import Trainer

    return Trainer(config, data, device, mode, recompute)


def load(config: RunConfig) -> Any:
    """The data of a run (with `fingerprint` and `variant`). They are prepared if necessary. Raises UserError."""
    if config.kind == "bench":
        from suite.train.measurement import NoData

        return NoData()
    from suite.config import own_data
    from suite.data import prepared

    own_data.check(config.data, config.task)
    return prepared.load(config.data, config.task)


def backend() -> str:
    """The back end that computes kernels in this process."""
    from suite.ssm import kernels

    return kernels.effective_backend()


@dataclass(frozen=True)
class Training:
    """The functions that a job calls. Tests replace them."""

    load: Callable[[RunConfig], Any] = load
    make: Callable[[RunConfig, Any, torch.device, Mode, bool], Trajectory] = make
    backend: Callable[[], str] = backend
