"""The scan x_t = A_bar x_{t-1} + v_t of many modes at once, by transforms or in chunks, with its own backward.

A complex array is stored as two planes, real and imaginary part, (2, M, R, L): M modes, R rows, L steps. So the
products with B before the scan and with C after it are real matrix products, without copies between them. All powers of
A_bar are computed in complex128, then rounded: float32 phases would be wrong after a few thousand steps. There is no
division by a power.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from suite.errors import UserError, nearest
from suite.ssm.conv import transform_size

CHUNK = 32  # steps of a chunk: at 64 the products have twice the operations, at 16 they are too small to be fast

Scan = Callable[[Tensor, Tensor, bool], Tensor]  # arguments: v (2, M, R, L), log A_bar (M,), backwards in time


def planes(z: Tensor, dtype: torch.dtype) -> Tensor:
    """Complex z (…) as its real and imaginary part, (2, …)."""
    return torch.stack([z.real, z.imag]).to(dtype)


def powers(log_A_bar: Tensor, count: int) -> Tensor:
    """A_bar^l for l = 0 … count-1, (M, count) complex128."""
    return torch.exp(log_A_bar[:, None] * torch.arange(count, device=log_A_bar.device))


def by_transforms(v: Tensor, log_A_bar: Tensor, reverse: bool) -> Tensor:
    """The scan as a convolution with the powers of A_bar: fastest on a GPU. Returns the states (2, M, R, L)."""
    L = v.shape[-1]
    size = transform_size(L, L)
    table = powers(log_A_bar.conj() if reverse else log_A_bar, L).to(v.dtype.to_complex())
    spectrum = torch.fft.fft(table, n=size)[:, None]
    spectrum = spectrum.conj() if reverse else spectrum  # the spectrum of A_bar^-l, for lags -L+1 … 0
    x = torch.fft.ifft(torch.fft.fft(torch.complex(v[0], v[1]), n=size) * spectrum)[..., :L]
    return torch.stack([x.real, x.imag])


def in_chunks(v: Tensor, log_A_bar: Tensor, reverse: bool) -> Tensor:
    """The scan as products of each chunk with a triangle of powers: fastest on a CPU. Returns the states (2, M, R, L).

    The last states of the chunks are scanned recursively, and added to the first inputs of the next chunks.
    """
    _, M, R, L = v.shape
    T = min(CHUNK, L)
    count = -(-L // T)
    chunks = F.pad(v, (0, count * T - L)).reshape(2, M, R, count, T)
    if chunks.data_ptr() == v.data_ptr() and count > 1:
        chunks = chunks.clone()
    triangle = _triangle(log_A_bar, T, v.dtype)
    triangle = triangle.transpose(-1, -2) if reverse else triangle
    if count > 1:
        left = _times(chunks.reshape(2, M, -1, T), triangle[..., 0 if reverse else -1].unsqueeze(-1))
        left = in_chunks(left.reshape(2, M, R, count), T * log_A_bar, reverse)
        one = planes(torch.exp(log_A_bar), v.dtype)[..., None, None]
        first, given = (chunks[..., :-1, -1], left[..., 1:]) if reverse else (chunks[..., 1:, 0], left[..., :-1])
        first[0].add_(one[0] * given[0] - one[1] * given[1])
        first[1].add_(one[0] * given[1] + one[1] * given[0])
    return _times(chunks.reshape(2, M, -1, T), triangle).reshape(2, M, R, count * T)[..., :L]


def _triangle(log_A_bar: Tensor, T: int, dtype: torch.dtype) -> Tensor:
    """A_bar^(t-j) at row j and column t >= j, else 0: (2, M, T, T)."""
    place = torch.arange(T, device=log_A_bar.device)
    lag = place - place[:, None]
    return planes(powers(log_A_bar, T), dtype)[..., lag.clamp(min=0)] * (lag >= 0)


def _times(x: Tensor, table: Tensor) -> Tensor:
    """The complex product of planes, (2, M, rows, T) and (2, M, T, columns)."""
    out = x.new_empty(2, *x.shape[1:3], table.shape[-1])
    torch.bmm(x[0], table[0], out=out[0]).baddbmm_(x[1], table[1], alpha=-1)
    torch.bmm(x[0], table[1], out=out[1]).baddbmm_(x[1], table[0])
    return out


ROUTES: dict[str, Scan] = {"fft": by_transforms, "chunk": in_chunks}


def route_of(name: str, device: torch.device) -> Scan:
    """The route of this name; for `auto`, chunks on a CPU and transforms elsewhere. Raises UserError."""
    if name == "auto":
        name = "chunk" if device.type == "cpu" else "fft"
    if name not in ROUTES:
        raise UserError(f"unknown route {name!r} of a scan", "route", nearest(name, ("auto", *ROUTES)))
    return ROUTES[name]


class _Shared(torch.autograd.Function):
    """u (B, L, H), B_bar (2, M, H), C (Ch, 2, M, H), log A_bar (M,) -> (B, L, H). Saves only u and the states."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, B: Tensor, C: Tensor, log_A_bar: Tensor, scan: Scan) -> Tensor:
        batch, length, features = u.shape
        rows = u.reshape(-1, features)
        v = (B.flatten(0, 1) @ rows.t()).view(2, -1, batch, length)
        states = [scan(v, log_A_bar, reverse).reshape(-1, len(rows)) for reverse in (False, True)[: len(C)]]
        y = states[0].t() @ C[0].flatten(0, 1)
        for x, weight in zip(states[1:], C[1:], strict=True):
            y.addmm_(x.t(), weight.flatten(0, 1))
        ctx.save_for_backward(u, B, C, log_A_bar, *states)
        ctx.scan = scan
        return y.view(batch, length, features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        u, B, C, log_A_bar, *states = ctx.saved_tensors
        batch, length, features = u.shape
        rows, given = u.reshape(-1, features), grad.reshape(-1, features)
        dC, dlog = torch.empty_like(C), torch.zeros_like(log_A_bar)
        dv = rows.new_zeros(2, len(log_A_bar), batch, length)
        for k, x in enumerate(states):
            dC[k] = (x @ given).view_as(C[k])
            g = ctx.scan((C[k].flatten(0, 1) @ given.t()).view_as(dv), log_A_bar.conj(), k == 0)
            dlog += _slope(x.view_as(dv), g, reverse=k == 1)
            dv += g
        dv = dv.flatten(0, 1).flatten(1)
        du = (dv.t() @ B.flatten(0, 1)).view_as(u) if ctx.needs_input_grad[0] else None
        return du, (dv @ rows).view_as(B), dC, dlog * torch.exp(log_A_bar).conj(), None


def _slope(x: Tensor, g: Tensor, reverse: bool) -> Tensor:
    """The sum over rows and steps of conj(x before the step) g, (M,) complex128: the gradient of A_bar."""
    x, g = (x[..., 1:], g[..., :-1]) if reverse else (x[..., :-1], g[..., 1:])
    each = (x.permute(1, 2, 0, 3) @ g.permute(1, 2, 3, 0)).double().sum(1)  # (M, 2, 2), in one pass
    return torch.complex(each[:, 0, 0] + each[:, 1, 1], each[:, 0, 1] - each[:, 1, 0])


def shared_state(u: Tensor, B_bar: Tensor, C: Tensor, log_A_bar: Tensor, route: str = "auto") -> Tensor:
    """Re(C x_t) with x_t = A_bar x_{t-1} + B_bar u_t. A second C adds Re(C x_t) with x_t = A_bar x_{t+1} + B_bar u_t.

    `u` (B, L, H) real; the scan has its precision. `B_bar` (M, H), `C` (1 or 2, H, M) and `log_A_bar` (M,) complex128.
    Returns (B, L, H). `route`: auto, fft or chunk. Raises UserError for other values.
    """
    weights = torch.stack([C.real, -C.imag], 1).transpose(-1, -2).to(u.dtype)
    y: Tensor = _Shared.apply(u, planes(B_bar, u.dtype), weights, log_A_bar, route_of(route, u.device))
    return y
