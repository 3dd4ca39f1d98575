"""The paper's theory in numbers: theorem 3, proposition 4, conjecture 5, windows, unit scale. NumPy, float64."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Legendre

from suite.config.fields import SSM
from suite.ssm import discretize, hippo
from suite.ssm.size import kernel_size

SIZE_LENGTH = 1024
ANGLES = {"dt_scope": "real", "copies": 64}
AT_INIT: dict[str, dict[str, object]] = {  # as in a grid, without `ssm.`
    "lin": {"init": "lin"}, "inv": {"init": "inv"}, "legs": {"init": "legs"}, "real": {"init": "real"},
    "lin, real_zero": {"init": "lin", "real_zero": True, "re_constraint": "none", "re_clamp": 0.0},
    "dfout": {"init": "dfout"} | ANGLES, "dfout, gain dt": {"init": "dfout", "gain": "dt"} | ANGLES,
    "dfout, gain gamma": {"init": "dfout", "gain": "gamma"} | ANGLES, "dfout_token": {"init": "dfout_token"} | ANGLES,
    "dfout_random": {"init": "dfout_random"} | ANGLES, "dfout_batched": {"init": "dfout_batched"} | ANGLES,
    "ring, gain gamma": {"init": "ring", "gain": "gamma", "dt_min": 1.0, "dt_max": 1.0, "copies": 64},
    "ptd": {"init": "ptd"},
}


def basis_distance(n: int, kept: int = 4, until: float = 2.5) -> tuple[float, float]:
    """Distance of the first `kept` bases of (A^(N), B/2) from those of LegS (A, B), t in [0, until] (theorem 3).

    Returns the root mean square of K_N(t) - K(t), and the maximum difference of the step responses, which are the
    integrals from 0 to t. Only the second converges to 0: at any N, an oscillation of about the same amplitude remains,
    whose frequency grows with N.
    """
    t = np.linspace(0, until, 1251)
    m = hippo.modes("legs", n)
    x = 2 * np.exp(-t) - 1
    weight = m.v[:kept] * m.b  # two conjugate modes, and half of B
    kernel = np.real(weight @ np.exp(np.outer(m.a, t)))
    response = np.real((weight / m.a) @ np.expm1(np.outer(m.a, t)))
    pointwise, summed = [], []
    for k in range(kept):
        root, integral = np.sqrt(2 * k + 1), Legendre.basis(k).integ()
        pointwise.append(kernel[k] - root * Legendre.basis(k)(x) * np.exp(-t))
        summed.append(response[k] - root * (integral(1.0) - integral(x)) / 2)
    return float(np.sqrt(np.mean(np.square(pointwise)))), float(np.abs(summed).max())


def real_part_deviation(n: int) -> float:
    """Largest |Re + 1/2| over the eigenvalues of A^(N), by a solver that does not use symmetry (proposition 4)."""
    return float(np.abs(np.linalg.eigvals(hippo.legs(n).normal).real + 0.5).max())


def largest_frequency_gap(n: int) -> float:
    """N²/pi - max Im, which converges to pi/6 (conjecture 5; its printed sign is wrong)."""
    return float(n**2 / np.pi + hippo.modes("legs", n).a.imag.min())


def after_window(name: str, n: int, kept: int = 4) -> float:
    """RMS of the first `kept` bases of `fout` or `legt` after t = 2, the end of their window, relative to before.

    The intervals are t in [2.2, 2.8] and in [0, 2].
    """
    found = hippo.HIPPOS[name](n)
    rows = discretize.basis(found.a, found.b, 0.002, 1400, "zoh", keep=kept)
    return float(np.sqrt(np.mean(rows[1100:] ** 2) / np.mean(rows[:1000] ** 2)))


def constant_answer(name: str, n: int) -> float:
    """Norm of the final state for a constant input of 1. With E|C|² = 1 it is the standard deviation of the output."""
    found = hippo.HIPPOS[name](n)
    state = np.linalg.lstsq(found.a, found.b, rcond=None)[0]  # FouT's state 1 is never excited, and A is 0 there
    return float(np.linalg.norm(state))


def kernel_sizes() -> dict[str, float]:
    """sqrt(E ||K||²) at initialization with ZOH, N = 64 and `SIZE_LENGTH` steps, by name of the settings."""
    return {name: kernel_size(SSM.model_validate(fields | {"discretization": "zoh"}), SIZE_LENGTH)
            for name, fields in AT_INIT.items()}
