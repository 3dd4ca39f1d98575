"""A step of training, measured: how long it takes, where the time goes, and how long it would take at the least.

The batch is noise in the task's shape, as the paper has it; model, optimiser and batch size are the run's.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from suite import models, optim
from suite.config import RunConfig
from suite.data.prepared import TaskData
from suite.ssm.bench import peak
from suite.ssm.conv import transform_size
from suite.tasks import TASKS

# Length, channels of values, vocabulary of tokens, classes (paper, appendix B; Long Range Arena).
SHAPES: dict[str, tuple[int, int | None, int | None, int | None]] = {
    "scifar": (1024, 3, None, 10), "image": (1024, 1, None, 10), "sc_ar": (16000, 1, None, 35),
    "sc_bi": (16000, 1, None, 35), "bidmc_hr": (4000, 2, None, None), "bidmc_rr": (4000, 2, None, None),
    "bidmc_spo2": (4000, 2, None, None), "listops": (2048, None, 18, 10), "text": (4096, None, 135, 2),
    "retrieval": (4000, None, 98, 2), "pathfinder": (1024, 1, None, 2), "pathx": (16384, 1, None, 2),
}
# The first part whose words occur in an operation's name has its time.
PARTS = {"fft": ("fft",), "products": ("mm", "bmm", "addmm", "baddbmm"), "norms": ("norm",),
         "optimizer": ("adam", "Optimizer"), "copies": ("copy_", "fill_", "zero_")}


def measure(config: RunConfig) -> dict[str, float]:
    """Of the step: `step/ms` (median) and `step/mb` (peak memory beyond what was held before). Its parts in ms:
    `fft`, `products` (of matrices), `norms`, `optimizer`, `copies`, `other`. `least/ms`: see `least`; `least/ratio`:
    how many times the least the step takes.
    """
    step = _step(config)
    for _ in range(4):  # until the memory that a step needs is there
        step()
    times = []
    for _ in range(config.bench.repeats):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    ms = 1e3 * statistics.median(times)
    row = {"step/ms": ms} | _parts(step, ms)
    floor = 1e3 * least(config)
    row |= {"least/ms": floor, "least/ratio": ms / floor}
    held = peak(step)
    return row | ({} if held is None else {"step/mb": held / 2**20})


def _step(config: RunConfig) -> Callable[[], None]:
    length, channels, vocabulary, classes = SHAPES[config.task]
    data = TaskData(config.task, length, channels, vocabulary, classes, None, "", "noise", {})
    model = models.build(config, data)
    optimizer = optim.adamw(model, config.optim)
    x, y = _batch(config, data)

    def step() -> None:
        output = model(x)
        loss = F.mse_loss(output.squeeze(-1), y) if classes is None else F.cross_entropy(output, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _batch(config: RunConfig, data: TaskData) -> tuple[Tensor, Tensor]:
    size, noise = config.train.batch_size, torch.Generator().manual_seed(0)
    y = torch.rand(size, generator=noise) if data.classes is None else \
        torch.randint(data.classes, (size,), generator=noise)
    if data.vocabulary is None:
        return torch.randn(size, data.length, data.channels or 1, generator=noise), y
    shape = (size, 2, data.length) if TASKS[config.task].inputs == "pairs" else (size, data.length)
    return torch.randint(data.vocabulary, shape, generator=noise), y


class _Clock(TorchDispatchMode):
    """Adds up the seconds of every operation. torch's profiler would keep a record of each: between the blocks of a
    step, so that the next step finds no room of the right size, and gets new pages, which take longer than the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spent = dict.fromkeys((*PARTS, "other"), 0.0)
        self.part: dict[Any, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in self.part:
            name = func.name()
            self.part[func] = next((part for part, words in PARTS.items() if any(w in name for w in words)), "other")
        began = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        self.spent[self.part[func]] += time.perf_counter() - began
        return result


def _parts(step: Callable[[], None], ms: float) -> dict[str, float]:
    """Milliseconds of each part, of `ms`: median seconds of three steps; what is left is `other`."""
    seen = []
    for _ in range(3):
        with _Clock() as clock:
            step()
        seen.append(clock.spent)
    parts = {part: 1e3 * statistics.median(spent[part] for spent in seen) for part in PARTS}
    return {f"{part}/ms": value for part, value in (parts | {"other": ms - sum(parts.values())}).items()}


def least(config: RunConfig) -> float:
    """Seconds below which the network's step cannot come with these algorithms on this machine: operations of products
    and transforms at the speed of a large matrix product, and arrays of (B, L, H), each read and written once by
    what needs all of it, at the speed of a large copy. Kernels, encoder, decoder and optimiser are left out.
    """
    length = SHAPES[config.task][0]
    model, pairs = config.model, TASKS[config.task].inputs == "pairs"
    batch = config.train.batch_size * (2 if pairs else 1)
    points = batch * length * model.features
    outputs = model.features * (2 if model.mixing == "glu" else 1)
    products = 3 * 2 * batch * length * model.features * outputs  # forward, and the gradients of both factors
    size = transform_size(length, length)
    transforms = 4 * batch * model.features * 2.5 * size * math.log2(size)  # there and back, forward and backward
    # Forward: the convolution and GELU read and write, the mixing reads and writes, the norm reads and writes: 6 times
    # 4 bytes. Backward reads the gradient beside each, and writes: 9 times. Half spectra are kept and read again: 4.
    moved = 4 * points * (6 + 9 + 4)
    speed, bandwidth = _speed(), _bandwidth()
    return model.layers * ((products + transforms) / speed + moved / bandwidth)


def _speed() -> float:
    """Operations a second of a large product of matrices."""
    a = torch.randn(1536, 1536)
    return 2 * 1536**3 / _best(lambda: a @ a)


def _bandwidth() -> float:
    """Bytes a second that a large copy reads and writes."""
    a, b = torch.zeros(2**26), torch.zeros(2**26)
    return 2 * 4 * 2**26 / _best(lambda: b.copy_(a))


def _best(job: Callable[[], Any]) -> float:
    times = []
    for _ in range(4):
        began = time.perf_counter()
        job()
        times.append(time.perf_counter() - began)
    return min(times)
