"""The gains B_bar / B (`ssm.gain`).

`rule` is the gain of the discretization. `gamma` (LRU, 2303.06349, section 3.4) is sqrt(1 - |A_bar|²) at init, so that
for white input every mode has the variance of B u. Its logarithm is trained.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from suite.ssm.modes import Discrete

Gain = Callable[[Discrete, float, Tensor | None], Tensor]  # arguments: modes, rate, stored log γ (H, M)


def _gamma(discrete: Discrete, rate: float, log_gamma: Tensor | None) -> Tensor:
    stored = log_gamma_of(discrete) if log_gamma is None else log_gamma.double()
    return rate * torch.exp(stored) + 0j


GAINS: dict[str, Gain] = {
    "rule": lambda discrete, rate, _: discrete.B_gain,
    "dt": lambda discrete, rate, _: (discrete.dt + 0j).expand_as(discrete.lam),
    "one": lambda discrete, rate, _: torch.full_like(discrete.lam, rate),
    "gamma": _gamma,
}


def log_gamma_of(discrete: Discrete) -> Tensor:
    """log sqrt(1 - |A_bar|²), (H, M) float64, computed without cancellation; -inf for |A_bar| = 1."""
    return 0.5 * torch.log(-torch.expm1(2 * discrete.log_A_bar.real))
