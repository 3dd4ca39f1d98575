"""Benchmark of a training step: how long it takes, where the time is spent, and a lower bound.

The data are a batch of noise in the task's shape, as in the paper. All else, including precision, is as in training,
except that each step is waited for: on a GPU, training loads the next batch and launches its operations meanwhile.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from suite.config.run_config import RunConfig
from suite.data.prepared import TaskData
from suite.data.tasks import TASKS
from suite.errors import UserError
from suite.ssm.bench import CPU, peak, timed
from suite.ssm.conv import TILE, transform_size
from suite.train.trainer import Trainer, allow_tf32

# Length, channels of values, vocabulary of tokens, classes (paper, appendix B; Long Range Arena).
SHAPES: dict[str, tuple[int, int | None, int | None, int | None]] = {
    "scifar": (1024, 3, None, 10), "image": (1024, 1, None, 10), "sc_ar": (16000, 1, None, 35),
    "sc_bi": (16000, 1, None, 35), "bidmc_hr": (4000, 2, None, None), "bidmc_rr": (4000, 2, None, None),
    "bidmc_spo2": (4000, 2, None, None), "listops": (2048, None, 18, 10), "text": (4096, None, 135, 2),
    "retrieval": (4000, None, 98, 2), "pathfinder": (1024, 1, None, 2), "pathx": (16384, 1, None, 2),
    "delay": (4000, 1, None, None), "mqar1": (512, None, 8192, 4096), "selcopy": (4096, None, 33, 16),
}
# The time of an operation counts for the first part with a word that occurs in its name.
PARTS = {"fft": ("fft",), "products": ("mm", "bmm", "addmm", "baddbmm"), "norms": ("norm",),
         "optimizer": ("adam", "Optimizer"), "copies": ("copy_", "fill_", "zero_", "move")}

OWN = ("move", "multiply_back", "norm", "norm_back", "sum_rows")  # kernels of `suite.ssm.passes`


def measure(config: RunConfig, device: torch.device = CPU) -> dict[str, float]:
    """The row of a step: `step/ms` (median) and `step/mb` (peak memory, MiB, above that before the step). Its parts in
    ms: `fft`, `products` (of matrices), `norms`, `optimizer`, `copies`, `loader`, `other`. `least/ms`: the bound of
    `least`; `least/ratio`: the step's time relative to it. On a GPU, `other` includes waiting.
    """
    plain = config.train.model_copy(update={"evaluate": ("val",)})  # nothing is evaluated
    trainer = Trainer(config.model_copy(update={"train": plain}), noise(config), device)
    step = trainer.train_step
    for _ in range(4):  # warm-up: allocates the memory of a step
        step()
    ms = 1e3 * statistics.median(timed(step, device) for _ in range(config.bench.repeats))
    parts = _on_gpu(step) if device.type == "cuda" else {part: ms * share for part, share in _shares(step).items()}
    parts["loader"] = 1e3 * statistics.median(timed(trainer.next_batch, device) for _ in range(5))
    row = {"step/ms": ms} | {f"{part}/ms": value for part, value in parts.items()}
    row["other/ms"] = ms - sum(parts.values())
    floor = 1e3 * least(config, device)
    row |= {"least/ms": floor, "least/ratio": ms / floor}
    held = peak(step, device)
    return row | ({} if held is None else {"step/mb": held / 2**20})


def noise(config: RunConfig, length: int | None = None) -> TaskData:
    """Training data of one batch of noise in the task's shape, `length` steps long (default: as in the paper).

    Raises UserError for a task that the paper does not have.
    """
    if config.task not in SHAPES:
        raise UserError(f"the data of task {config.task} are not prepared", "data.name", "`data prepare` them")
    usual, channels, vocabulary, classes = SHAPES[config.task]
    length = length or usual
    rng, size = np.random.default_rng(0), config.train.batch_size
    arrays: dict[str, np.ndarray] = {"train/y": rng.random(size, np.float32) if classes is None else
                                     rng.integers(0, classes, size)}
    if vocabulary is None:
        arrays["train/x"] = rng.standard_normal((size, length, channels or 1), np.float32)
    else:
        shape = (size, 2) if TASKS[config.task].inputs == "pairs" else (size,)
        texts = math.prod(shape)
        arrays |= {"tokens": rng.integers(0, vocabulary, texts * length), "starts": np.arange(texts + 1) * length,
                   "train/documents": np.arange(texts).reshape(shape)}
    return TaskData(config.task, length, channels, vocabulary, classes, None, "", "noise", arrays)


class _Clock(TorchDispatchMode):
    """Adds up the seconds of every operation. torch's profiler would keep a record of each, allocated between the
    blocks of a step. The next step would then find no free block of the right size, and new pages take longer than
    all the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spent = dict.fromkeys((*PARTS, "other"), 0.0)
        self.part: dict[Any, str] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in self.part:
            self.part[func] = _part(func.name())
        began = time.perf_counter()
        result = func(*args, **(kwargs or {}))
        self.spent[self.part[func]] += time.perf_counter() - began
        return result


def _shares(step: Callable[[], None]) -> dict[str, float]:
    """The share of each part in a step. The median of three, since a machine's speed varies from step to step."""
    measured = []
    for _ in range(3):
        with _Clock() as clock:
            total = timed(step, CPU)
        measured.append({part: spent / total for part, spent in clock.spent.items()})
    return {part: statistics.median(shares[part] for shares in measured) for part in PARTS}


def _on_gpu(step: Callable[[], None]) -> dict[str, float]:
    """Milliseconds of each part on a GPU, mean of three steps."""
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds, acc_events=True) as profile:
        for _ in range(3):
            step()
        torch.cuda.synchronize()
    spent = dict.fromkeys((*PARTS, "other"), 0.0)
    for entry in profile.key_averages():
        if entry.key.startswith("aten::") or entry.key in OWN:  # the profiler also lists all kernels by their own names
            spent[_part(entry.key)] += entry.self_device_time_total / 3 / 1e3
    return {part: spent[part] for part in PARTS}


def _part(operation: str) -> str:
    return next((part for part, words in PARTS.items() if any(word in operation for word in words)), "other")


def least(config: RunConfig, device: torch.device = CPU) -> float:
    """A lower bound in seconds for a step of the network with these algorithms on this machine.

    It counts operations of products, at the speed of a large matrix product, those of transforms, at the speed of
    torch's own on data in a cache, and arrays (B, L, H), read and written once by every operation that needs all of the
    array, at the speed of a large copy. Kernels, encoder, decoder and optimiser are left out. Arrays count as float32.
    """
    length = SHAPES[config.task][0]
    model, pairs = config.model, TASKS[config.task].inputs == "pairs"
    batch = config.train.batch_size * (2 if pairs else 1)
    points = batch * length * model.features
    outputs = model.features * (2 if model.mixing == "glu" else 1)
    products = 3 * 2 * batch * length * model.features * outputs  # forward, and the gradients of both factors
    size = transform_size(length, length)
    transforms = 4 * batch * model.features * 2.5 * size * math.log2(size)  # both directions, forward and backward pass
    # Forward: the convolution and GELU read and write, the mixing reads and writes, the norm reads and writes: 6 times
    # 4 bytes. Backward reads the gradient beside each, and writes: 9 times. Half spectra are kept and read again: 4.
    moved = 4 * points * (6 + 9 + 4)
    return model.layers * (products / _product_speed(device, config.train.precision)
                           + transforms / _transform_speed(device, size) + moved / _bandwidth(device))


def _transform_speed(device: torch.device, size: int) -> float:
    """Operations per second of real transforms of `size` values and their inverses, on data in a cache.

    Fewer than of products, since a transform has few operations for each value that it loads.
    """
    x = torch.randn(max(1, (2**22 if device.type == "cuda" else TILE) // size), size, device=device)
    return 2 * 2.5 * x.numel() * math.log2(size) / min(
        timed(lambda: torch.fft.irfft(torch.fft.rfft(x), n=size), device) for _ in range(20))


def _product_speed(device: torch.device, precision: str) -> float:
    """Operations per second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1536
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    allow_tf32(device, precision == "tf32")
    return 2 * size**3 / min(timed(lambda: a @ a, device) for _ in range(4))


def _bandwidth(device: torch.device) -> float:
    """Bytes per second that a large copy reads and writes."""
    size = 2**28 if device.type == "cuda" else 2**26
    a, b = torch.zeros(size, device=device), torch.zeros(size, device=device)
    return 2 * 4 * size / min(timed(lambda: b.copy_(a), device) for _ in range(4))
