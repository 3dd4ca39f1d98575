"""The one primitive of all kernels, the power sum, with its back ends; Vandermonde and softmax kernels on top of it.

The back end is not part of a run's identity. `use_backend` or the variable SUITE_KERNEL_BACKEND selects it, and
`effective_backend` tells what ran, for the provenance. A back end that cannot run here raises; none is ever replaced.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from suite.errors import UserError, nearest
from suite.ssm.blocked import blocked
from suite.ssm.modes import Discrete, period

BACKENDS = ("blocked", "naive", "keops")
_selected: str | None = None
_ran: set[str] = set()


def use_backend(name: str | None) -> None:
    """Select the back end of this process; None returns to SUITE_KERNEL_BACKEND, or blocked. Raises UserError."""
    global _selected
    _selected = None if name is None else _known(name, "kernel back end")


def selected_backend() -> str:
    """The back end that the next kernel will use. Raises UserError for an unknown name in SUITE_KERNEL_BACKEND."""
    return _selected or _known(os.environ.get("SUITE_KERNEL_BACKEND") or "blocked", "SUITE_KERNEL_BACKEND")


def effective_backend() -> str:
    """What ran in this process so far, several joined by `+`; before the first kernel, what is selected."""
    return "+".join(sorted(_ran)) or selected_backend()


def _known(name: str, where: str) -> str:
    if name not in BACKENDS:
        raise UserError(f"unknown kernel back end {name!r}", where, nearest(name, BACKENDS))
    return name


def power_sum(coeff: Tensor, log_base: Tensor, length: int, backend: str | None = None,
              shift: Tensor | None = None) -> Tensor:
    """2 Re sum over n of coeff_n exp(log_base_n (l - shift_n)), for l = 0 … length-1. Differentiable in both.

    `coeff` (…, N) complex64 or complex128, whose dtype sets that of the result, (…, length) real. `log_base` (…, N),
    complex128 as callers form it; a complex64 one is taken as given. Leading dims broadcast; those that `log_base`
    lacks share its powers. `shift` (…, N), 0 or length-1, is for modes that grow.
    Raises UserError for a length below 1.
    """
    if length < 1:
        raise UserError(f"a kernel of length {length}", "length", "give at least 1")
    name = selected_backend() if backend is None else _known(backend, "backend")
    if name == "blocked":
        result = blocked(coeff, log_base, length, shift)
    elif name == "naive":
        result = naive(coeff, log_base, length, shift)
    else:
        from suite.ssm import keops

        result = keops.power_sum(coeff, log_base, length, shift)
    _ran.add(name)
    return result


def naive(coeff: Tensor, log_base: Tensor, length: int, shift: Tensor | None = None) -> Tensor:
    """The materialised form: all N by L exponentials, in the precision of `log_base`, then one sum."""
    places = torch.arange(length, device=coeff.device, dtype=log_base.real.dtype)
    places = places if shift is None else places - shift.unsqueeze(-1)
    table = torch.exp(log_base.unsqueeze(-1) * places).to(coeff.dtype)
    return 2 * torch.einsum("...n,...nl->...l", coeff, table).real


def vandermonde_weights(weight: Tensor, discrete: Discrete, whole: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Coefficients and shift of the power sum that is 2 Re sum of C_n Bbar_n Abar_n^l (paper section 2.2).

    `weight` C∘B (Ch, H, M) complex. With `whole`, C stands for C~ = C (1 - Abar^whole), S4's parameter.
    """
    weight = weight * discrete.B_gain
    if whole is None:
        return weight, None
    factor, shift = period(discrete, whole)
    return weight * factor, shift


def softmax_weights(weight: Tensor, discrete: Discrete, whole: int, eps: float = 0.0, detach: bool = False) \
        -> tuple[Tensor, Tensor | None]:
    """Coefficients and shift of DSS's kernel: each mode divided by its sum over `whole` steps (paper section 3.3).

    `weight` C∘B (Ch, H, M) complex. A mode that grows is taken from the far end, which changes no value. `eps` damps
    the reciprocal, 1/x as conj(x)/(|x|² + eps). `detach` keeps the gradient from the shift to the far end, as in DSS.
    """
    x, shift = discrete.log_A_bar, None
    falling = x
    if discrete.grows:
        late = x.detach().real > 0
        falling, shift = torch.where(late, -x, x), torch.where(late, whole - 1, 0)
    total = torch.expm1(falling * whole) * discrete.lam
    inverse = total.conj() / (total * total.conj() + eps) if eps else 1 / total
    factor = torch.expm1(falling) * inverse
    if detach and shift is not None:
        factor = factor * torch.exp((x - x.detach()) * shift)
    return weight * factor, shift
