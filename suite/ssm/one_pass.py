"""The kernel of S4D from the stored parameters in one pass, for the most common settings (paper, listing 1).

Its arrays are small, so the computation is launch-bound. With a hand-written gradient, there are half as many
operations as with torch's autograd. The numbers are those of `S4D`, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.config.fields import ResolvedSSM
from suite.ssm import checks
from suite.ssm import kernels as power_sums
from suite.ssm.blocked import SHORT, Tables, evaluate, gradients
from suite.ssm.modes import bilinear, bilinear_back
from suite.ssm.state_space import StateSpaceLayer
from suite.ssm.stored import complex_of

NAMES = ("log_dt", "theta", "imag", "b", "c")  # the parameters of the kernel
SMALL = {"cpu": 2**12, "cuda": 2**17}  # modes of all layers: with more, it is no longer launch-bound


def supports(config: ResolvedSSM) -> bool:
    """Whether `kernel` supports these settings. For others, the layer computes the kernel step by step."""
    return (config.structure, config.kernel, config.discretization, config.re_constraint, config.dt_scope, config.gain,
            config.c_tilde, config.real_zero) == ("diagonal", "vandermonde", "bilinear", "exp", "both", "rule", False,
                                                  False)


def is_available() -> bool:
    """Whether `kernel` can be used now: not while torch compiles, and not with another kernel back end."""
    return not torch.compiler.is_compiling() and power_sums.blocked_is_selected()


def kernel(layer: StateSpaceLayer, length: int, rate: float) -> Tensor:
    """K (Ch, H, length) of a layer whose settings are supported (see `supports`)."""
    return _Kernel.apply(*(getattr(layer, name)[None] for name in NAMES), length, rate)[0]


def is_faster(layers: Sequence[Any]) -> bool:
    """Whether `kernels` can be used now, and is faster than one call for each layer. The layers must be `alike`."""
    c = layers[0].c
    return is_available() and c[0, ..., 0].numel() * len(layers) <= SMALL.get(c.device.type, 0)


def alike(layers: Sequence[object]) -> bool:
    """Whether these are several layers with the same settings and shapes, so that one pass can compute all kernels.

    Kernels do not depend on the data, so all kernels of a network can be computed before its first layer.
    """
    first = layers[0] if len(layers) > 1 else None
    if not isinstance(first, StateSpaceLayer) or not first.paired or not supports(first.config):
        return False
    return all(type(layer) is type(first) and layer.config == first.config and layer.c.shape == first.c.shape
               for layer in layers)


def kernels(layers: Sequence[Any], length: int, rate: float) -> tuple[Tensor, ...]:
    """K (Ch, H, length) of each of the layers, which are `alike`, for inputs of `length` steps."""
    checks.check_rate(rate)
    checks.check_dtype(layers[0].log_dt.dtype)
    stored = (torch.stack([getattr(layer, name) for layer in layers]) for name in NAMES)
    return _Kernel.apply(*stored, layers[0]._taps(length, rate), rate).unbind()


class _Kernel(torch.autograd.Function):
    """In the symbols of the paper: w = dt A / 2, x = log((1 + w)/(1 - w)), K_l = 2 Re sum of C B dt/(1 - w) exp(x l).

    All arguments have a first axis of n layers. Feature h uses copy h mod S: arrays (n, H, M) are viewed as
    (n, H/S, S, M), and broadcast with those of the copies, (n, 1, S, M).
    """

    @staticmethod
    def forward(ctx: Any, log_dt: Tensor, theta: Tensor, imag: Tensor, b: Tensor, c: Tensor, length: int,
                rate: float) -> Tensor:
        layers, copies, _ = theta.shape
        dt = torch.exp(log_dt.double()).mul_(rate).view(layers, -1, copies, 1)
        A = torch.complex(-torch.exp(theta.double()), imag.double())[:, None]
        B, C = complex_of(b)[:, None], complex_of(c).unflatten(2, (-1, copies))
        x, gain, plus, inverse = bilinear(A * (dt / 2), dt)
        both = B * gain
        # The sum of a short kernel may cancel at every step; in float64 it costs almost nothing.
        work = torch.complex128 if length <= SHORT else c.dtype.to_complex()
        weight = (C * both[:, None]).to(work).transpose(0, 1).flatten(1, 3)
        out, tables = evaluate(weight, x.flatten(0, 2), length)
        ctx.save_for_backward(dt, A, B, C, gain, both, plus, inverse, tables.weight, tables.outer, tables.inner,
                              tables.left)
        return out.unflatten(0, (layers, -1)).transpose(1, 2).to(c.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dt, A, B, C, gain, both, plus, inverse, *tables = ctx.saved_tensors
        dtype, (on_dt, on_theta, on_imag, on_b, on_c) = grad.dtype, ctx.needs_input_grad[:5]
        on_x = on_dt or on_theta or on_imag
        dweight, dx = gradients(grad.transpose(1, 2).flatten(0, 1).to(tables[3].dtype), Tables(*tables), on_x)
        dweight = dweight.to(torch.complex128).unflatten(1, gain.shape[:3]).transpose(0, 1)
        dc = torch.view_as_real(dweight * both.conj_physical()[:, None]).to(dtype).flatten(2, 3) if on_c else None
        inner = (dweight * C.conj_physical()).sum(1)
        db = torch.view_as_real((inner * gain.conj_physical()).sum(1)).to(dtype) if on_b else None
        if dx is None:
            return None, None, None, db, dc, None, None
        dw, dunit = bilinear_back(dx.view_as(gain), inner * B.conj_physical(), plus, inverse, dt)
        dA = (dw * (dt / 2)).sum(1)
        dlog = (dw * A.conj_physical()).real.div_(2).add_(dunit).sum(-1, keepdim=True).mul_(dt) if on_dt else None
        return (None if dlog is None else dlog.flatten(1).to(dtype),
                (dA.real * A[:, 0].real).to(dtype) if on_theta else None,  # Re(A) = -exp(theta) is its own derivative
                dA.imag.to(dtype) if on_imag else None, db, dc, None, None)
