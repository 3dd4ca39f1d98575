"""The kernel of S4D from the stored parameters in one function, for the commonest settings (paper section 3, listing 1).

Each of its arrays is small, so an operation costs what it takes to start it: here are half as many as torch's autograd
needs, which records each and makes more for its gradient. The numbers are those of `S4D`, to the last digits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.config.fields import ResolvedSSM
from suite.ssm.blocked import SHORT, Tables, evaluate, gradients
from suite.ssm.modes import bilinear, bilinear_back
from suite.ssm.stored import complex_of


def serves(config: ResolvedSSM) -> bool:
    """Whether the settings are those of `kernel`: all that is beyond them, the layer does step by step."""
    return (config.kernel, config.discretization, config.re_constraint, config.dt_scope, config.gain, config.c_tilde,
            config.real_zero, config.real_law) == ("vandermonde", "bilinear", "exp", "both", "rule", False, False,
                                                   "modes")


def kernel(log_dt: Tensor, theta: Tensor, imag: Tensor, b: Tensor, c: Tensor, length: int, rate: float) -> Tensor:
    """K (Ch, H, length): `log_dt` (H,), `theta`, `imag` (S, M), `b` (S, M, 2), `c` (Ch, H, M, 2), as a layer has them.

    Any of them may be without gradient.
    """
    out: Tensor = _Kernel.apply(log_dt, theta, imag, b, c, length, rate)
    return out


class _Kernel(torch.autograd.Function):
    """In the symbols of the paper: w = dt A / 2, x = log((1 + w)/(1 - w)), K_l = 2 Re sum of C B dt/(1 - w) exp(x l).

    Feature h has copy h mod S: arrays (H, M) are seen as (H/S, S, M) beside those of the copies.
    """

    @staticmethod
    def forward(ctx: Any, log_dt: Tensor, theta: Tensor, imag: Tensor, b: Tensor, c: Tensor, length: int,
                rate: float) -> Tensor:
        copies = theta.shape[0]
        dt = torch.exp(log_dt.double()).mul_(rate).view(-1, copies, 1)
        A = torch.complex(-torch.exp(theta.double()), imag.double())
        B, C = complex_of(b), complex_of(c).unflatten(1, (-1, copies))
        x, gain, plus, inverse = bilinear(A * (dt / 2), dt)
        both = B * gain
        # A short kernel is a sum that may cancel at every step; in float64 it costs next to nothing.
        work = torch.complex128 if length <= SHORT else c.dtype.to_complex()
        out, tables = evaluate((C * both).flatten(1, 2).to(work), x.flatten(0, 1), length)
        ctx.save_for_backward(dt, A, B, C, gain, both, plus, inverse, tables.weight, tables.outer, tables.inner,
                              tables.left)
        return out.transpose(0, 1).to(c.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dt, A, B, C, gain, both, plus, inverse, *tables = ctx.saved_tensors
        dtype, (on_dt, on_theta, on_imag, on_b, on_c) = grad.dtype, ctx.needs_input_grad[:5]
        on_x = on_dt or on_theta or on_imag
        dweight, dx = gradients(grad.transpose(0, 1).to(tables[3].dtype), Tables(*tables), on_x)
        dweight = dweight.to(torch.complex128).view_as(C)
        dc = torch.view_as_real(dweight * both.conj_physical()).to(dtype).flatten(1, 2) if on_c else None
        inner = (dweight * C.conj_physical()).sum(0)
        db = torch.view_as_real((inner * gain.conj_physical()).sum(0)).to(dtype) if on_b else None
        if dx is None:
            return None, None, None, db, dc, None, None
        dw, dunit = bilinear_back(dx.view_as(gain), inner * B.conj_physical(), plus, inverse, dt)
        dA = (dw * (dt / 2)).sum(0)
        dlog = (dw * A.conj_physical()).real.div_(2).add_(dunit).sum(-1, keepdim=True).mul_(dt) if on_dt else None
        return (None if dlog is None else dlog.flatten().to(dtype),
                (dA.real * A.real).to(dtype) if on_theta else None,  # A.real is -exp(theta), and so its own slope
                dA.imag.to(dtype) if on_imag else None, db, dc, None, None)
