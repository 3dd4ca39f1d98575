"""PTD, perturb then diagonalize (2310.01698): the modes of the non-normal LegS matrix. NumPy, float64.

The eigenvectors of LegS are too badly conditioned for floating point. Those of A - E, with a small random matrix E, are
not, and the kernels of A - E are close to those of LegS. All M eigenvalues are kept, and 2 Re of each is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import conditioned, hippo

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Perturbed:
    """`matrix` = A - E (M, M), its eigenvalues `a` (M,), eigenvectors `v` (M, M), and `b` = V⁻¹ B (M,)."""

    matrix: Complex
    a: Complex
    v: Complex
    b: Complex


def perturbed(modes: int, eps: float, rng: np.random.Generator) -> Perturbed:
    """LegS of size M = `modes` minus a complex Gaussian E, whose spectral norm is `eps` times that of LegS."""
    draw = rng.standard_normal((modes, modes)) + 1j * rng.standard_normal((modes, modes))
    return diagonalized(draw * (eps * np.linalg.norm(hippo.legs(modes).a, 2) / np.linalg.norm(draw, 2)))


def diagonalized(E: Complex) -> Perturbed:
    """LegS minus E (M, M), and its modes."""
    legs = hippo.legs(len(E))
    a, v = np.linalg.eig(legs.a - E)
    return Perturbed(legs.a - E, a, v, np.linalg.solve(v, legs.b))


def modes(config: SSM, rng: np.random.Generator) -> tuple[Complex, Complex]:
    """A and B, (S, M) each. Every copy has its own E; with `ptd_steps`, all share the optimized one.

    Raises UserError if a mode would grow. With `ptd_steps` it is reflected instead, Re := -|Re|, as in the authors'
    code.
    """
    size = config.state_size // 2
    if config.ptd_steps:
        one = diagonalized(conditioned.perturbation(size, config.ptd_steps))
        return np.tile(-np.abs(one.a.real) + 1j * one.a.imag, (config.copies, 1)), np.tile(one.b, (config.copies, 1))
    found = [perturbed(size, config.ptd_eps, rng) for _ in range(config.copies)]
    A, B = np.stack([one.a for one in found]), np.stack([one.b for one in found])
    growing = int((A.real > 0).sum())
    if growing:
        raise UserError(f"{growing} of {A.size} eigenvalues have a positive real part after the perturbation",
                        "ssm.ptd_eps", "use a smaller value: 0.001 is enough up to state_size 128, 0.0003 at 256")
    return A, B
