"""Benchmarks of the kernels: seconds of a forward and backward pass, and peak memory.

Times are medians. The back ends take turns, so that other load on the machine affects all of them.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import cauchy, direct, kernels
from suite.ssm.blocked import split
from suite.ssm.layer import S4, S4D, SSMLayer

CPU = torch.device("cpu")
KERNELS = ("power_sum", "softmax", "dplr")
LIMIT_BYTES = 12 * 2**30  # a naive kernel that needs more is skipped: the machine would swap


@dataclass(frozen=True)
class Measured:
    """The benchmark of one back end of a kernel at one size: median `seconds` of a forward and backward pass.

    `ratio` is the time divided by that of `blocked`, `peak_bytes` is the peak memory of a pass. If the back end cannot
    run, or would need more than 12 GiB, `seconds` is None and `reason` says why.
    """

    kernel: str
    backend: str
    length: int
    state_size: int
    features: int
    threads: int
    seconds: float | None = None
    ratio: float | None = None
    peak_bytes: int | None = None
    reason: str = ""


def rows(kernel: str, lengths: Iterable[int], features: int = 128, state_size: int = 64,
         backends: Iterable[str] = ("blocked", "naive"), repeats: int = 5, device: torch.device = CPU) \
        -> list[Measured]:
    """A benchmark of each length L and back end, at `features` H and `state_size` N.

    For `power_sum` there is also the back end `matmul`: only the matrix products of the blocked form. For `dplr`,
    `naive` and `keops` are the direct Cauchy sum. Raises UserError for an unknown kernel.
    """
    if kernel not in KERNELS:
        raise UserError(f"unknown kernel {kernel!r}", "kernel", "allowed: " + ", ".join(KERNELS))
    found = []
    for length in lengths:
        jobs, reasons = _jobs(kernel, length, features, state_size, tuple(backends), device)
        seconds = interleaved(jobs, repeats, device)
        for name in (*jobs, *reasons):
            both = name in seconds and "blocked" in seconds
            found.append(Measured(kernel, name, length, state_size, features, torch.get_num_threads(),
                                  seconds.get(name), seconds[name] / seconds["blocked"] if both else None,
                                  peak(jobs[name], device) if name in jobs else None, reasons.get(name, "")))
    return found


def interleaved(jobs: dict[str, Callable[[], Any]], repeats: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each job, after one first pass of each. The jobs take turns.

    In each turn, a job of less than a second first does an untimed pass, which allocates again the memory that a large
    job returned to the system. In training, which repeats one job, this does not happen.
    """
    first = {name: timed(job, device) for name, job in jobs.items()}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            if first[name] < 1:
                job()
            times[name].append(timed(job, device))
    return {name: statistics.median(values) for name, values in times.items()}


def timed(job: Callable[[], Any], device: torch.device) -> float:
    """Seconds from the call until its work is finished, which on a GPU is after the call has returned."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    begin = time.perf_counter()
    job()
    wait()
    return time.perf_counter() - begin


def peak(job: Callable[[], Any], device: torch.device) -> int | None:
    """Peak memory of one pass in bytes, beyond what was allocated before. None if the system does not report it.

    On a CPU it is resident memory. Free memory is returned to the system first, so that its reuse is counted.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        job()
        return torch.cuda.max_memory_allocated() - before
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)
    reset.write_text("5")
    before = _status("VmRSS")
    job()
    return max(0, _status("VmHWM") - before)


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def _jobs(kernel: str, length: int, features: int, state_size: int,
          backends: tuple[str, ...], device: torch.device) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    jobs: dict[str, Callable[[], Any]] = {}
    reasons: dict[str, str] = {}
    for name in backends:
        need = 6 * 8 * features * state_size // 2 * length * (1 if kernel == "power_sum" else 2)
        if name == "naive" and need > LIMIT_BYTES:
            reasons[name] = f"would need about {need / 2**30:.0f} GiB"
            continue
        try:
            job = _job(kernel, name, length, features, state_size, device)
            if name == "keops":
                job()
        except UserError as error:
            reasons[name] = error.problems[0].what
        else:
            jobs[name] = job
    if kernel == "power_sum" and "blocked" in backends:
        jobs["matmul"] = _matmul(length, features, state_size // 2, device)
    return jobs, reasons


def _matmul(length: int, features: int, modes: int, device: torch.device) -> Callable[[], Any]:
    """The three matrix products of the blocked form, on precomputed tables."""
    i, p = split(length, 1)
    sizes = (i, 2 * modes), (p, 2 * modes), (i, p)
    left, right, grad = (torch.randn(features, *size, device=device) for size in sizes)

    def products() -> tuple[Tensor, Tensor, Tensor]:
        forward = torch.bmm(left, right.transpose(1, 2))
        return forward, torch.bmm(grad, right), torch.bmm(left.transpose(1, 2), grad)

    return products


def _job(kernel: str, backend: str, length: int, features: int, state_size: int,
         device: torch.device) -> Callable[[], Any]:
    """One forward and backward pass in float32, with torch's current number of threads."""
    fields: dict[str, Any] = {"state_size": state_size}
    if kernel == "dplr":
        fields |= {"structure": "dplr", "kernel": "cauchy", "c_tilde": False}
    elif kernel == "softmax":
        fields |= {"kernel": "softmax", "discretization": "zoh", "init": "lin"}
    else:
        fields |= {"discretization": "zoh", "init": "lin"}
    layer = SSMLayer(SSM(**fields), features, length, False, np.random.default_rng(0)).to(device)
    grad = torch.randn(1, features, length, generator=torch.Generator().manual_seed(0)).to(device)
    run = _dplr(layer, backend, length) if isinstance(layer, S4) else \
        {"power_sum": _power_sum, "softmax": _softmax}[kernel](cast(S4D, layer), backend, length)

    def both() -> Any:
        k, leaves = run()
        return torch.autograd.grad(k, leaves, grad)

    return both


Run = Callable[[], tuple[Tensor, list[Tensor]]]


def _power_sum(layer: S4 | S4D, backend: str, length: int) -> Run:
    """The naive form has complex64 exponents, as in the original code, which is its fastest form."""
    with torch.no_grad():
        c = torch.view_as_complex(layer.c.clone())
        x = layer.discrete().log_A_bar
        x = x.to(torch.complex64) if backend == "naive" else x.clone()
    leaves = [c.requires_grad_(), x.requires_grad_()]
    return lambda: (kernels.power_sum(c, x, length, backend), leaves)


def _softmax(layer: S4 | S4D, backend: str, length: int) -> Run:
    leaves = [layer.c, layer.b, layer.theta, layer.imag, layer.log_dt]

    def run() -> tuple[Tensor, list[Tensor]]:
        discrete = layer.discrete()
        weight = torch.view_as_complex(layer.c) * layer._copies(torch.view_as_complex(layer.b))
        if backend == "naive":  # the softmax over all steps, materialised
            places = torch.arange(length, device=weight.device)
            rows_ = torch.exp(discrete.log_A_bar.to(torch.complex64).unsqueeze(-1) * places)
            rows_ = rows_ / rows_.sum(-1, keepdim=True)
            return 2 * torch.einsum("khm,hml->khl", weight / discrete.lam.to(torch.complex64), rows_).real, leaves
        coeff, shift = kernels.softmax_weights(weight, discrete, length)
        return kernels.power_sum(coeff.to(torch.complex64), discrete.log_A_bar, length, backend, shift), leaves

    return run


def _dplr(layer: S4, backend: str, length: int) -> Run:
    leaves = [layer.c, layer.b, layer.p, layer.theta, layer.imag, layer.log_dt]

    def run() -> tuple[Tensor, list[Tensor]]:
        parts = layer._C(), layer._B(), layer._P(), layer.discrete(), length
        return (cauchy.dplr(*parts) if backend == "blocked" else direct.cauchy(*parts, backend=backend)), leaves

    return run
