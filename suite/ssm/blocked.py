"""The blocked power sum: two tables of about sqrt(L) powers, one real matrix product, and a hand-written backward.

With l = P i + j, exp(x l) = exp(x P i) exp(x j). So the sum over modes is a product of an (I, 2N) with a (2N, P)
matrix, real and imaginary parts side by side, and no N by L array exists. The powers are computed in complex128, by
doubling. With w = 2 c, outer O_i = exp(x P i) and inner I_j = exp(x j),

    k_{Pi+j} = Re sum over n of w_n O_in I_jn

Backward, for a gradient g of k (torch's gradient of a complex z is dRe + i dIm, so that conjugates appear):

    dw = sum over i, j of g_ij conj(O_i I_j) = sum over i of conj(O_i) T_i        T_i = sum over j of g_ij conj(I_j)
    dx = sum over i, j of g_ij (P i + j) conj(w O_i I_j)
       = conj(w) sum over i of P i conj(O_i) T_i + sum over j of j conj(I_j S_j)        S_j = sum over i of g_ij w O_i

T and S are the two matrix products of the backward. `_moments` does the sums over i and j, plain and weighted. A
shift s replaces l by l - s in the exponent, which adds - s conj(w) dw to dx.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Above these, products of two table entries are normal numbers: a CPU is several times slower on subnormal operands.
SMALLEST = {torch.complex64: 1e-19, torch.complex128: 1e-150}
SHORT = 32  # maximum length of a kernel for which one table is enough
SMALL = 2**15  # size of a table up to which one cumulative product is faster than doubling


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Disable autocast and reduced-precision float32 products, which would make phases and long sums inaccurate."""
    before = torch.get_float32_matmul_precision()
    if before == "highest" and not torch.is_autocast_enabled(device.type):
        yield
        return
    if before != "highest":
        torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if before != "highest":
            torch.set_float32_matmul_precision(before)


@lru_cache(maxsize=4096)
def split(length: int, sums: int) -> tuple[int, int]:
    """(I, P) with I * P >= length: tables of similar sizes, with I * P close to the length."""
    if length <= SHORT:
        return 1, length
    ideal = math.sqrt(length * sums)
    sizes = [p for p in range(8, length + 8, 8) if ideal / 1.8 <= p <= ideal * 1.8] or [length]

    def cost(size: int) -> float:
        beyond = -(-length // size) * size - length  # unless it is 0, input and output are copied
        return 0.1 * (beyond > 0) + beyond / length + 0.2 * math.log(size / ideal) ** 2

    size = min(sizes, key=cost)
    return -(-length // size), size


def powers(x: Tensor, start: Tensor | None, count: int, dtype: torch.dtype) -> Tensor:
    """exp(start + x k) for k < count: x, start (G, N) complex128 -> (G, count, N) of `dtype`; tiny values become 0."""
    small = x.device.type == "cpu" and x.numel() * count <= SMALL
    table = (_by_product if small else _by_doubling)(x, start, count)
    return torch.view_as_complex(torch.hardshrink(torch.view_as_real(table.to(dtype)), SMALLEST[dtype]))


def _by_product(x: Tensor, start: Tensor | None, count: int) -> Tensor:
    first = torch.ones_like(x) if start is None else torch.exp(start)
    factors = torch.exp(x)[:, None].expand(-1, count - 1, -1)
    return torch.cumprod(torch.cat([first[:, None], factors], 1), 1)


def _by_doubling(x: Tensor, start: Tensor | None, count: int) -> Tensor:
    table = torch.empty(x.shape[0], count, x.shape[1], dtype=x.dtype, device=x.device)
    table[:, 0] = 1.0 if start is None else torch.exp(start)
    factor, done = torch.exp(x)[:, None], 1
    while done < count:
        more = min(done, count - done)
        torch.mul(table[:, :more], factor, out=table[:, done : done + more])
        factor, done = factor * factor, done + more
    return table


def flat(table: Tensor) -> Tensor:
    """(G, R, N) complex as (G, R, 2N) real, real and imaginary parts interleaved; no copy."""
    return torch.view_as_real(table).flatten(-2)


@dataclass(frozen=True)
class Tables:
    """Values for the backward: twice the coefficients (G, K, N), both tables, the coefficients times the outer table,
    and the shift."""

    weight: Tensor
    outer: Tensor
    inner: Tensor
    left: Tensor
    shift: Tensor | None = None


def evaluate(coeff: Tensor, log_base: Tensor, length: int, shift: Tensor | None = None) -> tuple[Tensor, Tables]:
    """coeff (K, G, N), log_base (G, N) complex128, shift (G, N) or None -> (G, K, length) real, and its tables."""
    sums, groups, modes = coeff.shape
    rows, columns = split(length, sums)
    with full_precision(coeff.device):
        late = early = None
        if shift is not None:  # growing powers are counted back from the end of both tables
            late = torch.where(shift != 0, log_base * (columns - 1 - shift), 0)
            early = torch.where(shift != 0, -log_base * (columns - 1), 0).conj()
        outer = powers(log_base * columns, late, rows, coeff.dtype)
        inner = powers(log_base.conj(), early, columns, coeff.dtype)  # conjugate: the product wants Re Re - Im Im
        weight = (2 * coeff).transpose(0, 1).contiguous()
        left = flat((weight[:, :, None] * outer[:, None]).view(groups, sums * rows, modes))
        out = _product(left, flat(inner).transpose(1, 2))
    return out.view(groups, sums, rows * columns)[..., :length], Tables(weight, outer, inner, left, shift)


def gradients(grad: Tensor, tables: Tables, slope: bool = True) -> tuple[Tensor, Tensor | None]:
    """Gradients of coeff (K, G, N) and, if `slope`, of log_base (G, N), from that of the values (G, K, length)."""
    weight, outer, inner, left = tables.weight, tables.outer, tables.inner, tables.left
    (groups, sums, modes), rows, columns = weight.shape, outer.shape[1], inner.shape[1]
    beyond = rows * columns - grad.shape[-1]
    grad = torch.nn.functional.pad(grad, (0, beyond)) if beyond else grad
    grad = grad.reshape(groups, sums * rows, columns)
    with full_precision(grad.device):
        inside = torch.view_as_complex(torch.bmm(grad, flat(inner)).view(groups, sums, rows, modes, 2))
        zeroth, first = _moments(inside.mul_(outer.conj_physical()[:, None]), columns)
        dcoeff = 2 * zeroth.transpose(0, 1)
        if not slope:
            return dcoeff, None
        across = torch.view_as_complex(torch.bmm(grad.transpose(1, 2), left).view(groups, columns, modes, 2))
        weight = weight.conj_physical()
        dbase = (first * weight).sum(1) + _moments(across.conj_physical_().mul_(inner), 1)[1]
        if tables.shift is not None:
            dbase = dbase - tables.shift * (zeroth * weight).sum(1)
    return dcoeff, dbase.to(torch.complex128)


class PowerSum(torch.autograd.Function):
    """coeff (K, G, N), log_base (G, N) complex128, shift (G, N) or None -> (G, K, length) real."""

    @staticmethod
    def forward(ctx: Any, coeff: Tensor, log_base: Tensor, length: int, shift: Tensor | None) -> Tensor:
        out, tables = evaluate(coeff, log_base, length, shift)
        ctx.save_for_backward(tables.weight, tables.outer, tables.inner, tables.left, shift)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *gradients(grad, Tables(*ctx.saved_tensors), ctx.needs_input_grad[1]), None, None


def _product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right, summed in pieces of 64, since one long float32 sum would lose a digit."""
    out = torch.bmm(left[..., :64], right[:, :64])
    for k in range(64, left.shape[-1], 64):
        out.baddbmm_(left[..., k : k + 64], right[:, k : k + 64])
    return out


def _moments(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Sum over r of x_r, and of step r x_r, for x (…, R, N) complex, in one pass over x."""
    values = flat(x).flatten(0, -3)
    places = _places(x.shape[-2], step, values.dtype, x.device)
    both = torch.bmm(places.expand(len(values), -1, -1), values)
    both = torch.view_as_complex(both.view(*x.shape[:-2], 2, x.shape[-1], 2))
    return both[..., 0, :], both[..., 1, :]


@lru_cache(maxsize=64)
def _places(count: int, step: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Rows of 1 and of step r, (2, count)."""
    places = torch.arange(count, dtype=dtype, device=device)
    return torch.stack([torch.ones_like(places), step * places])


def blocked(coeff: Tensor, log_base: Tensor, length: int, shift: Tensor | None = None) -> Tensor:
    """See `kernels.power_sum`."""
    batch = torch.broadcast_shapes(coeff.shape[:-1], log_base.shape[:-1])
    modes = coeff.shape[-1]
    base = (1,) * (len(batch) + 1 - log_base.ndim) + tuple(log_base.shape[:-1])
    lead = next((i for i, size in enumerate(base) if size != 1), len(batch))  # leading dimensions without log_base
    x = log_base.to(torch.complex128).expand(*base[:lead], *batch[lead:], modes).reshape(-1, modes)
    c = coeff.expand(*batch, modes).reshape(math.prod(batch[:lead]), -1, modes)
    s = None if shift is None else shift.expand(*base[:lead], *batch[lead:], modes).reshape(-1, modes)
    return PowerSum.apply(c, x, length, s).transpose(0, 1).reshape(*batch, length)
