"""A user's own constraint of Re(A), discretization and kernel: functions named in a grid as `module:function`.

    def my_constraint(theta): ...     # any shape, float64; returns Re(A), the same shape
    def my_rule(A, dt): ...           # A (H, M) complex128, dt (H, 1) float64; returns A_bar and B_bar / B, each (H, M)
    def my_kernel(c, x, length): ...  # c = C B_bar (Ch, H, M), x = log A_bar (H, M); returns K (Ch, H, length), real

All compute with torch and are differentiable. They are tested on a few numbers when a layer is created, and before a
run starts. `suite/ssm/README.md` has a table of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.config import plugin
from suite.config.fields import SSM
from suite.errors import UserError
from suite.own.fault import OwnError

FAR, HALVINGS = 100.0, 100  # bisection for θ in [-FAR, FAR], and its number of steps
CONSTRAINT, RULE, KERNEL = "ssm.re_constraint", "ssm.discretization", "ssm.kernel"


def constrain(name: str, theta: Tensor) -> Tensor:
    """Re(A) of the stored θ, of the same shape. Raises UserError."""
    return _shaped(name, CONSTRAINT, "Re(A)", _called(name, CONSTRAINT, theta), tuple(theta.shape), False)


def unconstrain(name: str, real: NDArray[np.float64]) -> NDArray[np.float64]:
    """θ for Re(A) = `real`, by the function's attribute `inverse` or, without one, by bisection (monotone functions).

    Raises UserError if the function does not map θ to `real`.
    """
    given = getattr(plugin.load(name, CONSTRAINT), "inverse", None)
    if given is not None:
        theta = np.asarray(_guarded(f"the inverse of {name}", CONSTRAINT, lambda: given(real)), dtype=np.float64)
    else:
        theta = _by_halving(name, real)
    with torch.no_grad():
        back = constrain(name, torch.from_numpy(np.ascontiguousarray(theta))).numpy()
    if theta.shape != real.shape or not np.allclose(back, real, rtol=1e-6, atol=1e-9):
        raise UserError(f"{name} does not reach the initial Re(A), from {real.min():.4g} to {real.max():.4g}",
                        CONSTRAINT, f"correct it, or give {name.partition(':')[2]}.inverse, a NumPy function of Re(A)")
    return theta


def _by_halving(name: str, real: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.full(real.shape, -FAR), np.full(real.shape, FAR)
    with torch.no_grad():
        ends = constrain(name, torch.tensor([-1.0, 1.0], dtype=torch.float64))
        rises = bool(ends[1] > ends[0])
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = (constrain(name, torch.from_numpy(middle)).numpy() > real) == rises
            low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def discretize(name: str, lam: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
    """A_bar and B_bar / B, (H, M) complex. Raises UserError."""
    found = _called(name, RULE, lam, dt)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise UserError(f"{name} returns a {type(found).__name__}", RULE, "return A_bar and B_bar / B")
    shape = tuple(lam.shape)
    return _shaped(name, RULE, "A_bar", found[0], shape, True), _shaped(name, RULE, "B_bar / B", found[1], shape, True)


def kernel(name: str, c: Tensor, x: Tensor, length: int) -> Tensor:
    """The first `length` values of K, (Ch, H, length). Raises UserError."""
    return _shaped(name, KERNEL, "K", _called(name, KERNEL, c, x, length), (*c.shape[:2], length), False)


def check(config: SSM) -> None:
    """Test the user's own functions of a configuration on a few numbers. Raises UserError."""
    for name, field, source in ((config.re_constraint, CONSTRAINT, config.re_constraint_source),
                                (config.discretization, RULE, config.discretization_source),
                                (config.kernel, KERNEL, config.kernel_source)):
        if ":" in name:
            plugin.check(name, field, source)
            _try(name, field, plugin.load(name, field))


@cache
def _try(name: str, field: str, function: Callable[..., Any]) -> None:
    """Check that a function has finite values and gradients. Each function is checked once."""
    theta = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
    A = torch.complex(-torch.exp(theta), 3 * theta)
    if field == CONSTRAINT:
        values = [constrain(name, theta)]
    elif field == RULE:
        values = [torch.view_as_real(part) for part in discretize(name, A, torch.exp(theta[:, :1]))]
    else:
        values = [kernel(name, torch.stack([A, A.conj()]), A / 9, length) for length in (1, 5)]
    if not all(bool(torch.isfinite(value).all()) for value in values):
        raise UserError(f"{name} returns values that are not finite", field, "check for a division or a log of 0")
    if not any(value.requires_grad for value in values):
        raise UserError(f"{name} has no gradient", field, "compute with torch, without detach(), .data or numpy")
    loss = torch.stack([value.square().sum() for value in values]).sum()
    (grad,) = torch.autograd.grad(loss, theta)
    if not bool(torch.isfinite(grad).all()):
        raise UserError(f"{name} has a gradient that is not finite", field, "check for a sqrt or a division at 0")
    if field == KERNEL and not torch.allclose(values[0], values[1][..., :1]):
        raise UserError(f"K_0 of {name} depends on length", field, "K_l must depend on l only, not on length")


def _called(name: str, field: str, *args: Any) -> Any:
    return _guarded(name, field, lambda: plugin.load(name, field)(*args))


def _guarded(what: str, field: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise OwnError(f"{what} raises {type(error).__name__}: {error}", field, "see suite/ssm/README.md",
                       error) from error


def _shaped(name: str, field: str, what: str, value: Any, shape: tuple[int, ...], is_complex: bool) -> Tensor:
    if not isinstance(value, Tensor):
        raise UserError(f"{name} returns {what} as a {type(value).__name__}", field, "return a torch tensor")
    if tuple(value.shape) != shape:
        raise UserError(f"{name} returns {what} of shape {tuple(value.shape)}, not {shape}", field)
    if value.is_complex() and not is_complex:
        raise UserError(f"{name} returns {what} in {value.dtype}", field, "return real numbers")
    return value.to(torch.complex128) if is_complex else value
