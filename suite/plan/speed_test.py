"""A speed test of this machine's CPU. It takes a second, and its result is kept for later plans."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from suite import machine
from suite.data import places
from suite.errors import UserError
from suite.files import atomic

SIZES = {"seconds": 0.6, "product": 512, "rows": 128, "steps": 2048, "values": 2**22}
CODE = """
import time
import numpy as np

rng = np.random.default_rng(0)
square = rng.standard_normal(({product}, {product}), dtype=np.float32)
rows = rng.standard_normal(({rows}, {steps}), dtype=np.float32)
values, target = rng.standard_normal({values}, dtype=np.float32), np.zeros({values}, np.float32)
parts = (lambda: square @ square, lambda: np.fft.irfft(np.fft.rfft(rows), n={steps}),
         lambda: np.add(values, target, out=target))
shortest = [1e9] * len(parts)
end, late = time.process_time() + {seconds}, time.monotonic() + 5 * {seconds}
while time.process_time() < end and time.monotonic() < late:
    for number, part in enumerate(parts):
        began = time.process_time()
        part()
        shortest[number] = min(shortest[number], time.process_time() - began)
print(sum(shortest))
"""


def pass_seconds() -> float:
    """Seconds of a matrix product, an FFT and its inverse, and a pass over memory, together, on one thread.

    Measured once on a machine. The shortest pass of each part counts, so that other work does not matter.
    """
    path = cache_file("speed")
    if path is not None:
        with suppress(OSError, atomic.Corrupt, KeyError, TypeError, ValueError):
            return float(atomic.read_sealed(path)["pass_seconds"])
    found = measure()
    keep(path, {"machine": machine.machine(), "pass_seconds": found})
    return found


def cache_file(name: str) -> Path | None:
    """The file in which numbers of this machine are kept. None if there is no cache folder."""
    digest = hashlib.sha256(machine.machine().encode()).hexdigest()[:16]
    try:
        return places.cache() / "speeds" / f"{name}-{digest}.json"
    except UserError:
        return None


def keep(path: Path | None, content: atomic.Content) -> None:
    """Write the content. Errors are ignored, since a plan does not need a writable folder."""
    if path is not None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.replace(path, atomic.seal(content), atomic.nobody())


def measure() -> float:
    """Run the test, for about a second, in a separate process, so that the plan need not import NumPy."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run([sys.executable, "-P", "-c", CODE.format(**SIZES)], env=environment, check=True,
                          capture_output=True, text=True)
    return float(done.stdout)
