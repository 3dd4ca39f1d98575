"""The DPLR kernel of a long sequence and a small state by powers of Abar: no transform, and nothing that cancels.

With l = P i + j, K_l = (C Abar^{P i}) (Abar^j Bbar), a product of two tables of about sqrt(L) rows. Abar is diagonal
less a low rank: its first P powers act on a vector in O(N) a step, and give Abar^P, too. Repeated squaring gives the
other table. Where Re(lam) <= 0, Abar is a contraction in these coordinates, and rounding does not grow.
Columns z of modes have the real coordinates (Re z, Im z), rows c have 2 (Re c, -Im c), those of 2 conj(c).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm.blocked import flat, full_precision
from suite.ssm.modes import Discrete


def pays(length: int, state_size: int, rank: int) -> bool:
    """Whether this is faster than transforms, whose time grows with length * state_size. Measured, on one thread."""
    return rank > 0 and length >= max(1024, 1.2 * state_size**2)


def sizes(length: int) -> tuple[int, int, int]:
    """(P, k, rest) with length = 2^k P + rest and rest <= P: the largest k up to the balance of the two tables."""
    k = (length.bit_length() + 1) // 2
    while length & ((1 << k) - 1) > length >> k or 1 << k > 2 * (length >> k):
        k -= 1
    return length >> k, k, length & ((1 << k) - 1)


def dplr(c: Tensor, b: Tensor, p: Tensor, discrete: Discrete, length: int, dtype: torch.dtype) -> Tensor:
    """The same kernel as `cauchy.dplr`, from the same arguments: (Ch, H, length) of `dtype`.

    Powers of Abar are float64, because squaring doubles an error; the tables and their gradients are of `dtype`.
    """
    steps, doublings, rest = sizes(length)
    with full_precision(c.device):
        columns, step, rows, late = _steps(b, p, discrete, steps, rest, dtype)
        *powers, whole = _Squares.apply(step, doublings, dtype)
        last = whole.to(dtype)
        if rest:  # the last `rest` steps of the whole length, taken as the first P were
            whole = whole @ _turn(discrete.log_a, rest) - (whole @ late.transpose(1, 2)) @ rows
        eye = torch.eye(whole.shape[-1], dtype=whole.dtype, device=whole.device)
        first = torch.linalg.solve(eye - whole, 2 * flat(c.conj().resolve_conj()).transpose(0, 1), left=False).to(dtype)
        left = first
        for power in powers:
            left = torch.cat([left, left @ power], 1)
        left = torch.cat([left, first @ last], 1) if rest else left
        out = _Inner.apply(left, columns)
    out = out.unflatten(1, (-1, len(c))).permute(2, 0, 1, 3).flatten(2)
    return out[..., :length] if rest else out


def _turn(log_a: Tensor, steps: int) -> Tensor:
    """exp(steps log_a) (H, M) as real matrices (H, 2M, 2M)."""
    z = torch.exp(log_a * steps)
    turned = torch.view_as_real(torch.stack([z, 1j * z], -1)).transpose(-1, -2)  # (H, M, 2, 2)
    return torch.diag_embed(turned.permute(0, 2, 3, 1)).permute(0, 3, 1, 4, 2).reshape(len(z), 2 * z.shape[1], -1)


def _steps(b: Tensor, p: Tensor, discrete: Discrete, steps: int, rest: int,
           dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Abar = D - U V: columns Abar^j Bbar (H, P, N), Abar^P (H, N, N), and the `rest` first V Abar^j, last D^{P-1-j} U.

    For A = lam - P P*, V = P* e and U = 2 e P (2/dt + V P)^-1, with e = 1 / (1 - dt lam / 2) (Woodbury); Bbar likewise.
    """
    rank, e = len(p), discrete.gain / discrete.dt
    ep, row = (e * p).transpose(0, 1), 2 * (e.conj() * p).transpose(0, 1)  # (H, r, M); rows as their coordinates
    small = (row.conj() @ p.permute(1, 2, 0)).real
    small = small + torch.eye(rank, dtype=small.dtype, device=small.device) * (2 / discrete.dt[..., None])
    u = 2 * (torch.linalg.inv(small).transpose(1, 2).to(ep.dtype) @ ep)
    seen = (row.conj() @ b[..., None]).real
    bbar = discrete.gain * b - discrete.dt * (u * seen).sum(1) / 2
    d = torch.exp(discrete.log_a)[:, None]
    found: tuple[Tensor, Tensor, Tensor, Tensor] = _Steps.apply(
        torch.cat([d] + [d.conj()] * rank, 1), torch.stack([row] + [u] * rank, 1), torch.stack([u] + [row] * rank, 1),
        torch.cat([bbar[:, None], row], 1), d, u, _turn(discrete.log_a, steps), steps, rest, dtype)
    return found


class _Steps(torch.autograd.Function):
    """x_{j+1} = d x_j - sum over s of out_s (into_s, x_j), real inner products; and w_{j-1} = e w_j from the end.

    d, first (H, 1 + r, M), into, out (H, 1 + r, r, M), e (H, 1, M), last (H, r, M), turn (H, N, N). Of x, the first are
    columns, the others rows. Returns columns (H, steps, N) of `dtype`, turn - w^T rows, the first rows, the last w.
    """

    @staticmethod
    def forward(ctx: Any, d: Tensor, into: Tensor, out: Tensor, first: Tensor, e: Tensor, last: Tensor, turn: Tensor,
                steps: int, rest: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        x, w = first.new_empty(steps, *first.shape), last.new_empty(steps, *last.shape)
        x[0], w[-1] = first, last
        seen = first.real.new_empty(steps, into.shape[2], *into.shape[:2], 1)
        flows = list(zip(flat(into).unbind(2), flat(out).unbind(2), strict=True))
        for j in range(steps - 1):
            torch.mul(d, x[j], out=x[j + 1])
            here, there = flat(x[j]), flat(x[j + 1])
            for s, (a, b) in enumerate(flows):
                torch.sum(a * here, -1, keepdim=True, out=seen[j, s])
                there.addcmul_(b, seen[j, s], value=-1)
            torch.mul(e, w[steps - 1 - j], out=w[steps - 2 - j])
        ctx.save_for_backward(d, into, out, e, x, w, seen)
        ctx.rest, ctx.work = rest, dtype
        ctx.set_materialize_grads(False)
        rows, late = _by_feature(x[:, :, 1:]), _by_feature(w)
        return (flat(x[:, :, 0]).transpose(0, 1).to(dtype).contiguous(),
                torch.baddbmm(turn, late.transpose(1, 2), rows, alpha=-1),
                _by_feature(x[:rest, :, 1:]), _by_feature(w[steps - rest :]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, columns: Tensor, step: Tensor, rows: Tensor | None,
                 late: Tensor | None) -> tuple[Tensor | None, ...]:
        d, into, out, e, x, w, seen = ctx.saved_tensors
        gx, gw = torch.empty_like(x), torch.empty_like(w)
        flat(gx[:, :, 0]).copy_(columns.transpose(0, 1))
        down, work = -step.to(ctx.work), ctx.work
        flat(gx[:, :, 1:]).copy_(_by_step(_by_feature(w).to(work) @ down, len(x)))
        flat(gw).copy_(_by_step(_by_feature(x[:, :, 1:]).to(work) @ down.transpose(1, 2), len(x)))
        if rows is not None and late is not None:
            flat(gx[: ctx.rest, :, 1:]).add_(_by_step(rows, ctx.rest))
            flat(gw[len(x) - ctx.rest :]).add_(_by_step(late, ctx.rest))
        return *_steps_back(gx, gw, d, into, out, e, x, w, seen), step, None, None, None


def _steps_back(gx: Tensor, gw: Tensor, d: Tensor, into: Tensor, out: Tensor, e: Tensor, x: Tensor, w: Tensor,
                seen: Tensor) -> tuple[Tensor, ...]:
    """Gradients of d, into, out, first, e, last from those of all states."""
    d, e = d.conj().resolve_conj(), e.conj().resolve_conj()
    flows = list(zip(flat(into).unbind(2), flat(out).unbind(2), strict=True))
    dd, de, dinto, dout = (torch.zeros_like(t) for t in (x[0], w[0], into, out))
    slopes = list(zip(flat(dinto).unbind(2), flat(dout).unbind(2), strict=True))
    g, h = gx[-1], gw[0]
    for j in range(len(x) - 2, -1, -1):
        dd.addcmul_(x[j].conj_physical(), g)
        here, mine = flat(x[j]), flat(g)
        g = gx[j].addcmul_(d, g)
        there = flat(g)
        for s, ((a, b), (da, db)) in enumerate(zip(flows, slopes, strict=True)):
            told = (b * mine).sum(-1, keepdim=True)
            there.addcmul_(a, told, value=-1)
            da.addcmul_(here, told, value=-1)
            db.addcmul_(mine, seen[j, s], value=-1)
        after = len(x) - 1 - j
        de.addcmul_(w[after].conj_physical(), h)
        h = gw[after].addcmul_(e, h)
    return dd, dinto, dout, g, de.sum(1, keepdim=True), h


def _by_feature(x: Tensor) -> Tensor:
    """(P, H, r, M) complex -> (H, P r, 2M) real; for rank 1 without a copy."""
    return flat(x).transpose(0, 1).flatten(1, 2)


def _by_step(x: Tensor, steps: int) -> Tensor:
    """(H, P r, 2M) -> (P, H, r, 2M)."""
    return x.unflatten(1, (steps, -1)).transpose(0, 1)


class _Inner(torch.autograd.Function):
    """left (H, I, N) and right (H, P, N) -> (H, I, P), with gradients that need no transposing."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return left @ right.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        return grad @ right, grad.transpose(1, 2) @ left


class _Squares(torch.autograd.Function):
    """m (H, N, N) float64 -> m, m^2, m^4, …, m^(2^(count-1)) of `dtype`, and m^(2^count) in float64."""

    @staticmethod
    def forward(ctx: Any, m: Tensor, count: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        kept = []
        for _ in range(count):
            kept.append(m.to(dtype))
            m = m @ m
        ctx.save_for_backward(*kept)
        return *kept, m if kept else m.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors
        g = grads[-1].to(kept[0].dtype) if kept else grads[-1]
        for m, own in zip(reversed(kept), reversed(grads[:-1]), strict=True):
            across = m.transpose(1, 2)
            g = torch.baddbmm(own, across, g).baddbmm_(g, across)
        return g.double(), None, None
