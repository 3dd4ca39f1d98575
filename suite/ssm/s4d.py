"""S4D on one page, in the symbols of the paper (section 3, listing 1). Read this first.

It is slow and simple: no tables, no hand-written backward. `suite.ssm.layer.S4D` computes the same numbers;
`tests/ssm/test_library.py` compares the two. N is the real state size. A, B and C hold N/2 modes, whose complex
conjugates are implied, so that a sum over all N modes is twice the real part of a sum over N/2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def s4d_lin(N: int) -> Tensor:
    """A_n = -1/2 + i pi n (equation 9), (N/2,)."""
    return -0.5 + 1j * math.pi * torch.arange(N // 2, dtype=torch.float64)


def s4d_inv(N: int) -> Tensor:
    """A_n = -1/2 + i (N/pi) (N/(2n+1) - 1) (equation 8), (N/2,)."""
    return -0.5 + 1j * N / math.pi * (N / (2 * torch.arange(N // 2, dtype=torch.float64) + 1) - 1)


def discretize(A: Tensor, B: Tensor, dt: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    """A_bar and B_bar of the rule `bilinear` or `zoh`; all arguments broadcast. Raises KeyError for other rules."""
    if rule == "bilinear":
        return (1 + dt * A / 2) / (1 - dt * A / 2), dt * B / (1 - dt * A / 2)
    if rule == "zoh":
        return torch.exp(dt * A), torch.where(A == 0, dt * B, B * torch.expm1(dt * A) / torch.where(A == 0, 1, A))
    raise KeyError(rule)


def kernel(A: Tensor, B: Tensor, C: Tensor, dt: Tensor, L: int, rule: str = "bilinear") -> Tensor:
    """K_l = C A_bar^l B_bar for l < L: A, B, C (H, N/2) complex, dt (H,) -> (H, L) real."""
    A_bar, B_bar = discretize(A, B, dt[:, None], rule)
    vandermonde = A_bar[..., None] ** torch.arange(L)  # (H, N/2, L)
    return 2 * ((C * B_bar)[:, None] @ vandermonde)[:, 0].real


def s4d(u: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, dt: Tensor, rule: str = "bilinear") -> Tensor:
    """y_t = sum over j of K_j u_{t-j}, plus D u_t: u (batch, L, H), D (H,) -> (batch, L, H)."""
    L = u.shape[1]
    K = kernel(A, B, C, dt, L, rule)
    transformed = torch.fft.rfft(u, n=2 * L, dim=1) * torch.fft.rfft(K.T, n=2 * L, dim=0)
    return torch.fft.irfft(transformed, n=2 * L, dim=1)[:, :L] + D * u
