"""Convolution of sequences with long kernels by FFT, with its own backward (paper section 2: causal and two-sided).

The gradient of the kernel is summed over the batch in the frequency domain, and all transforms are real: torch's own
backward of rfft and irfft would run full complex transforms. On a CPU, tiles of a few examples and features are
processed one after the other, so that the data between two transforms stay in the caches. On a GPU, the batch is
processed at once, in few passes over memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm import fused

TILE = 2**17  # values of a tile of several examples on a CPU: its transforms and products stay in the core's cache
WIDE = 2**18  # values of a tile of one example
LINE = 16  # minimum features of a tile: the float32 values of a cache line, since x is copied from (L, H)
SMALL = 2**14  # values of an example: below, one operation on all examples is faster than one operation on each


@lru_cache(maxsize=4096)
def transform_size(length: int, taps: int) -> int:
    """An even size with a fast transform, and at least length + taps, so that nothing wraps around.

    It is the next power of two if that is at most 1/8 larger than necessary: the transform is 10 to 40 % faster than at
    SciPy's choice, for example 8,100. Other sizes are multiples of 16, for the same reason.
    """
    least = length + taps
    power = 1 << (least - 1).bit_length()
    return power if 8 * power <= 9 * least else 16 * next_fast_len(-(-least // 16), real=True)


class _Convolution(torch.autograd.Function):
    """u (B, L, H), kernel (Ch, H, K), d (H,) -> (B, H, L)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
        length, taps = u.shape[1], kernel.shape[2]
        size = transform_size(length, taps)
        with torch.autocast(u.device.type, enabled=False):
            filters = torch.fft.rfft(_circle(kernel, d, size))
            y = kernel.new_empty(u.shape[0], u.shape[2], length)
            signals = []
            for b, h, spectrum in _spectra(u.transpose(1, 2), size, kernel.dtype):
                signals.append(spectrum)
                y[b, h] = torch.fft.irfft(spectrum * filters[h], n=size)[..., :length]
        ctx.save_for_backward(filters, *(signals if ctx.needs_input_grad[1] or ctx.needs_input_grad[2] else []))
        ctx.sizes = (length, taps, kernel.shape[0], size, u.dtype)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        filters, *signals = ctx.saved_tensors
        length, taps, kernels, size, dtype = ctx.sizes
        batch, features = grad.shape[:2]
        conjugate, total = filters.conj_physical(), torch.zeros_like(filters)
        du = grad.new_empty(batch, length, features, dtype=dtype) if ctx.needs_input_grad[0] else None
        rows = filters.real.new_empty(0)
        for k, (b, h, spectrum) in enumerate(_spectra(grad, size, filters.real.dtype)):
            if du is not None:
                rows = rows if h.start else filters.real.new_empty(len(spectrum), features, length)
                rows[:, h] = torch.fft.irfft(spectrum * conjugate[h], n=size)[..., :length]
                if h.stop >= features:
                    _transpose(rows, du[b])
            if signals:
                _correlate(signals[k], spectrum.conj_physical_(), total[h])
        if not signals:
            return du, None, None
        return du, *_from_circle(torch.fft.irfft(total.conj_physical_(), n=size), taps, kernels)


class _OnGpu(torch.autograd.Function):
    """Like `_Convolution`, for the full batch at once and with `fused` operations between the transforms."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
        (batch, length, features), taps = u.shape, kernel.shape[2]
        size = transform_size(length, taps)
        with torch.autocast(u.device.type, enabled=False):
            # The factor 1/size of the inverse is in the filters: torch would apply it to the result, in an extra pass.
            filters = torch.fft.rfft(_circle(kernel, d, size)).div_(size)
            padded = fused.move(u.transpose(1, 2), kernel.new_empty(batch, features, size), length)
            signal = torch.fft.rfft(padded)
            wide = torch.fft.irfft(signal * filters, n=size, norm="forward")
            y = fused.move(wide, wide.new_empty(batch, features, length), length)
        ctx.save_for_backward(filters, signal if ctx.needs_input_grad[1] or ctx.needs_input_grad[2] else None)
        ctx.sizes = (length, taps, kernel.shape[0], size, u.dtype)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        filters, signal = ctx.saved_tensors
        length, taps, kernels, size, dtype = ctx.sizes
        batch, features = grad.shape[:2]
        on_input = ctx.needs_input_grad[0]
        padded = fused.move(grad, filters.real.new_empty(batch, features, size), length)
        spectrum = torch.fft.rfft(padded)
        total = fused.multiply_back(spectrum, filters, signal, on_input)
        du = None
        if on_input:
            du = grad.new_empty(batch, length, features, dtype=dtype)
            fused.move(torch.fft.irfft(spectrum, n=size, norm="forward"), du.transpose(1, 2), length)
        if total is None:
            return du, None, None
        return du, *_from_circle(torch.fft.irfft(total, n=size), taps, kernels)


def _circle(kernel: Tensor, d: Tensor, size: int) -> Tensor:
    """The filter by lag, modulo size, (H, size): D is added at lag 0; lags -1-j of the second kernel are at the end."""
    taps = kernel.shape[2]
    wide = kernel.new_zeros(kernel.shape[1], size)
    wide[:, :taps] = kernel[0]
    wide[:, 0] += d
    if kernel.shape[0] == 2:
        wide[:, size - taps :] = kernel[1].flip(-1)
    return wide


def _from_circle(wide: Tensor, taps: int, kernels: int) -> tuple[Tensor, Tensor]:
    """The adjoint of `_circle`: the gradients of the kernel and of d."""
    parts = [wide[:, :taps]] + ([wide[:, wide.shape[1] - taps :].flip(-1)] if kernels == 2 else [])
    return torch.stack(parts), wide[:, 0]


def _transpose(x: Tensor, into: Tensor) -> None:
    """Copy x (b, H, L) into (b, L, H)."""
    if x.device.type != "cpu" or x[0].numel() <= SMALL:
        into.copy_(x.transpose(1, 2))
        return
    for example, rows in zip(into, x, strict=True):
        example.copy_(rows.t())  # one matrix at a time: torch is twice as slow at other transpositions


def _correlate(x: Tensor, y: Tensor, total: Tensor) -> None:
    """Add the sum over b of x y, both (b, h, F), to (h, F); overwrites y. An einsum (H F tiny products) is slower."""
    if x.device.type != "cpu" or x[0].numel() <= SMALL:  # few large operations, since each one has a launch overhead
        total += y.mul_(x).sum(0)
        return
    for one, other in zip(x, y, strict=True):
        total.addcmul_(one, other)


def _spectra(x: Tensor, size: int, dtype: torch.dtype) -> Iterator[tuple[slice, slice, Tensor]]:
    """Tiles of x (B, H, L): a slice of B, a slice of H, and the transform of the tile (b, h, size // 2 + 1)."""
    batch, features, length = x.shape
    across, most = features, batch
    if x.device.type == "cpu":
        across = min(features, max(LINE, WIDE // size))
        most = max(1, TILE // (size * across))
    each = -(-batch // -(-batch // most))  # tiles of similar heights: a small last tile would need as many operations
    padded = torch.zeros(each, across, size, dtype=dtype, device=x.device)
    for b in range(0, batch, each):
        for h in range(0, features, across):
            part = x[b : b + each, h : h + across]
            room = padded[: part.shape[0], : part.shape[1]]
            room[..., :length].copy_(part)
            yield slice(b, b + each), slice(h, h + across), torch.fft.rfft(room)


def convolve(u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
    """y_t = sum_j k0_j u_{t-j} + sum_j k1_j u_{t+1+j} + d u_t: the second kernel, if any, starts at the next sample.

    `u` (B, L, H), `kernel` (1 or 2, H, K) with K at most L, `d` (H,). Returns (B, L, H) in the kernel's precision, with
    the memory layout of the transform, (B, H, L) (paper section 2).
    """
    y: Tensor = (_OnGpu if fused.supports(u) else _Convolution).apply(u, kernel, d)
    return y.transpose(1, 2)
