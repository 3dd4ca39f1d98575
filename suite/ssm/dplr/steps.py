"""The first powers of A_bar on vectors, in O(N) each: A_bar of S4 is diagonal minus a low rank.

Bilinear rule for A = Λ - P P*, with e = 1 / (1 - dt Λ/2), D = (1 + dt Λ/2) / (1 - dt Λ/2) = 2e - 1 and Woodbury's
identity for (1 - dt A/2)^-1 = (1/e + (dt/2) P P*)^-1:

    A_bar = 2 (1 - dt A/2)^-1 - 1 = D - U V        V = P* e        U = 2 e P (2/dt + V P)^-1
    B_bar = dt (1 - dt A/2)^-1 B = dt (e B - U (V B) / 2)

A column z becomes D z - U (V z), and a row v becomes v D - (v U) V: O(N r) each. A row is kept as the vector of its
real inner product, for which multiplying by D is multiplying by conj(D). The power itself is a telescoping sum,

    D^k - A_bar^k = sum over j < k of D^{k-1-j} (D - A_bar) A_bar^j = sum over j < k of (D^{k-1-j} U) (V A_bar^j)

With w_j = D^{P-1-j} U, made from the end, and the rows V A_bar^j, k = P needs all vectors of both, and k = rest needs
the first `rest` rows and the last `rest` of w.

Backward of x_{j+1} = d x_j - out (into, x_j), with g_j the full gradient of x_j (for w the same, without low rank):

    g_j = grad_j + conj(d) g_{j+1} - into (out, g_{j+1})
    dd = sum of conj(x_j) g_{j+1}      d into = - sum of x_j (out, g_{j+1})      d out = - sum of g_{j+1} (into, x_j)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm.blocked import flat
from suite.ssm.modes import Discrete


def first_steps(b: Tensor, p: Tensor, discrete: Discrete, steps: int, rest: int,
                dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None]:
    """Columns A_bar^j B_bar (H, P, N) of `dtype`, and float64 A_bar^P and A_bar^rest (H, N, N), or None if rest is 0.

    `b` (H, M), `p` (r, H, M); `steps` is P.
    """
    rank, e = len(p), discrete.B_gain / discrete.dt
    ep, row = (e * p).transpose(0, 1), 2 * (e.conj() * p).transpose(0, 1)  # (H, r, M); rows as their coordinates
    inner = (row.conj() @ p.permute(1, 2, 0)).real
    inner = inner + torch.eye(rank, dtype=inner.dtype, device=inner.device) * (2 / discrete.dt[..., None])
    u = 2 * (torch.linalg.inv(inner).transpose(1, 2).to(ep.dtype) @ ep)
    projected = (row.conj() @ b[..., None]).real
    B_bar = discrete.B_gain * b - discrete.dt * (u * projected).sum(1) / 2
    d = torch.exp(discrete.log_A_bar)[:, None]
    columns, step, first, late = _Steps.apply(
        torch.cat([d] + [d.conj()] * rank, 1), torch.stack([row] + [u] * rank, 1), torch.stack([u] + [row] * rank, 1),
        torch.cat([B_bar[:, None], row], 1), d, u, _turn(discrete.log_A_bar, steps), steps, rest, dtype)
    tail = torch.baddbmm(_turn(discrete.log_A_bar, rest), late.transpose(1, 2), first, alpha=-1) if rest else None
    return columns, step, tail


def _turn(log_A_bar: Tensor, steps: int) -> Tensor:
    """exp(steps log_A_bar) (H, M) as real matrices (H, N, N): each turns and scales pairs of coordinates."""
    z = torch.exp(log_A_bar * steps)
    turned = torch.view_as_real(torch.stack([z, 1j * z], -1)).transpose(-1, -2)  # (H, M, 2, 2)
    return torch.diag_embed(turned.permute(0, 2, 3, 1)).permute(0, 3, 1, 4, 2).reshape(len(z), 2 * z.shape[1], -1)


class _Steps(torch.autograd.Function):
    """The recurrences of the module's docstring: x_{j+1} = d x_j - sum over s of out_s (into_s, x_j), w_{j-1} = e w_j.

    d, first (H, 1 + r, M), into, out (H, 1 + r, r, M), e (H, 1, M), last (H, r, M), turn (H, N, N). Of the 1 + r
    vectors x, number 0 is a column (into V, out U) and the others are rows (into U, out V); first is x_0 and last
    w_{P-1}. Returns columns (H, steps, N) of `dtype`, turn - w^T rows = A_bar^P, the first rows, the last w.
    """

    @staticmethod
    def forward(ctx: Any, d: Tensor, into: Tensor, out: Tensor, first: Tensor, e: Tensor, last: Tensor, turn: Tensor,
                steps: int, rest: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
        x, w = first.new_empty(steps, *first.shape), last.new_empty(steps, *last.shape)
        x[0], w[-1] = first, last
        projected = first.real.new_empty(steps, into.shape[2], *into.shape[:2], 1)
        flows = list(zip(flat(into).unbind(2), flat(out).unbind(2), strict=True))
        for j in range(steps - 1):
            torch.mul(d, x[j], out=x[j + 1])
            here, there = flat(x[j]), flat(x[j + 1])
            for s, (a, b) in enumerate(flows):
                torch.sum(a * here, -1, keepdim=True, out=projected[j, s])
                there.addcmul_(b, projected[j, s], value=-1)
            torch.mul(e, w[steps - 1 - j], out=w[steps - 2 - j])
        ctx.save_for_backward(d, into, out, e, x, w, projected)
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
        d, into, out, e, x, w, projected = ctx.saved_tensors
        gx, gw = torch.empty_like(x), torch.empty_like(w)
        flat(gx[:, :, 0]).copy_(columns.transpose(0, 1))
        down, work = -step.to(ctx.work), ctx.work
        flat(gx[:, :, 1:]).copy_(_by_step(_by_feature(w).to(work) @ down, len(x)))
        flat(gw).copy_(_by_step(_by_feature(x[:, :, 1:]).to(work) @ down.transpose(1, 2), len(x)))
        if rows is not None and late is not None:
            flat(gx[: ctx.rest, :, 1:]).add_(_by_step(rows, ctx.rest))
            flat(gw[len(x) - ctx.rest :]).add_(_by_step(late, ctx.rest))
        return *_steps_back(gx, gw, d, into, out, e, x, w, projected), step, None, None, None


def _steps_back(gx: Tensor, gw: Tensor, d: Tensor, into: Tensor, out: Tensor, e: Tensor, x: Tensor, w: Tensor,
                projected: Tensor) -> tuple[Tensor, ...]:
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
            along = (b * mine).sum(-1, keepdim=True)
            there.addcmul_(a, along, value=-1)
            da.addcmul_(here, along, value=-1)
            db.addcmul_(mine, projected[j, s], value=-1)
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
