"""Records time and error of each kernel as a function of L, for the figure in docs/kernels.md.

    PYTHONPATH=tests/support .venv/bin/python tools/kernel_speed.py && make pictures

It takes some minutes on one core. Run it on an idle machine: the load is recorded, too, and the page mentions it if the
machine was busy.
"""

from __future__ import annotations

import argparse
import datetime
import os
from typing import cast

import numpy as np
import ssm_twin as twin
import torch
from docs_kernels import PATH, Point, Record

from suite import machine
from suite.config.fields import SSM
from suite.ssm import bench, kernels
from suite.ssm.layer import S4, S4D, SSMLayer
from suite.train import device
from suite.train.mode import Mode

LENGTHS = tuple(4**power for power in range(3, 9))  # 64 to 65,536
FEATURES, STATE_SIZE = 32, 64
TWINS = 4  # features of the layer that is compared with its float64 twin, which keeps all states
FORMS = {"power_sum": {"discretization": "zoh", "init": "lin"},
         "softmax": {"kernel": "softmax", "discretization": "zoh", "init": "lin"},
         "dplr": {"structure": "dplr", "kernel": "cauchy"}}


def error(kernel: str, backend: str, length: int) -> float:
    """The error, as in `Point`, of a layer's kernel in float32, computed in the same way as in the timing."""
    layer = SSMLayer(SSM(state_size=STATE_SIZE, **FORMS[kernel]), TWINS, length, False, np.random.default_rng(0))
    with torch.no_grad():
        if kernel == "power_sum":
            found = _vandermonde(cast(S4D, layer), backend, length)
        elif kernel == "softmax":
            found = bench._softmax(cast(S4D, layer), backend, length)()[0]
        else:
            found = bench._dplr(cast(S4, layer), backend, length)()[0]
        wanted = twin.kernel(layer, twin.inputs(layer), length)
    return float((found.double() - wanted).abs().max() / wanted.abs().max())


def _vandermonde(layer: S4D, backend: str, length: int) -> torch.Tensor:
    discrete = layer.discrete()
    weight, _ = kernels.vandermonde_weights(layer._C() * layer._B(), discrete)
    exponents = discrete.log_A_bar
    exponents = exponents.to(torch.complex64) if backend == "naive" else exponents  # as in the original code
    return kernels.power_sum(weight.to(torch.complex64), exponents, length, backend)


def measure(lengths: tuple[int, ...], backends: tuple[str, ...], repeats: int) -> Record:
    """All kernels and back ends at these lengths, with one thread and the settings of training."""
    device.settle(1, "cpu", Mode.EAGER)
    load = os.getloadavg()[0]
    points = []
    for kernel in bench.KERNELS:
        for row in bench.rows(kernel, lengths, FEATURES, STATE_SIZE, backends, repeats):
            if row.backend == "matmul":
                continue
            ran = row.seconds is not None
            points.append(Point(kernel=kernel, backend=row.backend, length=row.length, reason=row.reason,
                                milliseconds=round(1e3 * row.seconds, 4) if row.seconds is not None else None,
                                error=float(f"{error(kernel, row.backend, row.length):.2g}") if ran else None))
            print(points[-1], flush=True)
    return Record(day=datetime.date.today(), cpu=machine.cpu(), cores=machine.usable_cpus(), load=round(load, 2),
                  torch=torch.__version__, features=FEATURES, state_size=STATE_SIZE, points=points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--backends", nargs="+", choices=kernels.BACKENDS, default=kernels.BACKENDS)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    record = measure(tuple(given.lengths), tuple(given.backends), given.repeats)
    PATH.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(PATH)


if __name__ == "__main__":
    main()
