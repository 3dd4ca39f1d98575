"""The Cauchy kernel by direct summation over all poles at all nodes, as in S4 (algorithm 1). For comparison."""

from __future__ import annotations

import torch
from torch import Tensor

from suite.errors import UserError, nearest
from suite.ssm.modes import Discrete

BACKENDS = ("naive", "keops")


def cauchy(c: Tensor, b: Tensor, p: Tensor, discrete: Discrete, length: int, dtype: torch.dtype = torch.float32,
           backend: str = "naive") -> Tensor:
    """The same kernel as `cauchy.dplr`, from the same arguments, by direct sums at the length/2 + 1 nodes.

    `naive` materializes (H, M, length/2 + 1) quotients in the precision of `dtype`; `keops` sums in float64. Raises
    UserError for an unknown back end, and if keops cannot run.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown back end {backend!r} of the direct Cauchy sum", "backend", nearest(backend, BACKENDS))
    k = torch.arange(length // 2 + 1, device=c.device, dtype=torch.float64)
    z = torch.polar(torch.ones_like(k), -2 * torch.pi * k / length)
    alpha, beta = 2 * (1 - z), 1 + z
    if length % 2 == 0:
        beta[-1] = 0
    left, right = torch.cat([c, p.conj()]), torch.cat([b[None], p])
    pairs, s = 2 * left[:, None] * right[None] * discrete.dt, discrete.lam * discrete.dt
    if backend == "naive":
        work = dtype.to_complex()
        sums = _naive(pairs.to(work), s.to(work), alpha.to(work), beta.to(work))
        beta = beta.to(work)
    else:
        sums = _keops(pairs, s, alpha, beta)
    ch, rank = c.shape[0], p.shape[0]
    kernel = sums[:ch, 0]
    if rank:
        h = beta / 2
        inner = torch.eye(rank, dtype=h.dtype, device=h.device) + (h * sums[ch:, 1:]).permute(2, 3, 0, 1)
        solved = _solve(inner, (h * sums[ch:, 0]).permute(1, 2, 0)).permute(2, 0, 1)
        kernel = kernel - (sums[:ch, 1:] * solved).sum(1)
    return torch.fft.irfft(kernel, n=length).to(dtype)


def _solve(inner: Tensor, right: Tensor) -> Tensor:
    if inner.shape[-1] == 1:
        return right / inner[..., 0]
    return torch.linalg.solve(inner, right[..., None])[..., 0]


def _naive(v: Tensor, s: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Sums over modes and their conjugates: v (K, J, H, M), s (H, M) -> (K, J, H, F)."""
    both = [(v, s), (v.conj(), s.conj())]
    parts = [torch.einsum("kjhm,hmf->kjhf", w, 1 / (alpha - t.unsqueeze(-1) * beta)) for w, t in both]
    return parts[0] + parts[1]


def _keops(v: Tensor, s: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    from suite.ssm.keops import Poles

    w, t = torch.cat([v, v.conj()], -1), torch.cat([s, s.conj()], -1).expand(*v.shape[:-1], -1)
    return Poles.apply(w.flatten(0, -2), t.flatten(0, -2), alpha, beta).view(*v.shape[:-1], -1)
