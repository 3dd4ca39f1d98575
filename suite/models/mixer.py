"""A user's own sequence layer in one file, `MyMixer(features)`, in the place of the state space layers.

It is called as `mixer(x, mask)`: `x` is (batch, length, features), `mask` (batch, length, 1) with 0 at padding, else 1;
it returns (batch, length, features), where no valid step depends on padding. It is tried before it trains.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suite.config.fields import SSM
from suite.errors import UserError
from suite.models.backbone import Layer

FIELD = "model.name"
LENGTH, SHORT = 24, 15  # of the two sequences of the trial


class Mixer(nn.Module):
    """The sequence layer of a block around a user's module. Its mask is all ones if there is no padding."""

    masked = True

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, u: Tensor, rate: float = 1.0, valid: Tensor | None = None) -> Tensor:
        """(batch, length, features) to the same. `rate` changes nothing."""
        y: Tensor = self.module(u, torch.ones_like(u[..., :1]) if valid is None else valid)
        return y


def is_mixer(name: str, own: Callable[..., Any]) -> bool:
    """Whether `own` wants the number of features, and not a configuration and data. Raises UserError for neither."""
    parameters = inspect.signature(own).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return False
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(needed) not in (1, 2):
        raise UserError(f"{name} needs {len(needed)} arguments", FIELD,
                        "write a module MyMixer(features), or a factory MyModel(config, data)")
    return len(needed) == 1


def layer_of(name: str, own: Callable[[int], nn.Module]) -> Layer:
    """What makes the sequence layers of a backbone from the user's class, each of them tried first."""
    def layer(config: SSM, features: int, length: int, bidirectional: bool, rng: np.random.Generator) -> nn.Module:
        made = _asked(f"{name}({features})", lambda: own(features))
        _try(name, made, features)
        return Mixer(made)
    return layer


def _try(name: str, made: Any, features: int) -> None:
    """Raises UserError for a module without parameters, of another shape, or that lets padding change valid steps."""
    if not isinstance(made, nn.Module):
        raise UserError(f"{name}({features}) is no torch.nn.Module, but {type(made).__name__}", FIELD)
    if not any(p.requires_grad for p in made.parameters()):
        raise UserError(f"{name} has no parameters to train", FIELD, "make them nn.Parameter")
    x = torch.randn(2, LENGTH, features, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, LENGTH, 1)
    mask[1, SHORT:] = 0
    training = made.training
    made.eval()
    with torch.no_grad():
        padded = _asked(f"{name} on {tuple(x.shape)}", lambda: made(x, mask))
        if not isinstance(padded, Tensor) or padded.shape != x.shape:
            got = tuple(padded.shape) if isinstance(padded, Tensor) else type(padded).__name__
            raise UserError(f"{name} returns {got} for {tuple(x.shape)}", FIELD, "return (batch, length, features)")
        alone = _asked(f"{name} on a shorter sequence", lambda: made(x[1:, :SHORT], mask[1:, :SHORT]))
    made.train(training)
    if alone.shape != (1, SHORT, features) or not torch.allclose(padded[1:, :SHORT], alone, rtol=1e-3, atol=1e-4):
        raise UserError(f"{name} ignores the mask: padding changes what it returns for valid steps", FIELD,
                        "multiply by the mask what goes from one step to another")


def _asked(what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - it is the user's code, which may raise anything
        raise UserError(f"{what} raises {type(error).__name__}: {error}", FIELD, "mend the module") from error
