"""Modes in continuous and discrete time, differentiable: dt, and the rules, each a function and a line of `RULES`.

All of it is complex128 on small (H, M) arrays, whatever the precision of the model: the phases of a long kernel are
lost in less (paper section 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from suite.ssm import own_parts

TINY = 1e-150  # stands for an A_bar of 0, whose logarithm would not be finite
NEAR_ONE = 1 - 1e-6  # the largest |Im(s)|/2 of the symplectic rule in training, with no gradient beyond


@dataclass(frozen=True)
class Discrete:
    """Modes in continuous and discrete time, all (H, M) complex128 (paper section 2.1).

    `lam` is Λ: the diagonal of A, or of its diagonal part in S4. `log_A_bar` is the logarithm of the discrete Λ, and
    `B_gain` is B_bar / B, both without the low-rank part. `dt` (H, 1) is the step size. `grows` says that Re(Λ) may be
    positive, which only the constraint `none` allows.
    """

    lam: Tensor
    log_A_bar: Tensor
    B_gain: Tensor
    dt: Tensor
    grows: bool = False


class _LogBilinear(torch.autograd.Function):
    """log((1 + w) / (1 - w)), finite at w = -1 with a derivative of 0 there."""

    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        ratio = (1 + w) / (1 - w)
        return torch.log(torch.where(ratio.abs() < TINY, TINY, ratio))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (w,) = ctx.saved_tensors
        slope = (1 + w) * (1 - w)
        zero = slope.abs() < TINY
        return grads[0] * torch.where(zero, 0, 2 / torch.where(zero, 1, slope)).conj()


class _Principal(torch.autograd.Function):
    """The imaginary part taken to (-pi, pi], exactly as the sine and cosine see it."""

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
    """What a rule is given: s, the `step` times Λ, (H, M) complex128, and the step itself as `unit`, (H, 1) or (1, 1).

    The step is rate * dt. If dt multiplies Re(A) alone it is the rate, and s = rate * (dt Re(Λ) + i Im(Λ)).
    """

    s: Tensor
    unit: Tensor


Rule = Callable[[Steps], tuple[Tensor, Tensor]]  # to log A_bar and B_bar / B


def _bilinear(step: Steps) -> tuple[Tensor, Tensor]:
    half = step.s / 2
    return _LogBilinear.apply(half), step.unit / (1 - half)


def _zoh(step: Steps) -> tuple[Tensor, Tensor]:
    return _Principal.apply(step.s), step.unit * phi(step.s)


def _euler_exp(step: Steps) -> tuple[Tensor, Tensor]:
    """The A_bar of ZOH, with dt B (Mamba, 2312.00752)."""
    return _Principal.apply(step.s), (step.unit + 0j).expand_as(step.s)


def _backward(step: Steps) -> tuple[Tensor, Tensor]:
    """A_bar = 1/(1 - s): Re(1 - s) >= 1 if A decays, so that the logarithm has no cut (LinOSS-IM, 2410.03943)."""
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

    `scope`: what dt multiplies, A (`both`) or Re(A) alone (`real`), where Im(A) is an angle per step. Raises KeyError
    for an unknown rule, UserError for a fault of the user's own.
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
