"""GPU operations in one pass over memory, in Triton: those between two transforms of a convolution, and layer norm.

A training step of networks of this size is memory-bound: its time depends on how often each array is read and written.
torch needs two to five passes for each of these operations. Triton comes with CUDA builds of torch. If Triton or the C
compiler that it calls is missing, `ready` is False: torch's own operations are used, and the last bits differ.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

try:
    import triton

    from suite.ssm import passes
except ImportError:  # a build of torch for the CPU
    triton = None

LOG = logging.getLogger(__name__)
WIDEST = 4096  # maximum features of a layer norm: one program holds full rows


@lru_cache(maxsize=1)
def ready() -> bool:
    """Whether Triton can compile and run here. Tested once per process, by copying a few numbers."""
    if triton is None or not torch.cuda.is_available():
        return False
    try:
        x = torch.arange(6.0, device="cuda").view(1, 2, 3)
        moved = move(x, x.new_empty(1, 2, 16), 3)
        return bool(torch.equal(moved[..., :3], x) and not moved[..., 3:].any())
    except Exception as error:  # noqa: BLE001  (a compiler may raise anything)
        LOG.warning("Triton cannot be used, so training is slower: %s", " ".join(str(error).split())[:300])
        return False


def supports(x: Tensor) -> bool:
    """Whether `x` is on a GPU on which Triton runs, outside of torch's compiler."""
    return x.is_cuda and not torch.compiler.is_compiling() and ready()


def backend() -> str:
    """The implementation of these passes, for a run's provenance, since bits depend on it. Returns "" for torch."""
    return f"triton {triton.__version__}" if ready() else ""


def move(x: Tensor, out: Tensor, valid: int) -> Tensor:
    """Copy x (B, H, L) into out (B, H, size): `valid` samples, then zeros. Both may have any memory layout."""
    batch, features, size = out.shape
    grid = (triton.cdiv(size, 128), triton.cdiv(features, 32), batch)
    passes.move[grid](x, out, features, valid, size, *x.stride(), *out.stride(), 32, 128)
    return out


def multiply_back(grad: Tensor, filters: Tensor, signal: Tensor | None, on_input: bool) -> Tensor | None:
    """The sum over B of conj(signal) grad, (H, F), for spectra grad and signal (B, H, F) and filters (H, F).

    If `on_input`, grad is replaced by grad conj(filters). Returns None without a signal.
    """
    total = None if signal is None else torch.empty_like(filters)
    count, block = filters.numel(), 256
    parts = [None if x is None else torch.view_as_real(x) for x in (grad, filters, signal, total)]
    parts = [parts[0] if x is None else x for x in parts]
    passes.multiply_back[(triton.cdiv(count, block),)](*parts, len(grad), count, on_input, signal is not None, block)
    return total


def sum_rows(x: Tensor) -> Tensor:
    """Sum of x (R, H) over its rows, (H,), in the dtype of x: contiguous, at most float32."""
    rows, width = x.shape
    high, wide = _tile(min(width, 128))
    programs = min(triton.cdiv(rows, high), 4 * _processors(x.device))
    parts = x.new_empty(programs, width, dtype=torch.float32)
    passes.sum_rows[(programs, triton.cdiv(width, wide))](x, parts, rows, width, high, wide)
    return parts.sum(0).to(x.dtype)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer norm over the last axis of x (…, H) float32: weight and bias (H,), H at most `WIDEST`."""
    y: Tensor = _LayerNorm.apply(x, weight, bias, eps)
    return y


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        y, width = torch.empty_like(x), x.shape[-1]
        rows = x.numel() // width
        mean, rstd = x.new_empty(rows), x.new_empty(rows)
        high, wide = _tile(width)
        passes.norm[(triton.cdiv(rows, high),)](x, y, weight, bias, mean, rstd, rows, width, eps, high, wide)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        grad, dx, width = grad.contiguous(), torch.empty_like(x), x.shape[-1]
        rows = x.numel() // width
        high, wide = _tile(width)
        programs = min(triton.cdiv(rows, high), 4 * _processors(x.device))
        parts = x.new_empty(programs, 2, width)
        passes.norm_back[(programs,)](x, grad, weight, mean, rstd, dx, parts, rows, width, high, wide)
        dweight, dbias = parts.sum(0)
        return dx, dweight, dbias, None


def _tile(width: int) -> tuple[int, int]:
    """Rows and columns that a program of a layer norm holds at a time: 2,048 values or one row."""
    wide = triton.next_power_of_2(width)
    return max(1, 2048 // wide), wide


@lru_cache
def _processors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
