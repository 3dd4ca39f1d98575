"""S4's kernel for A = diag(Λ) - P P*: Woodbury's identity at the roots of unity (paper section 2.2; S4, algorithm 1).

On a CPU, `suite.ssm.dplr` is used for sequences that are long relative to the state size, and for float64.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm.dplr import squaring
from suite.ssm.kernels import power_sum
from suite.ssm.modes import Discrete, period

CHUNK = 2**20  # values of the sums at a time: they fit into the CPU's caches, and their memory is reused


def dplr(c: Tensor, b: Tensor, p: Tensor, discrete: Discrete, length: int,
         dtype: torch.dtype = torch.float32) -> Tensor:
    """The kernel of A = diag(Λ) - P P* with the bilinear rule, by the faster of two algorithms.

    `c`: C~ = C (1 - A_bar^L), (Ch, H, M) complex128; `b` (H, M); `p` (r, H, M); `length` is L. Returns K (Ch, H, L) of
    the real `dtype`.
    """
    growing = discrete.grows  # powers of A_bar over the full length may overflow
    if c.device.type == "cpu" and not growing and squaring.is_better(length, 2 * c.shape[-1], len(p), dtype):
        return squaring.dplr(c, b, p, discrete, length, dtype)
    return by_transforms(c, b, p, discrete, length, dtype)


def by_transforms(c: Tensor, b: Tensor, p: Tensor, discrete: Discrete, length: int, dtype: torch.dtype) -> Tensor:
    """See `dplr`. For z^L = 1, 1 / (1 - A_bar_n z) is the transform of A_bar_n^l / (1 - A_bar_n^L), so each sum over
    poles is an rfft of a power sum. Everything is float64, whatever the model's precision, since up to four digits
    cancel between the two terms of Woodbury's identity.
    """
    factor, shift = period(discrete, length)
    left, right = torch.cat([c, p.conj()]), torch.cat([b[None], p])
    pairs = left[:, None] * right[None] * (factor * discrete.B_gain)
    each = max(1, CHUNK // (pairs.shape[0] * pairs.shape[1] * length)) if c.device.type == "cpu" else c.shape[1]
    shifts = repeat(None) if shift is None else shift.split(each)
    parts = zip(pairs.split(each, 2), discrete.log_A_bar.split(each), shifts, strict=False)
    half = _half_sums(length, c.device)
    return torch.cat([_kernel(*part, length, half, dtype) for part in parts]).transpose(0, 1)


def _kernel(pairs: Tensor, log_A_bar: Tensor, shift: Tensor | None, length: int, half: Tensor,
            dtype: torch.dtype) -> Tensor:
    sums = power_sum(pairs, log_A_bar, length, shift=shift)
    return _Resolve.apply(sums.permute(2, 0, 1, 3), half, dtype)


def _half_sums(length: int, device: torch.device) -> Tensor:
    """(1 + z) / 2 at the nodes z = exp(-2 pi i k / length), k = 0 … length/2, exactly 0 at z = -1."""
    half = torch.pi * torch.arange(length // 2 + 1, device=device, dtype=torch.float64) / length
    h = torch.polar(torch.cos(half), -half)
    if length % 2 == 0:
        h[-1:].zero_()  # assigning a number would copy it from the CPU and wait for the GPU
    return h


class _Resolve(torch.autograd.Function):
    """Sums over poles (H, Ch + r, 1 + r, L), rows C~ and Q, columns B and P, in time -> kernel (H, Ch, L).

    With their transforms, that of the kernel is cb - cp m qb, m = h (1 + h qp)^-1, h = (1 + z) / 2. Only half spectra
    are used, and the formula is pointwise, so that the backward is one rfft, the adjoint of the formula, and one irfft.
    """

    @staticmethod
    def forward(ctx: Any, sums: Tensor, half: Tensor, dtype: torch.dtype) -> Tensor:
        length, rank = sums.shape[-1], sums.shape[2] - 1
        kernels = sums.shape[1] - rank
        spectrum = torch.fft.rfft(sums)
        cb, cp, qb, qp = _blocks(spectrum, kernels)
        if rank:
            m = _correction(qp, half)
            solved = [_dot(row, qb) for row in m]
            for a in range(rank):
                cb = torch.addcmul(cb, cp[:, :, a], solved[a][:, None], value=-1)
            # Negated conjugates are computed once here; within products they would be computed each time.
            slopes = [x.conj_physical_().neg_() for row in m for x in row]
            ctx.save_for_backward(cp.conj_physical_(), *slopes, *(x.conj_physical_().neg_() for x in solved))
        ctx.sizes = (length, rank, kernels)
        return torch.fft.irfft(cb, n=length).to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        length, rank, kernels = ctx.sizes
        g = torch.fft.rfft(grad.double())  # the weights of half spectra cancel between this and the last line
        out = g.new_empty(grad.shape[0], kernels + rank, 1 + rank, g.shape[-1])
        cb, cp, qb, qp = _blocks(out, kernels)
        cb.copy_(g)
        if rank:
            saved = ctx.saved_tensors
            left, slopes, solved = saved[0], saved[1:-rank], saved[-rank:]
            mine = [_sum(g * left[:, :, a]) for a in range(rank)]
            for b in range(rank):
                torch.mul(g, solved[b][:, None], out=cp[:, :, b])
                torch.mul(mine[0], slopes[b], out=qb[:, b])
                for a in range(1, rank):
                    qb[:, b] += mine[a] * slopes[a * rank + b]
                for a in range(rank):
                    torch.mul(qb[:, b], solved[a], out=qp[:, b, a])
        return torch.fft.irfft(out, n=length), None, None


def _dot(row: list[Tensor], v: Tensor) -> Tensor:
    total = row[0] * v[:, 0]
    for b in range(1, len(row)):
        total += row[b] * v[:, b]
    return total


def _sum(x: Tensor) -> Tensor:
    return x[:, 0] if x.shape[1] == 1 else x.sum(1)


def _blocks(x: Tensor, kernels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Views cb (H, Ch, F), cp (H, Ch, r, F), qb (H, r, F), qp (H, r, r, F)."""
    return x[:, :kernels, 0], x[:, :kernels, 1:], x[:, kernels:, 0], x[:, kernels:, 1:]


def _correction(qp: Tensor, h: Tensor) -> list[list[Tensor]]:
    """h (1 + h qp)^-1 as rows of (H, F), written out for ranks 1 and 2."""
    rank = qp.shape[1]
    if rank == 1:
        return [[h / (h * qp[:, 0, 0] + 1)]]
    inner = h * qp
    if rank == 2:
        first, last = 1 + inner[:, 0, 0], 1 + inner[:, 1, 1]
        scale = h / (first * last - inner[:, 0, 1] * inner[:, 1, 0])
        return [[scale * last, -scale * inner[:, 0, 1]], [-scale * inner[:, 1, 0], scale * first]]
    eye = torch.eye(rank, dtype=qp.dtype, device=qp.device)
    full, _ = torch.linalg.inv_ex(inner.permute(0, 3, 1, 2) + eye)  # unlike inv, it does not wait for a GPU
    full = full.permute(2, 3, 0, 1) * h
    return [list(row) for row in full]
