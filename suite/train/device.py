"""The device on which a process computes, and its settings for bitwise reproducible results."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

import torch
import torch.utils.deterministic

from suite import machine
from suite.errors import MachineFault
from suite.train.mode import Mode, check_compiler


def settle(threads: int, device: str, mode: Mode) -> torch.device:
    """Make this process compute deterministically with so many threads. Returns the device.

    Raises MachineFault if there is no such device, or no compiler for torch.compile. An operation without a
    deterministic implementation logs a warning. Memory is not filled before use, since nothing here reads
    uninitialized memory.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    keep_memory()
    torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != 1:
        with suppress(RuntimeError):  # too late if the process has computed before; bits do not depend on it
            torch.set_num_interop_threads(1)
    torch.set_deterministic_debug_mode("warn")
    if mode is Mode.COMPILED:
        check_compiler()
        torch.use_deterministic_algorithms(True, warn_only=True)  # also loads the compiler, which takes a second
        torch._inductor.config.fallback_random = True  # the same dropout as without a compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if device != "cpu" and not torch.cuda.is_available():
        slot = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        raise MachineFault(f"torch {torch.__version__} sees no GPU in slot {slot!r}", "--gpus",
                           "install a CUDA build of torch, name an existing GPU, or write --gpus none")
    return torch.device(device)


def keep_memory() -> None:
    """Make glibc keep freed memory, if it is the C library. By default it returns large blocks to the system, which
    has to zero their pages again in each step (a fifth of a step's time at the paper's size)."""
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, -1)  # never


def model(device: str) -> str:
    """The model name of the CPU or GPU."""
    if device == "cpu":
        return f"{machine.cpu()} ({torch.backends.cpu.get_cpu_capability()})"
    return torch.cuda.get_device_name()


def passes(device: str) -> str:
    """The implementation of a step's fused passes on a GPU: Triton with its version, or torch. Bits depend on it. ""
    on a CPU."""
    from suite.ssm import fused

    return "" if device == "cpu" else fused.backend() or "torch"
