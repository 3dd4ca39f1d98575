"""The step mode: a causal layer as a recurrence, one input at a time, equal to its convolution (paper section 2).

States are complex128 (float64 for a rational kernel): float32 rounding errors would accumulate over thousands of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from suite.ssm.modes import Discrete


@dataclass(frozen=True)
class Diagonal:
    """x' = A_bar x + u, y = 2 Re(sum of C B_bar x') + D u, for S4D.

    `A_bar` (H, M) complex128, `weight` (H, M) is C B_bar, `D` (H,).
    """

    A_bar: Tensor
    weight: Tensor
    D: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, zeros of shape (batch, H, M)."""
        return self.A_bar.new_zeros(batch, *self.A_bar.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One input u (batch, H) and the state -> the output y (batch, H) and the next state."""
        state = self.A_bar * state + u[..., None]
        return (2 * (self.weight * state).sum(-1).real + self.D * u).to(u.dtype), state


@dataclass(frozen=True)
class LowRank:
    """The bilinear rule for A = diag(Λ) - P P*, in O(N) per step, for S4.

    (2/dt - A) x' = (2/dt + A) x + 2 B u, solved by Woodbury's identity. `lam` (Λ), `B` and `C` (H, M), `P` (r, H, M),
    all complex128; `two_over_dt` (H, 1), `D` (H,).
    """

    lam: Tensor
    P: Tensor
    B: Tensor
    C: Tensor
    two_over_dt: Tensor
    D: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, zeros of shape (batch, H, M)."""
        return self.lam.new_zeros(batch, *self.lam.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One input u (batch, H) and the state -> the output y (batch, H) and the next state."""
        P, inverse = self.P, 1 / (self.two_over_dt - self.lam)
        v = (self.two_over_dt + self.lam) * state + 2 * self.B * u[..., None]
        v = v - torch.einsum("rhm,bhr->bhm", P, self._project(state).to(v.dtype))
        state = inverse * v
        if len(P):
            inner = 2 * torch.einsum("rhm,hm,shm->hrs", P.conj(), inverse, P).real
            inner = inner + torch.eye(len(P), dtype=inner.dtype, device=inner.device)
            known = torch.linalg.solve(inner, self._project(state)[..., None])[..., 0]
            state = state - inverse * torch.einsum("rhm,bhr->bhm", P, known.to(v.dtype))
        return (2 * (self.C * state).sum(-1).real + self.D * u).to(u.dtype), state

    def _project(self, x: Tensor) -> Tensor:
        """P* x over the modes and their conjugates, (batch, H, r) real."""
        return 2 * torch.einsum("rhm,bhm->bhr", self.P.conj(), x).real


def diagonal(discrete: Discrete, weight: Tensor, shift: Tensor | None, D: Tensor) -> Diagonal:
    """The step mode of the kernel 2 Re sum of weight exp(log_A_bar (l - shift)): `weight`, `shift` (H, M), `D` (H,)."""
    if shift is not None:
        weight = weight * torch.exp(-discrete.log_A_bar * shift)
    return Diagonal(torch.exp(discrete.log_A_bar), weight, D)


@dataclass(frozen=True)
class Shared:
    """x' = A_bar x + B_bar u, y = Re(C x') + D u, for one state of all features.

    `A_bar` (M,), `B_bar` (M, H) and `C` (H, M) complex128, `D` (H,). C has the factor 2 of conjugate pairs.
    """

    A_bar: Tensor
    B_bar: Tensor
    C: Tensor
    D: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, zeros of shape (batch, M)."""
        return self.A_bar.new_zeros(batch, *self.A_bar.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One input u (batch, H) and the state -> the output y (batch, H) and the next state."""
        state = self.A_bar * state + u.to(self.B_bar.dtype) @ self.B_bar.t()
        return ((state @ self.C.t()).real + self.D * u).to(u.dtype), state


@dataclass(frozen=True)
class Companion:
    """w_t = u_t - sum over k of a_k w_{t-k}, y_t = sum over k of C_k w_{t-k} + D u_t, for a rational kernel.

    `a`, `C` (H, N) and `D` (H,), all float64. The state holds w_{t-1} … w_{t-N}.
    """

    a: Tensor
    C: Tensor
    D: Tensor

    def start(self, batch: int) -> Tensor:
        """The state before the first input, zeros of shape (batch, H, N)."""
        return self.a.new_zeros(batch, *self.a.shape)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One input u (batch, H) and the state -> the output y (batch, H) and the next state."""
        w = u - (self.a * state).sum(-1)
        return ((self.C * state).sum(-1) + self.D * u).to(u.dtype), torch.cat([w[..., None], state[..., :-1]], -1)


Steps: TypeAlias = Diagonal | LowRank | Shared | Companion
