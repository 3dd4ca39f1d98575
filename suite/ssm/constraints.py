"""The constraints of Re(A): from the stored θ to Re(A), and back (paper section 3.3).

`inverse` (StableSSM, 2311.14495): -Re(A) = 1/(θ² + b); the ratio of its gradient to its value grows linearly in θ.
`square` (DLR, 2212.00768): -Re(A) = θ².
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.config.fields import ResolvedSSM
from suite.errors import UserError
from suite.ssm import own_parts

Array = NDArray[np.float64]
NEAR = 1e-6  # minimum of θ² for `inverse`: at θ = 0 the gradient is 0, and -Re(A) has its maximum, 1/b


@dataclass(frozen=True)
class Constraint:
    """`decay` maps θ to -Re(A), `theta` maps -Re(A) to θ. The second argument is b of `inverse`, or the floor of
    `relu`. `grows`: Re(A) may be positive.
    """

    decay: Callable[[Tensor, float], Tensor]
    theta: Callable[[Array, float], Array]
    grows: bool = False


def _softplus(theta: Tensor, _: float) -> Tensor:
    return torch.nn.functional.softplus(theta, threshold=40.0)  # the default of 20 has an error of 1e-10


def _inverse(a: Array, b: float) -> Array:
    square = 1 / a - b
    if np.any(square < NEAR):
        raise UserError(f"-Re(A) is {a.max():.6g} at init, but the constraint inverse allows at most 1/b = {1 / b:.6g}",
                        "ssm.re_constraint", "use another constraint or init, or a smaller ssm.inverse_b")
    return np.asarray(np.sqrt(square))


CONSTRAINTS = {
    "exp": Constraint(lambda theta, _: torch.exp(theta), lambda a, _: np.log(a)),
    "relu": Constraint(lambda theta, floor: torch.relu(theta) + floor, lambda a, _: a),
    "none": Constraint(lambda theta, _: theta, lambda a, _: a, grows=True),
    "softplus": Constraint(_softplus, lambda a, _: a + np.log(-np.expm1(-a))),
    "inverse": Constraint(lambda theta, b: 1 / (theta * theta + b), _inverse),
    "square": Constraint(lambda theta, _: theta * theta, lambda a, _: np.sqrt(a)),
}


def number(config: ResolvedSSM) -> float:
    """The second argument of the constraint. The floor of relu is not used for `dplr`."""
    if config.re_constraint == "inverse":
        return config.inverse_b
    return config.relu_floor if config.structure != "dplr" else 0.0


def grows(rule: str) -> bool:
    """Whether Re(A) may be positive under the constraint `rule`. For a user's own constraint, this is assumed."""
    return ":" in rule or CONSTRAINTS[rule].grows


def unconstrain(a: Array, rule: str, least: float, given: float = 0.0) -> Array:
    """The stored θ of a real part `a` = Re(A), of any shape: clamp -a from below, then invert the constraint `rule`.

    Raises UserError for a real part that is not in the range of `inverse` or a user's own constraint.
    """
    positive = np.maximum(-a, least)
    if ":" in rule:
        return own_parts.unconstrain(rule, -positive)
    with np.errstate(divide="ignore"):  # for a real part of 0, θ may be infinite; the layer then raises an error
        return np.asarray(CONSTRAINTS[rule].theta(positive, given))


def constrain(theta: Tensor, rule: str, given: float = 0.0) -> Tensor:
    """Re(A) of the stored θ, same shape, under the constraint `rule`; `given` is `number(config)`."""
    return own_parts.constrain(rule, theta) if ":" in rule else -CONSTRAINTS[rule].decay(theta, given)
