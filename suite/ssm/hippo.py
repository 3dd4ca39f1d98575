"""The HiPPO matrices, and their normal plus low-rank form on conjugate modes (paper section 2.3, appendix A)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Hippo:
    """Real matrices of x' = A x + B u: `a` (N, N), `b` (N,), and `p` (r, N); A + sum over r of p_r p_r^T is normal."""

    a: Array
    b: Array
    p: Array

    @property
    def normal(self) -> Array:
        """A + P P^T, (N, N): a multiple of the identity plus a skew-symmetric matrix."""
        return np.asarray(self.a + self.p.T @ self.p)


@dataclass(frozen=True)
class Modes:
    """The same system on N/2 modes, conjugates implied: `a` (N/2,), `b` (N/2,), `p` (r, N/2) complex, `v` (N, N/2)."""

    a: Complex
    b: Complex
    p: Complex
    v: Complex


def legs(n: int) -> Hippo:
    """Scaled Legendre (LegS), of rank 1: exponentially warped Legendre polynomials."""
    k = np.arange(n, dtype=np.float64)
    root = np.sqrt(2 * k + 1)
    a = -np.tril(np.outer(root, root), -1) - np.diag(k + 1)
    return Hippo(a, root, np.sqrt(k + 0.5)[None])


def legt(n: int) -> Hippo:
    """Translated Legendre (LegT), of rank 2, at half speed: the window is [0, 2], with mean age 1 as for LegS."""
    k = np.arange(n)
    root = np.sqrt(2.0 * k + 1)
    sign = np.where(k[:, None] >= k[None], 1.0, (-1.0) ** np.abs(k[:, None] - k[None]))
    odd = k % 2 == 1
    p = np.stack([np.where(odd, root, 0.0), np.where(odd, 0.0, root)]) / np.sqrt(2)
    return Hippo(-0.5 * np.outer(root, root) * sign, 0.5 * root, p)


def fout(n: int) -> Hippo:
    """Truncated Fourier (FouT), of rank 1, at half speed: the window is [0, 2]. State 1 is always 0."""
    skew = np.zeros((n, n))
    even = np.arange(0, n, 2)
    skew[even + 1, even] = np.pi * even / 2
    skew[even, even + 1] = -np.pi * even / 2
    b = np.zeros(n)
    b[even] = np.sqrt(2)
    b[0] = 1.0
    return Hippo(skew - np.outer(b, b), b, b[None].copy())


HIPPOS: dict[str, Callable[[int], Hippo]] = {"legs": legs, "legt": legt, "fout": fout}
RANK = {"legs": 1, "legt": 2, "fout": 1, "legs+fout": 1}


@lru_cache(maxsize=32)
def modes(name: str, n: int) -> Modes:
    """Diagonalize the normal part of `legs`, `legt` or `fout` of even size `n`; negative frequencies, lowest first.

    The phase of an eigenvector is arbitrary. It is chosen such that B is real and not negative, so that the result is
    the same on every machine. The arrays are shared and read-only.
    """
    hippo = HIPPOS[name](n)
    if name == "fout":  # the double eigenvalue 0 has no unique eigenvectors, so a formula is used
        values, v = -np.pi * np.arange(n // 2)[::-1].astype(np.float64), np.zeros((n, n // 2), dtype=np.complex128)
        columns = np.arange(n // 2)
        v[2 * columns, columns[::-1]], v[2 * columns + 1, columns[::-1]] = np.sqrt(0.5), 1j * np.sqrt(0.5)
    else:
        values, v = np.linalg.eigh(-1j * hippo.normal)
        values, v = values[: n // 2], v[:, : n // 2]
    b = v.conj().T @ hippo.b
    v = v * (b / np.abs(b))
    real = np.mean(np.diag(hippo.normal))
    a = (real + 1j * values).astype(np.complex128)
    found = Modes(a, v.conj().T @ hippo.b, hippo.p @ v.conj(), v)
    for array in (found.a, found.b, found.p, found.v):
        array.flags.writeable = False
    return found
