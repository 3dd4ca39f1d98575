"""The step mode: a causal layer as a recurrence, one input at a time, equal to its convolution (paper section 2).

States are complex128: a state lives for thousands of steps, over which the rounding of float32 phases adds up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from suite.ssm.modes import Discrete


@dataclass(frozen=True)
class Diagonal:
    """x' = Abar x + u, y = 2 Re(sum of weight x') + d u: `a` and `weight` (H, M), `d` (H,)."""

    a: Tensor
    weight: Tensor
    d: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, (B, H, M)."""
        return self.a.new_zeros(batch, *self.a.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """u (B, H) and the state -> y (B, H) and the next state."""
        state = self.a * state + u[..., None]
        return (2 * (self.weight * state).sum(-1).real + self.d * u).to(u.dtype), state


@dataclass(frozen=True)
class LowRank:
    """The bilinear rule for diag(lam) - P P*, O(N) a step: `c`, `b`, `lam` (H, M), `p` (r, H, M), `two` = 2/dt (H, 1).

    (2/dt - A) x' = (2/dt + A) x + 2 B u, the left side solved by Woodbury's identity.
    """

    lam: Tensor
    p: Tensor
    b: Tensor
    c: Tensor
    two: Tensor
    d: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, (B, H, M)."""
        return self.lam.new_zeros(batch, *self.lam.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """u (B, H) and the state -> y (B, H) and the next state."""
        inverse = 1 / (self.two - self.lam)
        v = (self.two + self.lam) * state + 2 * self.b * u[..., None]
        v = v - torch.einsum("rhm,bhr->bhm", self.p, self._project(state).to(v.dtype))
        state = inverse * v
        if len(self.p):
            small = 2 * torch.einsum("rhm,hm,shm->hrs", self.p.conj(), inverse, self.p).real
            small = small + torch.eye(len(self.p), dtype=small.dtype, device=small.device)
            known = torch.linalg.solve(small, self._project(state)[..., None])[..., 0]
            state = state - inverse * torch.einsum("rhm,bhr->bhm", self.p, known.to(v.dtype))
        return (2 * (self.c * state).sum(-1).real + self.d * u).to(u.dtype), state

    def _project(self, x: Tensor) -> Tensor:
        """Q^T x over the modes and their conjugates, (B, H, r) real."""
        return 2 * torch.einsum("rhm,bhm->bhr", self.p.conj(), x).real


def diagonal(discrete: Discrete, weight: Tensor, shift: Tensor | None, d: Tensor) -> Diagonal:
    """From the kernel 2 Re sum of weight exp(log_A_bar (l - shift))."""
    if shift is not None:
        weight = weight * torch.exp(-discrete.log_A_bar * shift)
    return Diagonal(torch.exp(discrete.log_A_bar), weight, d)
