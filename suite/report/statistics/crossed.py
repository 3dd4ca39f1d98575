"""The error of a contrast over seeds and examples: how much it would vary with other seeds and other examples.

Values by seed and example form a crossed layout with one value per cell (two random factors, no replication). With the
mean squares of its analysis of variance, the variance of the mean over n seeds and m examples is
(MS_seed + MS_example − MS_residual) / (n m), because E MS_seed = σ² + m σ²_seed, E MS_example = σ² + n σ²_example and
E MS_residual = σ². It is taken to be at least MS_residual / (n m). Degrees of freedom are Satterthwaite's. In
simulations, a 95 % interval then covers 92 to 99 % with three seeds, and at least 94 % with ten.

Numbers from one set of examples share the examples; numbers from different sets are independent in them. A root mean
square is not a mean over examples; see `rooted`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from suite.report.statistics.variance import Variance


@dataclass(frozen=True, eq=False)
class Layer:
    """A number of a contrast: its coefficient, the set of examples, and its values (seeds, examples)."""

    coefficient: float
    examples: Hashable
    values: np.ndarray


@dataclass(frozen=True)
class MeanSquares:
    """The analysis of variance of values (n seeds, m examples). With one seed, `seed` and `residual` are 0."""

    n: int
    m: int
    seed: float
    example: float
    residual: float


@dataclass(frozen=True)
class _Part:
    """A summand of a variance: its sign, its value, and the degrees of freedom of its estimate."""

    sign: int
    value: float
    df: int


def mean_squares(values: np.ndarray) -> MeanSquares:
    """The mean squares of a crossed layout (n, m) with m >= 2."""
    n, m = values.shape
    centred = values - values.mean()
    by_seed, by_example = centred.mean(1), centred.mean(0)
    rest = centred - by_seed[:, None] - by_example
    return MeanSquares(n, m, m * float(by_seed @ by_seed) / max(n - 1, 1), n * float(by_example @ by_example) / (m - 1),
                       float((rest**2).sum()) / max((n - 1) * (m - 1), 1))


def paired(layers: Sequence[Layer]) -> Variance:
    """The variance of the contrast if all layers have the same seeds (at least two), in the same order.

    For one set of examples, it is the formula above for the combined values. For several sets, the part of the seeds is
    that of the sum over the sets.
    """
    sets: dict[Hashable, np.ndarray] = {}
    for layer in layers:
        part = layer.coefficient * layer.values
        sets[layer.examples] = sets[layer.examples] + part if layer.examples in sets else part
    n = len(layers[0].values)
    by_seed = np.sum([values.mean(1) for values in sets.values()], axis=0)
    parts, floor = [_Part(1, float(by_seed.var(ddof=1)) / n, n - 1)], []
    for found in map(mean_squares, sets.values()):
        size, df = n * found.m, (n - 1) * (found.m - 1)
        parts += [_Part(1, found.example / size, found.m - 1), _Part(-1, found.residual / size, df)]
        floor.append(_Part(1, found.residual / size, df))
    return _total(parts, floor)


def unpaired(layers: Sequence[Layer]) -> Variance:
    """The variance of the contrast if each layer has its own seeds; examples are paired within a set.

    The part of the examples is the variance of the contrast of means by example, which already contains the residual.
    So the residual is subtracted from the mean square of seeds of each layer. A layer with one seed is taken to have no
    error over seeds.
    """
    sets: dict[Hashable, np.ndarray] = {}
    parts, floor = [], []
    for layer in layers:
        mean = layer.coefficient * layer.values.mean(0)
        sets[layer.examples] = sets[layer.examples] + mean if layer.examples in sets else mean
        found = mean_squares(layer.values)
        if found.n > 1:
            share, df = layer.coefficient**2 / (found.n * found.m), (found.n - 1) * (found.m - 1)
            parts += [_Part(1, share * found.seed, found.n - 1), _Part(-1, share * found.residual, df)]
            floor.append(_Part(1, share * found.residual, df))
    parts += [_Part(1, float(mean.var(ddof=1)) / len(mean), len(mean) - 1) for mean in sets.values()]
    return _total(parts, floor)


def _total(parts: Sequence[_Part], floor: Sequence[_Part]) -> Variance:
    """The sum of the parts, or of the floor if that is larger, with Satterthwaite's degrees of freedom."""
    used = parts if _sum(parts) >= _sum(floor) else floor
    total, squares = _sum(used), sum(part.value**2 / part.df for part in used)
    return Variance(total, total**2 / squares if squares else 1.0)


def _sum(parts: Sequence[_Part]) -> float:
    return sum(part.sign * part.value for part in parts)


def rooted(errors: np.ndarray) -> np.ndarray:
    """Values (seeds, examples) whose mean over examples is the root mean square of the errors (seeds, examples).

    By the delta method: √M + (e² − M) / (2 √M), where M is the mean of e² over the examples of a seed. These are the
    first two terms of the Taylor series of the root around M. Their mean is the root itself, so the reported difference
    is unchanged, and their variance over examples is that of the root. The absolute errors would give the error of
    another number, the mean absolute error; the squares would give that of M, in squared units.
    """
    squares = np.asarray(errors, dtype=np.float64)**2
    root = np.sqrt(squares.mean(1, keepdims=True))
    return root + (squares - root**2) / np.where(root > 0, 2 * root, 1.0)
