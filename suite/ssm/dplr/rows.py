"""The rows R_i = x m^i of a kernel's table, with x = c (1 - m^q tail)^-1, and their backward.

Let G_i be the gradient of R_i in the table, and F_i its full gradient, with that through later rows:

    R_{i+1} = R_i m        so        F_i = G_i + F_{i+1} m^T,        dx = F_0,        dm = sum over i of R_i^T F_{i+1}

x solves x (1 - W) = c with W = m^q tail. So dc = dx (1 - W)^-T, and the gradient of W is x^T dc. Of W's two factors,

    d tail = (x m^q)^T dc        and        m^q receives x^T (dc tail^T), as if G_q were dc tail^T in a row R_q = x m^q

Row q is therefore added to the recurrence after F_0 is known, and dm needs no backward through the squarings.

The recurrence of F has q sequential steps. `_gather` sums in pairs instead: G_i + G_{i+1} m^T, then pairs of
pairs with (m^2)^T, and so on: log2 q batched products. `_scatter` goes back down: if F is the gradient of the row after
a pair, it is also that of the row after the pair's second half, and G_second + F (m^2^k)^T is that of the half itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm import dense

CHUNK = 2**15  # float64 values of a matrix power at a time: they fit into a core's cache


class Rows(torch.autograd.Function):
    """c (H, Ch, N), m (H, N, N), tail (H, N, N) or None for 1, all float64 -> (H, count, Ch, N) of `dtype`.

    `count` is q or q + 1. Powers of m and the solution are float64; the table and the gradients have `dtype`.
    """

    @staticmethod
    def forward(ctx: Any, c: Tensor, m: Tensor, tail: Tensor | None, q: int, count: int, dtype: torch.dtype) -> Tensor:
        powers, power_q = _powers(m, q, dtype)
        inverse = torch.eye(m.shape[-1], dtype=m.dtype, device=m.device) - (power_q if tail is None else power_q @ tail)
        lu, pivots = dense.lu_factor(inverse)
        x = torch.linalg.lu_solve(lu, pivots, c, left=False)
        table = c.new_empty(len(c), count, *c.shape[1:], dtype=dtype)
        table[:, 0] = x
        done = 1
        for power in powers:
            more = min(done, count - done)
            table[:, done : done + more] = _times(table[:, :more], power)
            done += more
        late = (x @ power_q, tail) if tail is not None else ()
        ctx.save_for_backward(table, powers, lu, pivots, x, *late)
        ctx.q = q
        return table

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        table, powers, lu, pivots, x, *late = ctx.saved_tensors
        across, q = powers.transpose(-1, -2), ctx.q
        none = grad.new_zeros(len(grad), table.shape[1] == q, *grad.shape[2:])
        levels = _gather(torch.cat([grad[:, 1:], none], 1), across)
        first = (grad[:, :1] + _times(levels[-1], across[0]))[:, 0].to(x.dtype)
        dc = torch.linalg.lu_solve(lu, pivots, first, left=False, adjoint=True)
        last = dc @ late[1].transpose(1, 2) if late else dc
        _add_last(levels, last.to(grad.dtype)[:, None], across)
        back = _scatter(levels, across)
        dm = table[:, 1:q].flatten(1, 2).transpose(1, 2) @ back[:, : q - 1].flatten(1, 2)
        dm.baddbmm_(table[:, 0].transpose(1, 2), levels[-1][:, 0])
        return dc, dm.to(x.dtype), late[0].transpose(1, 2) @ dc if late else None, None, None, None


def _powers(m: Tensor, q: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """m, m^2, m^4, … up to q (K, H, N, N) of `dtype`, and m^q in float64. Features are taken in chunks for the cache.
    """
    kept = m.new_empty(q.bit_length(), *m.shape, dtype=dtype)
    power_q = torch.empty_like(m)
    each = max(1, CHUNK // m[0].numel())
    for at in (slice(first, first + each) for first in range(0, len(m), each)):
        power, products = m[at], list[Tensor]()
        for i in range(len(kept)):
            power = power @ power if i else power
            kept[i, at] = power
            if q >> i & 1:
                products.append(products[-1] @ power if products else power)
        power_q[at] = products[-1]
    return kept, power_q


def _times(rows: Tensor, m: Tensor) -> Tensor:
    """(H, I, Ch, N) times (H, N, N)."""
    return (rows.flatten(1, 2) @ m).unflatten(1, rows.shape[1:3])


def _plus(first: Tensor, rows: Tensor, m: Tensor) -> Tensor:
    """first + rows m, both (H, I, Ch, N)."""
    return torch.baddbmm(first.flatten(1, 2), rows.flatten(1, 2), m).unflatten(1, rows.shape[1:3])


def _gather(flows: Tensor, across: Tensor) -> list[Tensor]:
    """Gradients of I rows (H, I, Ch, N), summed over pairs, pairs of pairs, …, each at the first row of the pair."""
    levels = [flows]
    while (count := levels[-1].shape[1]) > 1:
        level = levels[-1]
        pairs = _plus(level[:, : count - 1 : 2], level[:, 1::2], across[len(levels) - 1])
        levels.append(torch.cat([pairs, level[:, -1:]], 1) if count % 2 else pairs)
    return levels


def _add_last(levels: list[Tensor], flow: Tensor, across: Tensor) -> None:
    """Add a gradient of the last row, to this row and to all pairs that contain it."""
    at = levels[0].shape[1] - 1
    for i, level in enumerate(levels):
        level[:, at >> i : (at >> i) + 1] += flow
        flow = _times(flow, across[i]) if at >> i & 1 else flow


def _scatter(levels: list[Tensor], across: Tensor) -> Tensor:
    """(H, I, Ch, N): for each row, the full gradient of the next row."""
    after = torch.zeros_like(levels[-1])
    for i in range(len(levels) - 2, -1, -1):
        level, here = levels[i], torch.empty_like(levels[i])
        pairs = level.shape[1] // 2
        here[:, -1] = 0  # for an odd count; otherwise overwritten
        here[:, 1::2] = after[:, :pairs]
        here[:, : 2 * pairs : 2] = _plus(level[:, 1::2], after[:, :pairs], across[i])
        after = here
    return after
