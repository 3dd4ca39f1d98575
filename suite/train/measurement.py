"""Runs of kind `bench`: benchmarks of this machine, in the same grids, stores and reports as training runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from suite import machine
from suite.config.outcomes import Outcomes
from suite.config.rows import Memory, Row
from suite.config.run_config import RunConfig
from suite.errors import UserError

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoData:
    """Takes the place of the data in a run without data."""

    fingerprint: str = "none"
    variant: str = "none"


class Measurement:
    """A benchmark of a kernel's back ends or of a training step, as a trajectory of one step and one row.

    For a training step see `suite.train.step_bench`. For a kernel, the row has for each back end that ran
    `<back end>/ms`, `<back end>/mb` (peak memory of a pass, MiB) and `<back end>/ratio` (its time relative to that of
    `blocked`); for the power sum also `matmul/…`, the matrix products alone.
    """

    steps_per_epoch = 1
    parameters = 0

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        """Raises UserError if the run was planned on another machine or for another device."""
        if device.type != config.bench.device:
            fix = "name a GPU: --gpus 0" if device.type == "cpu" else "leave --gpus out, or --set bench.device=cuda"
            raise UserError(f"this run measures {config.bench.device}, but runs on {device.type}", "bench.device", fix)
        if config.bench.machine != machine.machine():
            raise UserError(f"this run measures {config.bench.machine}, but this machine is {machine.machine()}",
                            "bench.machine", "plan the grid on the machine to measure")
        self.config, self.device = config, device
        self.step = 0
        self.rows: list[Row] = []
        self.outcomes: Outcomes = {}  # there are no examples

    def advance(self) -> Row:
        """Measure, and return the row."""
        row: Row = {"epoch": 1, "step": 1}
        row |= self._kernel() if self.config.bench.subject == "kernel" else self._step()
        self.step = 1
        self.rows = [row]
        return row

    def _step(self) -> dict[str, float]:
        from suite.train import step_bench

        return step_bench.measure(self.config, self.device)

    def _kernel(self) -> dict[str, float]:
        from suite.ssm import bench

        wanted = self.config.bench
        row: dict[str, float] = {}
        for found in bench.rows(wanted.kernel, [wanted.length], self.config.model.features, self.config.ssm.state_size,
                                wanted.backends, wanted.repeats, self.device):
            name = found.backend
            if found.seconds is None:
                LOG.info("%s did not run: %s", name, found.reason)
                continue
            row[f"{name}/ms"] = 1e3 * found.seconds
            if found.ratio is not None:
                row[f"{name}/ratio"] = found.ratio
            if found.peak_bytes is not None:
                row[f"{name}/mb"] = found.peak_bytes / 2**20
        return row

    def state(self) -> Memory:
        """The row, if it is measured."""
        return {"step": self.step, "rows": self.rows}

    def restore(self, state: Memory) -> None:
        """Restore the row."""
        self.step, self.rows = state["step"], state["rows"]
