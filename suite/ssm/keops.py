"""KeOps back ends: the power sum and the direct Cauchy sum, by compiled reductions without an N by L array.

Everything is float64, because float32 is too inaccurate for the phases of a long kernel. The code is compiled once, to
a folder of this machine: the first process locks it, and others wait.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
import warnings
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.autograd.function import once_differentiable

from suite.errors import UserError

WAIT_S = 900.0


def folder() -> Path:
    """The folder for compiled code: KEOPS_CACHE_FOLDER, or one for this machine and version in the user's cache."""
    if given := os.environ.get("KEOPS_CACHE_FOLDER"):
        return Path(given)
    try:
        return Path.home() / ".cache" / "s4d-suite" / f"keops-{_version()}-{platform.node()}"
    except RuntimeError as error:
        raise _unable("there is no home folder, and KEOPS_CACHE_FOLDER is not set") from error


def _version() -> str:
    try:
        return metadata.version("pykeops")
    except metadata.PackageNotFoundError as error:
        raise _unable("pykeops is not installed") from error


def _unable(reason: str) -> UserError:
    return UserError(f"the keops back end cannot run here: {reason}", "kernel back end", "fix this, or use blocked")


@lru_cache(maxsize=1)
def ready() -> Any:
    """The LazyTensor class, with all needed code compiled. Raises UserError with the reason if this is not possible."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        raise _unable("there is no C++ compiler (g++)")
    place = folder()
    os.environ["KEOPS_CACHE_FOLDER"] = str(place)
    done = place / "warm.done"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "warm.lock", timeout=WAIT_S):
            if not done.exists():
                _warm(_load())
                done.touch()
    except Timeout as error:
        raise _unable(f"another process has been compiling it for {WAIT_S:.0f} s, in {place}") from error
    except OSError as error:
        raise _unable(f"{error.strerror or error}: {error.filename or place}") from error
    return _load()


def _load() -> Any:
    # pykeops prints to stdout, and warns about its own code and missing CUDA libraries.
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        try:
            import pykeops
            from pykeops.torch import LazyTensor
        except (ImportError, OSError, RuntimeError) as error:
            raise _unable(f"{type(error).__name__}: {error}") from error
    pykeops.set_verbose(False)
    return LazyTensor


def _warm(lazy: Any) -> None:
    x = torch.full((1, 2), -0.1 + 1j, dtype=torch.complex128)
    place = torch.zeros(1, 2, dtype=torch.float64)
    nodes = torch.tensor([1 + 1j, 2.0], dtype=torch.complex128)
    try:
        _sum(lazy, x, x, place, 3)
        _moments(lazy, torch.ones(1, 3, dtype=torch.float64), x, place)
        _poles(lazy, x, x, nodes, nodes)
        _pole_moments(lazy, x, x, nodes, nodes)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unable(f"{type(error).__name__}: {error}") from error


def _i(lazy: Any, x: Tensor) -> Any:
    """(G, I) as the variable of the rows."""
    return lazy(x.contiguous()[:, :, None, None])


def _j(lazy: Any, x: Tensor) -> Any:
    """(G, J) as the variable of the columns."""
    return lazy(x.contiguous()[:, None, :, None])


def _sum(lazy: Any, c: Tensor, x: Tensor, shift: Tensor, length: int) -> Tensor:
    places = torch.arange(length, dtype=torch.float64, device=c.device).expand(c.shape[0], length)
    at = _i(lazy, places) - _j(lazy, shift)
    turn = at * _j(lazy, x.imag)
    term = (at * _j(lazy, x.real)).exp() * (_j(lazy, c.real) * turn.cos() - _j(lazy, c.imag) * turn.sin())
    return 2 * term.sum(2)[..., 0]


def _moments(lazy: Any, grad: Tensor, x: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    places = torch.arange(grad.shape[1], dtype=torch.float64, device=grad.device).expand_as(grad)
    at = _j(lazy, places) - _i(lazy, shift)
    turn = at * _i(lazy, x.imag)
    size = (at * _i(lazy, x.real)).exp() * _j(lazy, grad)
    real, imag = size * turn.cos(), -(size * turn.sin())
    four = real.concat(imag).concat((real * at).concat(imag * at)).sum(2)
    return torch.complex(four[..., 0], four[..., 1]), torch.complex(four[..., 2], four[..., 3])


class _PowerSum(torch.autograd.Function):
    """c, x (G, N) complex128, shift (G, N) float64 -> (G, length) float64."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, x: Tensor, shift: Tensor, length: int) -> Tensor:
        ctx.save_for_backward(c, x, shift)
        return _sum(ready(), c, x, shift, length)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        c, x, shift = ctx.saved_tensors
        zeroth, first = _moments(ready(), grad, x, shift)
        return 2 * zeroth, 2 * c.conj() * first, None, None


def power_sum(coeff: Tensor, log_base: Tensor, length: int, shift: Tensor | None = None) -> Tensor:
    """See `kernels.power_sum`."""
    batch, modes = torch.broadcast_shapes(coeff.shape[:-1], log_base.shape[:-1]), coeff.shape[-1]
    c, x = (t.to(torch.complex128).expand(*batch, modes).reshape(-1, modes) for t in (coeff, log_base))
    offset = torch.zeros_like(x.real) if shift is None else shift.double().expand(*batch, modes).reshape(-1, modes)
    return _PowerSum.apply(c, x, offset, length).reshape(*batch, length).to(coeff.real.dtype)


def _split(lazy: Any, s: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    """Real and imaginary part of 1 / (alpha - s beta), from pairs of real variables."""
    real = alpha[0] - (s[0] * beta[0] - s[1] * beta[1])
    imag = alpha[1] - (s[0] * beta[1] + s[1] * beta[0])
    size = real * real + imag * imag
    return real / size, -(imag / size)


def _pair(lazy: Any, x: Tensor, side: Any) -> tuple[Any, Any]:
    return side(lazy, x.real), side(lazy, x.imag)


def _poles(lazy: Any, v: Tensor, s: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    alpha, beta = alpha.expand(v.shape[0], -1), beta.expand(v.shape[0], -1)
    real, imag = _split(lazy, _pair(lazy, s, _j), _pair(lazy, alpha, _i), _pair(lazy, beta, _i))
    a, b = _pair(lazy, v, _j)
    two = (a * real - b * imag).concat(a * imag + b * real).sum(2)
    return torch.complex(two[..., 0], two[..., 1])


def _pole_moments(lazy: Any, grad: Tensor, s: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over nodes of grad * conj(1 / (alpha - s beta)), and of grad * conj(beta / (alpha - s beta)²)."""
    alpha, beta = alpha.expand(s.shape[0], -1), beta.expand(s.shape[0], -1)
    real, imag = _split(lazy, _pair(lazy, s, _i), _pair(lazy, alpha, _j), _pair(lazy, beta, _j))
    g, h = _pair(lazy, grad, _j)
    p, q = g * real + h * imag, h * real - g * imag
    u, w = _pair(lazy, beta, _j)
    m, n = u * real - w * imag, u * imag + w * real
    four = p.concat(q).concat((p * m + q * n).concat(q * m - p * n)).sum(2)
    return torch.complex(four[..., 0], four[..., 1]), torch.complex(four[..., 2], four[..., 3])


class Poles(torch.autograd.Function):
    """Sum over n of v_n / (alpha_k - s_n beta_k): v, s (G, N), alpha, beta (F,), all complex128 -> (G, F)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, s: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(v, s, alpha, beta)
        return _poles(ready(), v, s, alpha, beta)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        v, s, alpha, beta = ctx.saved_tensors
        zeroth, first = _pole_moments(ready(), grad, s, alpha, beta)
        return zeroth, v.conj() * first, None, None
