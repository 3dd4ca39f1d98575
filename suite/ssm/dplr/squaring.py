"""The kernel of S4 as a product of two tables of powers of A_bar: no transform, and no cancellation.

Let Q = 2^a P and L = q Q + rest. With l = Q i + j, the kernel K_l = C A_bar^l B_bar is a product of two tables:

    K_{Qi+j} = R_i X_j        R_i = C (A_bar^Q)^i, about L/Q rows        X_j = A_bar^j B_bar, Q columns

* Columns: `steps` makes X_0 … X_{P-1} and A_bar^P. Then [X, A_bar^P X] doubles the columns and A_bar^P A_bar^P the
  power, a times. The backward of a square m m is m^T g + g m^T.
* Rows: the trained parameter is C~ = C (1 - A_bar^L). With m = A_bar^Q and A_bar^L = m^q A_bar^rest, `rows` solves
  C = C~ (1 - A_bar^L)^-1 and multiplies on by m.
* For Re(Λ) <= 0, A_bar is a contraction in the coordinates used here, and rounding does not grow.

Real coordinates: a column z of M modes is (Re z, Im z), N = 2M numbers. A row c is 2 (Re c, -Im c), so that the product
of the two is 2 Re(c z), the sum over all modes and their conjugates. A_bar is then a real (N, N) matrix.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.ssm.blocked import flat, full_precision
from suite.ssm.dplr.rows import Rows
from suite.ssm.dplr.steps import first_steps
from suite.ssm.modes import Discrete


def is_better(length: int, state_size: int, rank: int, dtype: torch.dtype) -> bool:
    """Whether this is better than transforms: faster (measured on one thread; the time of transforms grows with
    length * state_size), or more accurate (float64, as the terms of Woodbury's identity cancel up to four digits).
    """
    return rank > 0 and (length >= max(1024, 1.2 * state_size**2) or dtype == torch.float64)


@lru_cache
def sizes(length: int) -> tuple[int, int, int, int]:
    """(P, a, q, rest) with L = q 2^a P + rest and rest < P: P first steps, a doublings, q rows of 2^a P columns.

    The choice of minimal cost. The unit is a step, about 0.3 ms. The costs of matrix products, rows and columns were
    measured for N = 64, H = 128 on one thread.
    """
    def work(choice: tuple[int, int, int, int]) -> float:
        steps, a, q, rest = choice
        products = 23 * a + 8 * (q.bit_length() + q.bit_count() - 2)
        return steps + products + 10 * (rest > 0) + 0.2 * q + 0.15 * (steps << a)

    found = ((steps, a, *divmod(length, steps << a))
             for a in range(6) for steps in range(1, (2 * math.isqrt(length) >> a) + 1))
    return min((choice for choice in found if choice[2] and choice[3] < choice[0]), key=work)


def dplr(c: Tensor, b: Tensor, p: Tensor, discrete: Discrete, length: int, dtype: torch.dtype) -> Tensor:
    """The same kernel as `cauchy.dplr`, from the same arguments: (Ch, H, length) of `dtype`.

    Powers of A_bar are float64, because squaring doubles an error. The tables and all gradients are of `dtype`.
    """
    steps, doublings, q, rest = sizes(length)
    with full_precision(c.device):
        columns, step, tail = first_steps(b, p, discrete, steps, rest, dtype)
        *powers, step = _Squares.apply(step, doublings, dtype)
        for power in powers:
            columns = torch.cat([columns, columns @ power.transpose(1, 2)], 1)
        left = Rows.apply(2 * flat(c.conj().resolve_conj()).transpose(0, 1), step, tail, q, q + (rest > 0), dtype)
        out = _Inner.apply(left.flatten(1, 2), columns)
    return out.unflatten(1, (-1, len(c))).permute(2, 0, 1, 3).flatten(2)[..., :length]


class _Inner(torch.autograd.Function):
    """left (H, I, N) and right (H, P, N) -> (H, I, P), with gradients that need no transposition."""

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
