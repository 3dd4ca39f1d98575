"""Convolution of sequences with long kernels by FFT, with its own backward (paper section 2: causal and two-sided).

The gradient of the kernel is summed over the batch while still in the frequency domain, and everything is a real
transform: torch's own backward of rfft and irfft would run full complex ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.autograd.function import once_differentiable


@lru_cache(maxsize=4096)
def transform_size(length: int, taps: int) -> int:
    """An even size that has a fast transform, and is large enough that nothing wraps around."""
    size = next_fast_len(length + taps, real=True)
    while size % 2:
        size = next_fast_len(size + 1, real=True)
    return size


class _Convolution(torch.autograd.Function):
    """u (B, L, H), kernel (Ch, H, K), d (H,) -> (B, L, H)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
        length, taps = u.shape[1], kernel.shape[2]
        size = transform_size(length, taps)
        with torch.autocast(u.device.type, enabled=False):
            # D is the kernel's value at lag 0 as well; lag -1-j of the second kernel sits at the end of the circle.
            wide = kernel.new_zeros(kernel.shape[1], size)
            wide[:, :taps] = kernel[0]
            wide[:, 0] += d
            if kernel.shape[0] == 2:
                wide[:, size - taps :] = kernel[1].flip(-1)
            filters = torch.fft.rfft(wide)
            signals = torch.fft.rfft(u.to(kernel.dtype).transpose(1, 2), n=size)
            y = torch.fft.irfft(signals * filters, n=size)[..., :length]
        ctx.save_for_backward(signals if ctx.needs_input_grad[1] or ctx.needs_input_grad[2] else None, filters)
        ctx.sizes = (length, taps, kernel.shape[0], size, u.dtype)
        return y.transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        signals, filters = ctx.saved_tensors
        length, taps, kernels, size, dtype = ctx.sizes
        du = dkernel = dd = None
        spectrum = torch.fft.rfft(grad.to(filters.real.dtype).transpose(1, 2), n=size)
        if signals is not None:
            # Not an einsum: it would become H F tiny matrix products, three times slower.
            wide = torch.fft.irfft((spectrum * signals.conj()).sum(0), n=size)
            parts = [wide[:, :taps]] + ([wide[:, size - taps :].flip(-1)] if kernels == 2 else [])
            dkernel, dd = torch.stack(parts), wide[:, 0]
        if ctx.needs_input_grad[0]:
            du = torch.fft.irfft(spectrum * filters.conj(), n=size)[..., :length].transpose(1, 2).contiguous().to(dtype)
        return du, dkernel, dd


def convolve(u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
    """y_t = sum_j k0_j u_{t-j} + sum_j k1_j u_{t+1+j} + d u_t: the second kernel, if any, starts at the next sample.

    `u` (B, L, H), `kernel` (1 or 2, H, K) with K at most L, `d` (H,) -> (B, L, H), in the kernel's precision.
    """
    return _Convolution.apply(u, kernel, d)
