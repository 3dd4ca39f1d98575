"""A training that takes milliseconds: what a job needs, and nothing else. Its parts can be sent to another process."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fake_config import config

from suite.config.outcomes import Outcomes, kept
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.train.mode import Mode
from suite.train.scores import from_memory, to_memory
from suite.train.trainer import Diverged
from suite.train.trajectory import Training

__all__ = ["STEPS", "FakeTrainer", "config", "scores", "training", "undisturbed"]
STEPS = 10  # of an epoch


@dataclass(frozen=True)
class FakeData:
    fingerprint: str = "f" * 64
    variant: str = "toy"


class FakeTrainer:
    """A chaotic map with a memory: its rows depend on every step, on their order and on the seed."""

    def __init__(self, config: RunConfig, data: Any, device: torch.device, mode: Mode = Mode.EAGER,
                 recompute: bool = False, pause: float = 0.0, fault: str = "", at: int = 0, trace: str = "",
                 ballast: int = 0, examples: int = 0) -> None:
        self.config, self.pause, self.fault, self.at, self.trace = config, pause, fault, at, trace
        self.ballast = torch.arange(ballast, dtype=torch.float64)  # makes its checkpoints larger
        self.steps_per_epoch, self.parameters, self.step = STEPS, 3, 0
        self.rows: list[dict[str, Any]] = []
        self.outcomes: Outcomes = {}
        self.examples = examples  # of an evaluation; 0: nothing is recorded of them
        self.value = torch.full((3,), 0.1 + 0.01 * (config.seed % 50), dtype=torch.float64)

    def advance(self) -> dict[str, Any] | None:
        if self.trace:
            with Path(self.trace).open("a") as file:
                file.write(f"{self.config.run_id} {self.step}\n")
        if self.fault and self.step == self.at:
            break_down(self.fault)
        time.sleep(self.pause)
        self.value = 3.9 * self.value * (1 - self.value.roll(1) * (0.9 + 0.001 * (self.step % 7)))
        self.value = self.value.abs().fmod(1.0)
        self.step += 1
        if self.step % STEPS:
            return None
        row = {"epoch": len(self.rows) + 1, "step": self.step, "train/loss": self.value[0].item(),
               "val/accuracy": self.value[1].item(), "time/train": time.perf_counter(), "time/eval": 0.25}
        self.rows.append(row)
        if self.examples:
            right = np.arange(self.examples) < row["val/accuracy"] * self.examples
            self.outcomes = kept(self.outcomes, {"val": right}, self.rows, "max val/accuracy")
        return dict(row)

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "rows": [dict(row) for row in self.rows], "value": self.value.clone(),
                "ballast": self.ballast, "outcomes": to_memory(self.outcomes)}

    def restore(self, state: dict[str, Any]) -> None:
        self.step, self.rows, self.value = state["step"], [dict(r) for r in state["rows"]], state["value"].clone()
        self.outcomes = from_memory(state["outcomes"])


def break_down(fault: str) -> None:
    if fault == "diverged":
        raise Diverged("the training loss of epoch 1 is nan")
    if fault == "oom":
        raise MemoryError("no room for\nthe kernel")
    if fault == "user":
        raise UserError("a batch of 50 is more than 3", "train.batch_size", "at most 3")
    if fault == "exit":
        raise SystemExit(7)
    if fault == "suicide":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(600)
    if fault == "memory":
        block = bytearray(3 * 2**30)
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(600)
    raise ZeroDivisionError("division by\nzero in the tests")


def load(config: RunConfig) -> FakeData:
    return FakeData()


def backend() -> str:
    return "fake"


def training(**how: Any) -> Training:
    return Training(load=load, make=partial(FakeTrainer, **how), backend=backend)


def scores(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what may differ between two trainings that are the same."""
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def undisturbed(of: RunConfig) -> list[dict[str, Any]]:
    """The rows of a training that nobody kills."""
    trainer = FakeTrainer(of, None, torch.device("cpu"))
    while len(trainer.rows) < of.train.epochs:
        trainer.advance()
    return scores(trainer.rows)
