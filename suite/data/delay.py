"""Delay: the value of a noise signal `delay` steps before its end (continuous copying, 2206.12037).

The noise is band-limited, with frequencies up to a quarter of the sampling rate. So it can be extrapolated: the last
`delay` samples alone nearly determine the value (RMSE below 0.02), three quarters of them do not (0.48 of 0.5, for 128
of 512 steps). A control must see fewer than three quarters of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from suite.data import draws
from suite.data.prepared_types import Prepared
from suite.data.source import Source

VIEWS = {"delay": "delay"}
RMS = 0.5  # expected RMS of the signal, which is the RMSE of predicting 0


def prepare(source: Source, view: str) -> Prepared:
    """Signals (n, length, 1), and the value of each at step length - 1 - delay.

    Options: `length`, `delay`, `train_count`, `test_count`, `seed`; for `fresh`, see `suite.data.draws`.
    """
    return draws.sequences_of_values(source.options, drawing(source.options))


def drawing(options: Mapping[str, Any]) -> draws.Draw:
    """The function that draws one example."""
    return partial(_draw, length=options["length"], delay=options["delay"])


def _draw(rng: np.random.Generator, length: int, delay: int) -> tuple[np.ndarray, float]:
    u = noise(rng, length)
    return u, float(u[length - 1 - delay])


def noise(rng: np.random.Generator, length: int) -> np.ndarray:
    """Zero-mean white noise (length,) in the band of the first length/4 frequencies, with expected RMS 0.5."""
    band = length // 4
    spectrum = np.zeros(length // 2 + 1, np.complex128)
    spectrum[1:band + 1] = rng.standard_normal(2 * band).view(np.complex128)
    return np.fft.irfft(spectrum, length) * RMS * length / (2 * np.sqrt(band))
