"""The power sum, on which all kernels are based, its back ends, and the weights of Vandermonde and softmax.

The back end is not part of a run's identity. `use_backend` or the variable SUITE_KERNEL_BACKEND selects it, and
`effective_backend` returns the one that ran, for the provenance. A back end that cannot run is an error; there is no
fallback.
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
    """Select the back end of this process. None resets it to SUITE_KERNEL_BACKEND or blocked. Raises UserError."""
    global _selected
    _selected = None if name is None else _known(name, "kernel back end")


def selected_backend() -> str:
    """The back end that the next kernel will use. Raises UserError for an unknown name in SUITE_KERNEL_BACKEND."""
    return _selected or _known(os.environ.get("SUITE_KERNEL_BACKEND") or "blocked", "SUITE_KERNEL_BACKEND")


def effective_backend() -> str:
    """The back ends that ran in this process, joined by `+`. Before the first kernel, the selected one."""
    return "+".join(sorted(_ran)) or selected_backend()


def _known(name: str, where: str) -> str:
    if name not in BACKENDS:
        raise UserError(f"unknown kernel back end {name!r}", where, nearest(name, BACKENDS))
    return name


def blocked_is_selected() -> bool:
    """Whether the next kernel uses the back end `blocked`, which is then recorded as run.

    Raises UserError for an unknown name in SUITE_KERNEL_BACKEND.
    """
    if selected_backend() != "blocked":
        return False
    _ran.add("blocked")
    return True


def power_sum(coeff: Tensor, log_base: Tensor, length: int, backend: str | None = None,
              shift: Tensor | None = None) -> Tensor:
    """2 Re sum over n of coeff_n exp(log_base_n (l - shift_n)), for l = 0 … length-1. Differentiable in both.

    Args:
        coeff: (…, N), complex64 or complex128. It determines the dtype of the result.
        log_base: (…, N), complex128, or complex64 for `naive`. Leading dimensions broadcast; powers are shared along
            dimensions that `log_base` lacks.
        length: the number of values, L.
        backend: `blocked`, `naive` or `keops`; None for the selected one.
        shift: (…, N), 0 or length-1, for modes that grow. Default: 0.

    Returns:
        (…, length), real.

    Raises:
        UserError: the length is below 1, or the back end is unknown or cannot run.
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
    """`power_sum` with all N by L exponentials in memory, in the precision of `log_base`, then one sum."""
    positions = torch.arange(length, device=coeff.device, dtype=log_base.real.dtype)
    positions = positions if shift is None else positions - shift.unsqueeze(-1)
    table = torch.exp(log_base.unsqueeze(-1) * positions).to(coeff.dtype)
    return 2 * torch.einsum("...n,...nl->...l", coeff, table).real


def vandermonde_weights(weight: Tensor, discrete: Discrete, L: int | None = None) -> tuple[Tensor, Tensor | None]:
    """Coefficients and shift of the power sum that is K_l = 2 Re sum of C_n B_bar_n A_bar_n^l (paper section 2.2).

    `weight`: C∘B, (Ch, H, M) complex. With `L`, it has C~ = C (1 - A_bar^L), S4's parameter, instead of C. Returns
    weights (Ch, H, M), and a shift (H, M) or None.
    """
    weight = weight * discrete.B_gain
    if L is None:
        return weight, None
    factor, shift = period(discrete, L)
    return weight * factor, shift


def softmax_weights(weight: Tensor, discrete: Discrete, L: int, eps: float = 0.0, detach: bool = False) \
        -> tuple[Tensor, Tensor | None]:
    """Coefficients and shift of DSS's kernel: each mode divided by its sum over L steps (paper section 3.3).

    `weight`: C∘B, (Ch, H, M) complex. The powers of a growing mode are counted from the last step, which changes no
    value. `eps` damps the reciprocal: 1/x as conj(x)/(|x|² + eps). `detach` stops the gradient through the shift to the
    last step, as in DSS. Returns weights (Ch, H, M), and a shift (H, M) or None.
    """
    x, shift = discrete.log_A_bar, None
    falling = x
    if discrete.grows:
        late = x.detach().real > 0
        falling, shift = torch.where(late, -x, x), torch.where(late, L - 1, 0)
    total = torch.expm1(falling * L) * discrete.lam
    inverse = total.conj() / (total * total.conj() + eps) if eps else 1 / total
    factor = torch.expm1(falling) * inverse
    if detach and shift is not None:
        factor = factor * torch.exp((x - x.detach()) * shift)
    return weight * factor, shift
