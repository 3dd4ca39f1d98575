"""Modes in continuous and discrete time, differentiable: the constraint on Re(A), dt, and the two rules.

All of it is complex128 on small (H, M) arrays, whatever the precision of the model: the phases of a long kernel are
lost in less (paper section 2.1 gives the rules, section 3.3 the constraints).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.ssm import own_parts

TINY = 1e-150  # stands for an A_bar of 0, whose logarithm would not be finite


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


def unconstrain(a: NDArray[np.float64], rule: str, least: float) -> NDArray[np.float64]:
    """The stored θ of a real part `a` = Re(A), of any shape: clamp -a from below, then invert the constraint `rule`."""
    positive = np.maximum(-a, least)
    if ":" in rule:
        return own_parts.unconstrain(rule, -positive)
    with np.errstate(divide="ignore"):  # a real part of 0 has no finite theta; the layer says so
        if rule == "exp":
            return np.asarray(np.log(positive))
        if rule == "softplus":
            return np.asarray(positive + np.log(-np.expm1(-positive)))
    return positive


def constrain(theta: Tensor, rule: str, floor: float) -> Tensor:
    """Re(A) of the stored θ, same shape, under the constraint `rule`. relu alone adds `floor` to -Re(A)."""
    if ":" in rule:
        return own_parts.constrain(rule, theta)
    if rule == "exp":
        return -torch.exp(theta)
    if rule == "relu":
        return -torch.relu(theta) - floor
    if rule == "softplus":
        return -torch.nn.functional.softplus(theta, threshold=40.0)  # at its default of 20 it is off by 1e-10
    return -theta


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


def discretize(lam: Tensor, log_dt: Tensor, rule: str, rate: float, grows: bool = False) -> Discrete:
    """The modes in steps of rate * dt (paper section 2.1): Λ `lam` (H, M) complex128, `log_dt` (H,).

    Raises KeyError for an unknown rule, UserError for a fault of the user's own.
    """
    dt = (rate * torch.exp(log_dt.double()))[:, None]
    step = dt * lam
    if rule == "bilinear":
        half = step / 2
        return Discrete(lam, _LogBilinear.apply(half), dt / (1 - half), dt, grows)
    if rule == "zoh":
        return Discrete(lam, _Principal.apply(step), dt * phi(step), dt, grows)
    if ":" in rule:
        A_bar, gain = own_parts.discretize(rule, lam, dt)
        return Discrete(lam, torch.log(torch.where(A_bar.abs() < TINY, TINY, A_bar)), gain, dt, grows=True)
    raise KeyError(rule)


def period(discrete: Discrete, length: int) -> tuple[Tensor, Tensor | None]:
    """(factor, shift), (H, M), with factor * exp(log_A_bar (l - shift)) = A_bar^l / (1 - A_bar^L), without overflow."""
    x = discrete.log_A_bar
    if not discrete.grows:
        return -1 / torch.expm1(x * length), None
    late = x.detach().real > 0
    factor = torch.where(late, torch.exp(-x), -1) / torch.expm1(torch.where(late, -x, x) * length)
    return factor, torch.where(late, length - 1, 0)
