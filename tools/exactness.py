"""Compares every combination that the rules allow with its float64 twin, on all cores: `make exactness`.

It takes 22 minutes on two cores.

Prints the worst case of each kernel and precision, and each case that exceeds a bound. Exits with 1 if one does.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

import ssm_cases
import torch
from ssm_cases import BOUNDS, Case, Error, bounds

from suite.ssm import kernels
from suite.train import device

Found = dict[tuple[str, str], Error]


def start() -> None:
    """Use one thread in each process, and keep freed memory, since large arrays are allocated again and again."""
    device.keep_memory()
    torch.set_num_threads(1)


def measure(case: Case) -> tuple[Case, Found]:
    return case, ssm_cases.compare(case)


def main() -> int:
    """Returns the exit code: 1 if a bound is broken."""
    cases = sorted(ssm_cases.everything(), key=lambda case: -case.length * case.size**2)  # longest first
    began, done, broken = time.monotonic(), 0, 0
    worst: dict[tuple[str, str, str], tuple[float, str]] = {}
    with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0)), start) as pool:
        for case, found in pool.imap_unordered(measure, cases, chunksize=4):
            done += 1
            for (direction, precision), error in found.items():
                for what, value, bound in zip(("kernel", "gradient"), error, bounds(case, precision), strict=False):
                    place = f"{case} {direction}" + (f" {error.where}" if what == "gradient" else "")
                    key = ("-".join(case.form), precision, what)
                    worst[key] = max(worst.get(key, (0.0, "")), (value, place))
                    if not value <= bound:
                        broken += 1
                        print(f"broken: {what} {precision} {value:.1e} > {bound:.0e}  {place}", flush=True)
            if done % 500 == 0:
                print(f"{done} of {len(cases)} cases, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for (form, precision, what), (value, place) in sorted(worst.items()):
        bound = BOUNDS[form.split("-")[0], precision][what == "gradient"]
        print(f"{form:28s} {precision} {what:8s} {value:.1e} <= {bound:.0e}  {place}")
    print(f"{2 * done} cases, {broken} bounds broken, {time.monotonic() - began:.0f} s")
    agree = keops_agrees()
    return 1 if broken or not agree else 0


def keops_agrees() -> bool:
    """Whether the back ends of the power sum agree, in kernel and gradients. The first use compiles for a minute."""
    largest = 0.0
    for length in (1, 16, 1000):
        g = torch.Generator().manual_seed(0)
        c = torch.randn(2, 3, 8, dtype=torch.complex128, generator=g).requires_grad_()
        x = (-torch.rand(3, 8, dtype=torch.complex128, generator=g)).requires_grad_()
        results = []
        for backend in kernels.BACKENDS:
            k = kernels.power_sum(c, x, length, backend)
            results.append((k, *torch.autograd.grad(k.cos().sum(), (c, x))))
        for other in results[1:]:
            for mine, first in zip(other, results[0], strict=True):
                largest = max(largest, float((mine - first).detach().abs().max() / first.detach().abs().max()))
    print(f"{' = '.join(kernels.BACKENDS)}: {largest:.1e} <= 1e-11")
    return largest <= 1e-11


if __name__ == "__main__":
    sys.exit(main())
