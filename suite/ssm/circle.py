"""Initializations on the unit circle: they set the angle of A_bar per step, not a frequency. NumPy, float64.

DFouT and its variants (2508.20441, section 4.2 and appendix C.6) are for `dt_scope: real`, where dt is the damping
ξ and Re(A) = -1/2: A_bar = exp(-ξ/2 + iΩ). M = N/2 angles in [0, π) are stored; their conjugates are implied.
`ring` is the LRU's (2303.06349, lemma 2), for dt = 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from suite.config.fields import SSM

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Draw = Callable[[SSM, np.random.Generator], Complex]
LEAST = 1e-12  # minimum of |A_bar|²: with ring_min = 0, its logarithm could be infinite


def _places(config: SSM) -> tuple[Array, Array]:
    """Copies h (S, 1) and modes n (1, M)."""
    return np.arange(float(config.copies))[:, None], np.arange(config.state_size / 2)[None]


def _damped(omega: Array) -> Complex:
    return np.asarray(-0.5 + 1j * omega)


def dfout(config: SSM, rng: np.random.Generator) -> Complex:
    """Ω = 2πn/N + 2πh/(NS): all copies together form a uniform grid on the half circle."""
    h, n = _places(config)
    return _damped(2 * np.pi * (n + h / config.copies) / config.state_size)


def token(config: SSM, rng: np.random.Generator) -> Complex:
    """Ω = 2π/(n + 1): periods of 1, 2, 3, … steps."""
    h, n = _places(config)
    return _damped(2 * np.pi / (n + 1) + 0 * h)


def random(config: SSM, rng: np.random.Generator) -> Complex:
    """Ω uniform in [0, 2π), for each copy and mode."""
    return _damped(rng.uniform(0, 2 * np.pi, (config.copies, config.state_size // 2)))


def batched(config: SSM, rng: np.random.Generator) -> Complex:
    """Ω = π(hM + n)/(MS): copy h has M adjacent angles of the grid of dfout."""
    h, n = _places(config)
    return _damped(2 * np.pi * (h * n.size + n) / (config.state_size * config.copies))


def ring(config: SSM, rng: np.random.Generator) -> Complex:
    """|A_bar|² uniform between ring_min² and ring_max², angle uniform in (0, ring_phase]: -ν + iθ of `dt: 1`."""
    shape = (config.copies, config.state_size // 2)
    inner, outer = config.ring_min**2, config.ring_max**2
    squared = rng.uniform(0, 1, shape) * (outer - inner) + inner
    nu = -0.5 * np.log(np.maximum(squared, LEAST))
    return np.asarray(-nu + 1j * config.ring_phase * (1 - rng.uniform(0, 1, shape)))


INITS: dict[str, Draw] = {"dfout": dfout, "dfout_token": token, "dfout_random": random, "dfout_batched": batched,
                        "ring": ring}
