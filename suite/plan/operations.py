"""How long an epoch takes, by its counted operations. Only ratios of these seconds are meaningful.

The matrix products, transforms and memory traffic of a step are counted as in `suite.train.step_bench.least`, and the
products of the other families in the same way. Each count is divided by the rate of a nominal device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from suite.config.run_config import RunConfig
from suite.data import cards
from suite.data.extent import Extent, extent

TRAIN = 3  # a forward pass, and the gradients of both factors of each product
CHUNK = 32  # steps of a chunk of the scan, as in suite.ssm.mimo_scan
WINDOW = 25  # kernel length of the ConvNet's convolutions
WINDOWS = 39 + 19 + 9  # kernel lengths of an Inception module
# Seconds of a classical model's fit on the windows of BIDMC, 5,564 of 8,000 numbers each.
FITS = {"mean": 1.0, "ridge": 20.0, "random_forest": 300.0, "boosting": 300.0, "xgboost": 300.0}
BIDMC = 5564 * 8000
PLAIN = 0.1  # smallest time of a layer without a kernel, relative to one with a kernel
BENCH_S = 60.0  # seconds of a kernel benchmark


class Device(StrEnum):
    """The device of a run: one core of a CPU, or a GPU."""

    CPU = "cpu"
    GPU = "gpu"


@dataclass(frozen=True)
class Rates:
    """The rates of a nominal device per second: operations of products and of transforms, and bytes moved.

    layer_s: smallest time of a state space layer in a training step, in seconds, however small the layer is.
    position_s: the same for a step of a recurrence.
    """

    products: float
    transforms: float
    bytes: float
    layer_s: float
    position_s: float


RATES = {Device.CPU: Rates(80e9, 15e9, 6e9, 10e-3, 40e-6), Device.GPU: Rates(40e12, 2e12, 2e12, 4.5e-3, 15e-6)}


@dataclass(frozen=True)
class Operations:
    """Counts of a training step, over all layers: operations of products and of transforms, bytes moved, layers, and
    sequential positions."""

    products: float
    transforms: float
    bytes: float
    layers: float
    positions: float = 0.0

    def seconds(self, rates: Rates) -> float:
        """The time on a nominal device."""
        return (self.products / rates.products + self.transforms / rates.transforms + self.bytes / rates.bytes
                + self.layers * rates.layer_s + self.positions * rates.position_s)


def seconds_per_epoch(config: RunConfig, device: Device) -> float:
    """The time of an epoch with its evaluations on a nominal device. A benchmark counts as one epoch."""
    if config.kind == "bench":
        return BENCH_S if config.bench.subject == "kernel" else 30 * step_of(config).seconds(RATES[device])
    if config.model.name in FITS:
        size = extent(config.data, config.task)
        return FITS[config.model.name] * max(size.counts["train"] * size.length / BIDMC, 1e-3)
    return step_of(config).seconds(RATES[device]) * steps_per_epoch(config)


def steps_per_epoch(config: RunConfig) -> float:
    """The length of an epoch in training steps: its own steps, and for each evaluated batch, a forward pass, which is a
    third of a step.
    """
    size, batch = extent(config.data, config.task), config.train.batch_size
    evaluated = sum(size.counts.get(split, 0) / rate for split, rate in _evaluations(config, size))
    return max(1, size.counts["train"] // batch) + evaluated / batch / TRAIN


def step_of(config: RunConfig) -> Operations:
    """The operations of a training step. A user's model counts as one of state space layers."""
    size = extent(config.data, config.task)
    pairs = cards.task(config.task).inputs == "pairs"
    batch = config.train.batch_size * (2 if pairs else 1)
    return FAMILIES.get(config.model.name, _ssm)(config, batch, size.length)


def _evaluations(config: RunConfig, size: Extent) -> list[tuple[str, float]]:
    """Each entry of `train.evaluate`: the split, and the factor by which its sequences are shorter."""
    found = []
    for entry in config.train.evaluate:
        split, at, hertz = entry.partition("@")
        found.append((split, max(1.0, (size.rate_hz or 1.0) / float(hertz)) if at and float(hertz) else 1.0))
    return found


def _ssm(config: RunConfig, batch: int, length: int) -> Operations:
    model, ssm = config.model, config.ssm
    points = batch * length * model.features
    mixing = 2 * points * model.features * (2 if model.mixing == "glu" else 1)
    kernel = 2 * model.features * ssm.state_size * length * (2 if model.bidirectional else 1)
    if ssm.structure == "dplr":  # (1 + rank)^2 power sums, in float64
        kernel *= 2 * (1 + ssm.resolved().rank) ** 2
    if ssm.structure == "mimo":
        return _shared(config, batch, length, mixing)
    size = 2 * length
    transforms = 4 * batch * model.features * 2.5 * size * math.log2(size)  # both directions, forward and backward pass
    moved = 4 * points * (6 + 9 + 4)  # see step_bench.least
    n = model.layers
    return Operations(n * TRAIN * (mixing + kernel), n * transforms, n * moved, n)


def _shared(config: RunConfig, batch: int, length: int, mixing: float) -> Operations:
    """One state for all features: products with B and C, and for each mode the products of a chunk of the scan."""
    model, size = config.model, config.ssm.state_size
    points, ways = batch * length, 2 if model.bidirectional else 1
    products = 2 * points * size * (model.features * (1 + ways) + 2 * CHUNK * ways)
    moved = 4 * points * (model.features * 19 + 6 * size * ways)
    n = model.layers
    return Operations(n * TRAIN * (mixing + products), 0.0, n * moved, n)


def _lstm(config: RunConfig, batch: int, length: int) -> Operations:
    model = config.model
    width, ways = (model.features // 2, 2) if model.bidirectional else (model.features, 1)
    products = 2 * 4 * width * (model.features + width) * ways * batch * length
    moved = 4 * batch * length * model.features * 40  # four gates, their inputs, and the cell
    n = model.layers
    return Operations(n * TRAIN * products, 0.0, n * moved, n * PLAIN, n * ways * length)


def _transformer(config: RunConfig, batch: int, length: int) -> Operations:
    model = config.model
    points = batch * length * model.features
    products = points * (24 * model.features + 4 * length)  # projections, the hidden layer, attention
    n = model.layers
    return Operations(n * TRAIN * products, 0.0, n * 4 * points * 60, n)


def _convolutional(per_step: Callable[[RunConfig], float], arrays: Callable[[RunConfig], float], layers: float
                   ) -> Callable[[RunConfig, int, int], Operations]:
    """`per_step`: products per step of the input, in squares of the width. `arrays`: arrays of the input's size."""
    def count(config: RunConfig, batch: int, length: int) -> Operations:
        width = config.model.features
        return Operations(TRAIN * 2 * width**2 * per_step(config) * batch * length, 0.0,
                          4 * batch * length * width * arrays(config) * 12, layers * PLAIN)
    return count


# ConvNet: four stages of blocks, each twice as wide and a quarter as long, rounded up to a power of two. ResNets:
# stages of 1/4 to 1/32 of the length.
FAMILIES: dict[str, Callable[[RunConfig, int, int], Operations]] = {
    "ssm": _ssm, "lstm": _lstm, "transformer": _transformer,
    "convnet": _convolutional(lambda c: 4 * c.model.layers * WINDOW * 1.2, lambda c: 2.0 * c.model.layers, 12),
    "inception": _convolutional(lambda c: (WINDOWS + 10) * c.model.layers, lambda c: 9.0 * c.model.layers, 12),
    "resnet18": _convolutional(lambda c: 6.0, lambda c: 2.5, 10),
    "xresnet50": _convolutional(lambda c: 26.0, lambda c: 13.0, 25)}
