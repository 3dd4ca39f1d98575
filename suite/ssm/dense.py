"""A state space model as real matrices of size N, in float64, for computations without a fast form (section 2).

A vector of modes z, conjugates implied, has the real coordinates (Re z, Im z). In these, A = diag(Λ) - P P* is a real
(N, N) matrix, B a column, and y = 2 Re(C z) a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from suite.ssm.modes import Discrete

# With several threads, torch factorizes a batch in parallel, and MKL's row swaps are wrong for matrices larger than
# about 150, often without an error (pytorch issue 142815). On a CPU, larger matrices are factorized one by one.
SAFE = 100


def matrix(lam: Tensor, p: Tensor) -> Tensor:
    """A of Λ `lam` (H, M) and P `p` (r, H, M), both complex128 -> (H, 2M, 2M)."""
    re, im = torch.diag_embed(lam.real), torch.diag_embed(lam.imag)
    rotation = torch.cat([torch.cat([re, -im], -1), torch.cat([im, re], -1)], -2)
    low = torch.cat([p.real, p.imag], -1)
    return rotation - 2 * torch.einsum("rhi,rhj->hij", low, low)


def step_matrix(discrete: Discrete, p: Tensor) -> Tensor:
    """A_bar by the bilinear rule, (H, 2M, 2M); `p` (r, H, M)."""
    half = matrix(discrete.lam, p) * (discrete.dt[..., None] / 2)
    eye = torch.eye(half.shape[-1], dtype=half.dtype, device=half.device)
    return solve(eye - half, eye + half)


def column(b: Tensor) -> Tensor:
    """Real coordinates of b (…, M) complex -> (…, 2M)."""
    return torch.cat([b.real, b.imag], -1)


def row(c: Tensor) -> Tensor:
    """Real coordinates of c (…, M) complex, such that row(c) @ column(z) = 2 Re(c z)."""
    return 2 * torch.cat([c.real, -c.imag], -1)


def modes_of_row(r: Tensor) -> Tensor:
    """The inverse of `row`: (…, 2M) real -> (…, M) complex."""
    m = r.shape[-1] // 2
    return torch.complex(r[..., :m], -r[..., m:]) / 2


def to_tilde(c: Tensor, discrete: Discrete, p: Tensor, length: int) -> Tensor:
    """C~ = C (1 - A_bar^length) for `c` (Ch, H, M), of the same shape (S4, algorithm 1). Differentiable."""
    power = torch.linalg.matrix_power(step_matrix(discrete, p), length)
    r = row(c)
    return modes_of_row(r - torch.einsum("khi,hij->khj", r, power))


def from_tilde(c: Tensor, discrete: Discrete, p: Tensor, length: int) -> Tensor:
    """C of C~, the inverse of `to_tilde`, of the same shape."""
    power = torch.linalg.matrix_power(step_matrix(discrete, p), length)
    eye = torch.eye(power.shape[-1], dtype=power.dtype, device=power.device)
    solved = solve((eye - power).transpose(1, 2), row(c).permute(1, 2, 0))
    return modes_of_row(solved.permute(2, 0, 1))


def solve(a: Tensor, b: Tensor) -> Tensor:
    """a^-1 b of a (H, N, N) and b (H, N, k). On a GPU a singular matrix gives NaN, not an error."""
    if a.device.type != "cpu":
        result, _ = torch.linalg.solve_ex(a, b)
        return result
    if a.shape[-1] < SAFE:
        return torch.linalg.solve(a, b)
    return torch.stack([torch.linalg.solve(*pair) for pair in zip(a, b, strict=True)])


def lu_factor(a: Tensor) -> tuple[Tensor, Tensor]:
    """LU and pivots of a (H, N, N), for `torch.linalg.lu_solve`, which is not affected by that bug."""
    if a.device.type != "cpu" or a.shape[-1] < SAFE:
        lu, pivots = torch.linalg.lu_factor(a)
        return lu, pivots
    lu, pivots = zip(*map(torch.linalg.lu_factor, a), strict=True)
    return torch.stack(lu), torch.stack(pivots)
