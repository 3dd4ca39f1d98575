"""Modes in continuous and discrete time: step sizes and differentiable discretization rules (`RULES`).

Everything is complex128 on small (H, M) arrays, whatever the precision of the model: a lower precision is too
inaccurate for the phases of a long kernel (paper section 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm import own_parts

TINY = 1e-150  # replaces an A_bar of 0, whose logarithm would not be finite
NEAR_ONE = 1 - 1e-6  # maximum of |Im(s)|/2 for the symplectic rule in training; the gradient is 0 beyond it


@dataclass(frozen=True)
class Discrete:
    """Modes in continuous and discrete time, all (H, M) complex128 (paper section 2.1).

    `lam` is Λ: the diagonal of A or, in S4, of its diagonal part. `log_A_bar` is the logarithm of the discrete Λ, and
    `B_gain` is B_bar / B, both without the low-rank part. `dt` (H, 1) is the step size, times the rate. `grows`: Re(Λ)
    may be positive, as with the constraint `none` or a user's own functions.
    """

    lam: Tensor
    log_A_bar: Tensor
    B_gain: Tensor
    dt: Tensor
    grows: bool = False


class _Bilinear(torch.autograd.Function):
    """log((1 + w) / (1 - w)), finite at w = -1 with a derivative of 0 there, and unit / (1 - w).

    One function for both, because small arrays are launch-bound. w (H, M) complex128, unit (H, 1) or (1, 1).
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        *both, plus, inverse = bilinear(w, unit)
        ctx.save_for_backward(plus, inverse, unit)
        return both[0], both[1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, log: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        plus, inverse, unit = ctx.saved_tensors  # only once, since recomputed tensors cannot be unpacked twice
        dw, dunit = bilinear_back(log, gain, plus, inverse, unit)
        return dw, dunit.sum_to_size(unit.shape)


def bilinear(w: Tensor, unit: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log((1 + w) / (1 - w)) and unit / (1 - w); and, for the gradients, 1 + w and 1 / (1 - w)."""
    plus, inverse = w + 1, (1 - w).reciprocal_()
    return torch.log((plus * inverse).add_(TINY)), unit * inverse, plus, inverse


def bilinear_back(log: Tensor, gain: Tensor, plus: Tensor, inverse: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of w and of `unit` for each mode, from those of the logarithm and the gain."""
    slope = torch.where(plus.abs() < TINY, 0, 2 * inverse / plus).conj_physical_()
    inverse = inverse.conj_physical()
    product = gain * inverse
    return (log * slope).addcmul_(product, unit * inverse), product.real


class _Principal(torch.autograd.Function):
    """x with its imaginary part wrapped into (-pi, pi], by sine and cosine."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.complex(x.real, torch.atan2(torch.sin(x.imag), torch.cos(x.imag)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def phi(s: Tensor) -> Tensor:
    """(exp(s) - 1) / s, by its series near 0."""
    near = s.abs() < 1e-3
    safe = torch.where(near, 1, s)
    close = torch.where(near, s, 0)
    series = sum((close**k / math.factorial(k + 1) for k in range(1, 6)), torch.ones_like(s))
    return torch.where(near, series, torch.expm1(safe) / safe)


@dataclass(frozen=True)
class Steps:
    """The argument of a rule: s = step * Λ, (H, M) complex128, and the step itself as `unit`, (H, 1) or (1, 1).

    The step is rate * dt. If dt multiplies Re(A) only, `unit` is the rate, and s = rate * (dt Re(Λ) + i Im(Λ)).
    """

    s: Tensor
    unit: Tensor


Rule = Callable[[Steps], tuple[Tensor, Tensor]]  # returns log A_bar and B_bar / B


def _bilinear(step: Steps) -> tuple[Tensor, Tensor]:
    log, gain = _Bilinear.apply(step.s / 2, step.unit)
    return log, gain


def _zoh(step: Steps) -> tuple[Tensor, Tensor]:
    return _Principal.apply(step.s), step.unit * phi(step.s)


def _euler_exp(step: Steps) -> tuple[Tensor, Tensor]:
    """The A_bar of ZOH, with dt B (Mamba, 2312.00752)."""
    return _Principal.apply(step.s), (step.unit + 0j).expand_as(step.s)


def _backward(step: Steps) -> tuple[Tensor, Tensor]:
    """A_bar = 1/(1 - s). If A decays, Re(1 - s) >= 1, away from the cut of the logarithm (LinOSS-IM, 2410.03943)."""
    return -torch.log1p(-step.s), step.unit / (1 - step.s)


def _symplectic(step: Steps) -> tuple[Tensor, Tensor]:
    """A_bar = e^(i φ), φ = 2 asin(Im(s)/2), for Re(A) = 0 and |Im(s)| < 2 (LinOSS-IMEX, 2410.03943)."""
    half = torch.asin((step.s.imag / 2).clamp(-NEAR_ONE, NEAR_ONE))
    log = torch.complex(torch.zeros_like(half), 2 * half)
    return log, step.unit * torch.exp(log) / torch.cos(half)


RULES: dict[str, Rule] = {"bilinear": _bilinear, "zoh": _zoh, "euler_exp": _euler_exp, "backward": _backward,
                          "symplectic": _symplectic}


def discretize(lam: Tensor, log_dt: Tensor, rule: str, rate: float, grows: bool = False,
               scope: str = "both") -> Discrete:
    """The modes in steps of rate * dt (paper section 2.1): Λ `lam` (H, M) complex128, `log_dt` (H,).

    `scope`: dt multiplies A (`both`), or only Re(A) (`real`; then Im(A) is an angle per step). Raises KeyError for an
    unknown rule, UserError for an error in a user's own rule.
    """
    dt = (rate * torch.exp(log_dt.double()))[:, None]
    if ":" in rule:
        A_bar, gain = own_parts.discretize(rule, lam, dt)
        return Discrete(lam, torch.log(torch.where(A_bar.abs() < TINY, TINY, A_bar)), gain, dt, grows=True)
    if scope == "both":
        log, gain = RULES[rule](Steps(dt * lam, dt))
    else:
        log, gain = RULES[rule](Steps(torch.complex(dt * lam.real, rate * lam.imag), torch.full_like(dt[:1], rate)))
    return Discrete(lam, log, gain, dt, grows)


def period(discrete: Discrete, length: int) -> tuple[Tensor, Tensor | None]:
    """(factor, shift), (H, M), with factor * exp(log_A_bar (l - shift)) = A_bar^l / (1 - A_bar^L), without overflow."""
    x = discrete.log_A_bar
    if not discrete.grows:
        return -1 / torch.expm1(x * length), None
    late = x.detach().real > 0
    factor = torch.where(late, torch.exp(-x), -1) / torch.expm1(torch.where(late, -x, x) * length)
    return factor, torch.where(late, length - 1, 0)
