"""A training trajectory, step by step, without any files (paper section 5, appendix D).

All randomness is a function of the seed and the position in the trajectory: parameters depend on (seed, layer), the
order of the data on (seed, epoch), dropout on (seed, step). So a trajectory that stops after any step and continues
from its state gives the same bits as one that does not stop. Dropout draws from torch's default generator, which is
seeded at each step.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from suite import models
from suite.config.outcomes import ByEntry, Outcomes, kept
from suite.config.rows import Memory, Row
from suite.config.run_config import RunConfig
from suite.data import cards
from suite.data.prepared import bucketed
from suite.errors import UserError
from suite.ssm.base import KernelLayer
from suite.train import optim
from suite.train.mode import RECORDED, Mode
from suite.train.replay import Replay
from suite.train.scores import Scores, from_memory, to_memory

if TYPE_CHECKING:
    from suite.data.prepared import Batch, TaskData

ORDER, DROPOUT = 1, 2  # last number of the seeds, so that no two purposes share a stream


class Diverged(Exception):
    """The loss of an epoch, in training or evaluation, is not finite."""


@dataclass(frozen=True)
class Evaluation:
    """An entry of `train.evaluate`: name (`test@8000`), split, and sampling interval in samples (2 for 16 to 8 kHz)."""

    name: str
    split: str
    rate: int


class Trainer:
    """A training trajectory: model, optimiser, and position in the data. Call `advance` until `finished`.

    Raises UserError if the configuration does not fit the data or the device.
    """

    def __init__(self, config: RunConfig, data: TaskData, device: torch.device, mode: Mode = Mode.EAGER,
                 recompute: bool = False) -> None:
        self.config, self.data, self.device = config, data, device
        self.evaluations = [evaluation(name, data) for name in config.train.evaluate]
        self.task = cards.task(config.task)
        self.metric = self.task.metric
        self.steps_per_epoch = _steps_per_epoch(config, data)
        _check_precision(config, device)
        self.model: nn.Module = models.build(config, data, recompute).to(device)
        self.parameters = models.count_parameters(self.model)
        self.step = 0
        self.rows: list[Row] = []
        self.outcomes: Outcomes = {}  # of the best and the last epoch
        self._call = _compiled(self.model) if mode is Mode.COMPILED else self.model
        self.optimizer = optim.adamw(self.model, config.optim)
        self.mode = mode
        self.replay: Replay | None = None  # made in the first step, if steps are CUDA graphs
        self._loss = torch.zeros((), dtype=torch.float64, device=device)  # sum over the epoch's steps so far
        self._seconds = 0.0  # in the epoch's steps so far
        self._order = (-1, np.zeros(0, dtype=np.int64))  # epoch, its permutation of the training examples

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.rows)

    @property
    def finished(self) -> bool:
        """Whether all `train.epochs` epochs are done."""
        return self.epoch >= self.config.train.epochs

    def advance(self) -> Row | None:
        """Do one training step. After the last step of an epoch, also evaluate and return the epoch's row; else None.

        Keys of a row: epoch, step, train/loss, then for each of `train.evaluate` <name>/accuracy or <name>/rmse and
        <name>/loss, and time/train, time/eval in seconds. Raises Diverged; RuntimeError after the last epoch.
        """
        if self.finished:
            raise RuntimeError(f"the trajectory ends with epoch {self.config.train.epochs}")
        if self.due:
            began = time.perf_counter()
            self.train_step()
            self.count_step(time.perf_counter() - began)
        return self.end_step()

    @property
    def due(self) -> bool:
        """Whether a step comes next, not the evaluation. False if an earlier call was interrupted in its evaluation."""
        return not self.finished and self.step < (self.epoch + 1) * self.steps_per_epoch

    def count_step(self, seconds: float) -> None:
        """Count a step that was done, here or in a stack, and its seconds."""
        self.step += 1
        self._seconds += seconds

    def end_step(self) -> Row | None:
        """End the epoch if this was its last step; see `advance`."""
        return None if self.due else self._end_epoch()

    def state(self) -> Memory:
        """A copy, on the CPU, of all that is needed to continue with the same bits. Call it between calls of `advance`.

        It contains only tensors, numbers, strings, lists and dicts, so `torch.load(weights_only=True)` can read it.
        """
        return {"step": self.step, "rows": [dict(row) for row in self.rows], "seconds": self._seconds,
                "outcomes": to_memory(self.outcomes), "loss": _on_cpu(self._loss),
                "model": _on_cpu(dict(self.model.state_dict())), "optimizer": _on_cpu(self.optimizer.state_dict())}

    def restore(self, state: Memory) -> None:
        """Continue from the state of a trajectory with the same configuration and data. `state` is not changed."""
        self.model.load_state_dict(state["model"])
        # The optimiser keeps the given tensors, and would write to them.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.replay = None  # it is bound to the old state's memory
        self._loss.copy_(state["loss"])
        self.step, self._seconds = state["step"], state["seconds"]
        self.rows = [dict(row) for row in state["rows"]]
        self.outcomes = from_memory(state.get("outcomes"))

    def next_batch(self) -> Batch:
        """The examples of the next step, on the device."""
        size = self.config.train.batch_size
        start = self.step % self.steps_per_epoch * size
        return self._on_device(self.data.batch("train", self._permutation()[start:start + size], epoch=self.epoch))

    def train_step(self) -> None:
        """Update the parameters by one step. `advance` counts it."""
        batch = self.begin_step()
        self._seed_dropout()
        if self.mode in RECORDED:
            self.replay = self.replay or Replay(self._work, self.optimizer, self.device, self.mode, self._changing,
                                                self._seed_dropout)
            self.replay.step(batch)
        else:
            self._work(batch)

    def begin_step(self) -> Batch:
        """Set learning rates and training mode for the next step. Returns its examples."""
        factor = optim.factor(self.config.optim, self.step, self.steps_per_epoch, self.config.train.epochs)
        optim.set_factor(self.optimizer, factor)
        if not self.model.training:
            self.model.train()
        return self.next_batch()

    def add_loss(self, loss: Tensor) -> None:
        """Add the loss of a step. It stays on the device, since a read would wait for the end of the step."""
        self._loss += loss

    def _work(self, batch: Batch) -> None:
        loss = self._criterion(self._forward(batch, 1), batch.y)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.add_loss(loss.detach())

    def _changing(self) -> list[Tensor]:
        """All tensors that a step changes."""
        moments = [value for state in self.optimizer.state.values() for value in state.values()]
        return [*self.model.parameters(), *self.model.buffers(), *filter(torch.is_tensor, moments), self._loss]

    def _end_epoch(self) -> Row:
        began = time.perf_counter()
        loss = self._loss.item() / self.steps_per_epoch
        self._seconds += time.perf_counter() - began  # only now has a GPU finished the epoch's steps
        epoch = self.epoch + 1
        if not math.isfinite(loss):
            raise Diverged(f"the training loss of epoch {epoch} is {loss}")
        began = time.perf_counter()
        row: Row = {"epoch": epoch, "step": self.step, "train/loss": loss}
        fresh: ByEntry = {}
        for entry in self.evaluations:
            row |= self._evaluate(entry, fresh)
            if not math.isfinite(row[f"{entry.name}/loss"]):
                raise Diverged(f"the loss of {entry.name} after epoch {epoch} is {row[f'{entry.name}/loss']}")
        row |= {"time/train": self._seconds, "time/eval": time.perf_counter() - began}
        self.rows.append(row)
        self.outcomes = kept(self.outcomes, fresh, self.rows, str(self.config.train.select))
        self._loss.zero_()
        self._seconds = 0.0
        return dict(row)

    @torch.no_grad()
    def _evaluate(self, entry: Evaluation, outcomes: ByEntry) -> Row:
        """Metric and mean loss over all examples of a split, in evaluation mode. Sets the entry's `outcomes`."""
        self.model.eval()
        count = self.data.count(entry.split)
        scores = Scores(self.task, self.device)
        for start in range(0, count, self.config.train.batch_size):
            indices = np.arange(start, min(start + self.config.train.batch_size, count))
            batch = self._on_device(self.data.batch(entry.split, indices, rate=entry.rate))
            output = self._forward(batch, entry.rate)
            scores.add(output, batch.y, self._criterion(output, batch.y, "sum"))
        score, loss = scores.means(count)
        found = scores.outcomes()
        if found is not None:
            outcomes[entry.name] = found
        return {f"{entry.name}/{self.metric}": score, f"{entry.name}/loss": loss}

    def _forward(self, batch: Batch, rate: int) -> Tensor:
        allow_tf32(self.device, self.config.train.precision == "tf32")
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.train.precision == "bf16"):
            output: Tensor = self._call(batch.x, batch.lengths, float(rate))
        wanted = (len(batch.x), self.data.classes or 1)
        if tuple(output.shape) != wanted:
            raise UserError(f"{self.config.model.name} returned {tuple(output.shape)}, not {wanted}", "model.name",
                            "return a row for each sequence: a number for each class, or one number for regression")
        return output.float()

    def _criterion(self, output: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
        if self.task.has_classes:
            return F.cross_entropy(output, y, reduction=reduction)
        return F.mse_loss(output.squeeze(-1), y, reduction=reduction)

    def _on_device(self, batch: Batch) -> Batch:
        if self.device.type == "cpu":
            return batch
        x, y = (t.pin_memory().to(self.device, non_blocking=True) for t in (batch.x, batch.y))
        lengths = None if batch.lengths is None else batch.lengths.pin_memory().to(self.device, non_blocking=True)
        return replace(batch, x=x, y=y, lengths=lengths)

    def _permutation(self) -> np.ndarray:
        if self._order[0] != self.epoch:
            rng = np.random.default_rng([self.config.seed, self.epoch, ORDER])
            order = rng.permutation(self.data.count("train"))
            if self.config.train.buckets:
                order = bucketed(order, self.data.lengths("train"), self.config.train.batch_size,
                                 self.config.train.buckets, rng)
            self._order = (self.epoch, order)
        return self._order[1]

    @property
    def dropout_seed(self) -> int:
        """The seed of the next step's dropout."""
        return int(np.random.SeedSequence([self.config.seed, self.step, DROPOUT]).generate_state(1, np.uint64)[0])

    def _seed_dropout(self) -> None:
        if self.device.type == "cuda":
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            torch.cuda.default_generators[index].manual_seed(self.dropout_seed)
        else:
            torch.default_generator.manual_seed(self.dropout_seed)


def evaluation(entry: str, data: TaskData) -> Evaluation:
    """Parse an entry of `train.evaluate`: a split, or `split@hz`. Raises UserError if the data have no such rate."""
    split, at, hertz = entry.partition("@")
    if not at:
        return Evaluation(entry, split, 1)
    if data.rate_hz is None:
        raise UserError(f"{entry!r} asks for a sampling rate, but the data of {data.task} have none", "train.evaluate",
                        f"write {split!r}")
    if int(hertz) == 0 or data.rate_hz % int(hertz):
        raise UserError(f"{entry!r}: {hertz} Hz is not the data's {data.rate_hz:g} Hz divided by an integer",
                        "train.evaluate", f"for example {split}@{data.rate_hz / 2:g}")
    return Evaluation(entry, split, int(data.rate_hz // int(hertz)))


def _steps_per_epoch(config: RunConfig, data: TaskData) -> int:
    examples, size = data.count("train"), config.train.batch_size
    if examples < size:
        raise UserError(f"a batch of {size} is more than the {examples} training examples of {data.task}, "
                        f"variant {data.variant}", "train.batch_size", f"at most {examples}")
    return examples // size


def _compiled(model: nn.Module) -> Callable[..., Tensor]:
    """The compiled model. Sequence layers are left out: their complex kernels and transforms cannot be compiled."""
    for layer in model.modules():
        if isinstance(layer, KernelLayer):
            layer.forward = torch.compiler.disable(layer.forward)  # type: ignore[method-assign]
    return torch.compile(model)


def _check_precision(config: RunConfig, device: torch.device) -> None:
    if config.train.precision == "tf32" and device.type != "cuda":
        raise UserError(f"tf32 needs a CUDA device, but this run is on {device.type}", "train.precision",
                        "write float32 or bf16, or run on a GPU")


def allow_tf32(device: torch.device, allowed: bool) -> None:
    """Set whether matrix products on a GPU may use tf32. Set at each step, since other trajectories may differ."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if allowed else "highest")  # the kernels change it temporarily
        torch.backends.cudnn.allow_tf32 = allowed


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _on_cpu(part) for key, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value
