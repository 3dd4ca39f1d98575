"""A user's own sequence layer, `MyMixer(features)`, instead of the state space layers.

It is called as `mixer(x, mask)`. `x` is (batch, length, features), `mask` is (batch, length, 1), 0 for padding and else
1. It returns (batch, length, features), and valid steps must not depend on padding. If its `forward` has no second
parameter, it is called as `mixer(x)`; a parameter `rate` is also passed. See `suite.config.signature` for the arguments
of its constructor. It is tried before training (`suite.models.trial`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from suite.config import signature
from suite.config.fields import SSM
from suite.errors import UserError
from suite.models import trial
from suite.models.backbone import Layer
from suite.own.fault import OwnError

FIELD = "model.name"


class Mixer(nn.Module):
    """The sequence layer of a block, around a user's module. The mask is all ones if there is no padding."""

    masked = True

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        found = inspect.signature(module.forward).parameters
        placed = [one for one in found.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        second = placed[1].name if len(placed) > 1 else ""
        variadic = any(one.kind is one.VAR_POSITIONAL for one in found.values())
        self.takes_rate = "rate" in found
        self.takes_mask = second not in ("", "rate") or variadic or "mask" in found
        self.mask_by_name = "mask" in found and second != "mask"

    def forward(self, u: Tensor, rate: float = 1.0, valid: Tensor | None = None) -> Tensor:
        """(batch, length, features) to the same. `rate`: sampling interval relative to that of the training data."""
        keywords: dict[str, Any] = {"rate": rate} if self.takes_rate else {}
        if not self.takes_mask:
            y: Tensor = self.module(u, **keywords)
            return y
        mask = torch.ones_like(u[..., :1]) if valid is None else valid
        if self.mask_by_name:
            y = self.module(u, mask=mask, **keywords)
        else:
            y = self.module(u, mask, **keywords)
        return y


def layer_of(name: str, own: Callable[..., nn.Module], args: Mapping[str, Any], padded: bool = False) -> Layer:
    """A function that makes the sequence layers of a backbone from a user's class. A copy of the first one is tried.

    `padded`: the data have sequences of several lengths.
    """
    tried = False

    def layer(config: SSM, features: int, length: int, bidirectional: bool, rng: np.random.Generator) -> nn.Module:
        nonlocal tried
        if not tried:
            try_layer(name, own, args, config, features, bidirectional, padded)
            tried = True
        return _made(name, own, args, config, features, length, bidirectional)
    return layer


def try_layer(name: str, own: Callable[..., nn.Module], args: Mapping[str, Any], config: SSM, features: int,
              bidirectional: bool, padded: bool) -> None:
    """Try a layer on a small batch. Raises UserError if it fails (see `suite.models.trial`)."""
    def make(steps: int) -> Mixer:
        return _made(name, own, args, config, features, steps, bidirectional)

    trial.run(name, make, features, bidirectional, needs_length(own), padded)


def needs_length(own: Callable[..., Any]) -> bool:
    """Whether the layer has a parameter `length`: then it need not work with other lengths."""
    return any(one.name == "length" for one in signature.of(own).parameters)


def _made(name: str, own: Callable[..., nn.Module], args: Mapping[str, Any], config: SSM, features: int, length: int,
          bidirectional: bool) -> Mixer:
    """The module made by the user's class. Raises UserError if it is not a module, or has no parameters."""
    given = {"features": features, "length": length, "bidirectional": bidirectional, "rate": 1.0}
    try:
        made = signature.call(name, own, config, given, args)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise OwnError(f"{name}({features}) raises {type(error).__name__}: {error}", FIELD, "fix the module",
                       error) from error
    if not isinstance(made, nn.Module):
        raise UserError(f"{name}({features}) is a {type(made).__name__}, not a torch.nn.Module", FIELD)
    if not any(p.requires_grad for p in made.parameters()):
        raise UserError(f"{name} has no parameters to train", FIELD, "make them nn.Parameter")
    return Mixer(made)
