"""The trial of a user's sequence layer on a small batch, before training: does it meet the assumptions of training?

The trial does not affect training: it uses a separate layer, and restores torch's generator.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from suite.errors import UserError
from suite.own.fault import OwnError

FIELD = "model.name"
BATCH, LENGTH, SHORT, FROM = 2, 24, 15, 11  # B, L, valid steps of the last sequence, first changed step
Make = Callable[[int], nn.Module]  # makes a layer for sequences of that length, called as layer(u, rate, valid)


def run(name: str, make: Make, features: int, bidirectional: bool, one_length: bool, padded: bool) -> None:
    """Raises UserError with what is wrong and how to fix it.

    `one_length`: the layer need not work with other lengths. `padded`: the data have padding, which is 0 for a layer
    without a mask.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        layer = make(LENGTH)
        x = torch.randn(BATCH, LENGTH, features)
        trial = Trial(name, layer, x)
        trial.check_output_and_gradient()
        layer.eval()
        with torch.no_grad():
            trial.check_state()
            trial.check_batch()
            if getattr(getattr(layer, "module", layer), "causal", False) is True and not bidirectional:
                trial.check_causal()
            if trial.takes_mask or padded:
                trial.check_mask(one_length)


class Trial:
    """A layer, and a batch to try it on."""

    def __init__(self, name: str, layer: nn.Module, x: Tensor) -> None:
        self.name, self.layer, self.x = name, layer, x
        self.takes_mask = bool(getattr(layer, "takes_mask", True))

    def call(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The layer's output. Raises UserError if the user's code fails."""
        try:
            y: Tensor = self.layer(x, 1.0, mask)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            raise OwnError(f"{self.name} on {tuple(x.shape)} raises {type(error).__name__}: {error}", FIELD,
                           "fix the module", error) from error
        if not isinstance(y, Tensor) or y.shape != x.shape:
            got = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise self.wrong(f"returns {got} for {tuple(x.shape)}", "return (batch, length, features)")
        return y

    def wrong(self, what: str, fix: str) -> UserError:
        """The error for the user."""
        return UserError(f"{self.name} {what}", FIELD, fix)

    def check_output_and_gradient(self) -> None:
        """The output is finite, has the right shape and has gradients, and the input is not changed."""
        given = self.x.clone()
        y = self.call(given)
        if not torch.equal(given, self.x):
            raise self.wrong("changes its input", "write x = x + …, and no operation in place such as x += …")
        if not bool(torch.isfinite(y).all()):
            raise self.wrong("returns values that are not finite", "look for a division by zero, a log or a sqrt of 0")
        u = self.x.clone().requires_grad_()
        output = self.call(u)
        if not output.requires_grad:
            raise self.wrong("gives no gradient", "compute with torch, without detach(), .data, numpy or no_grad")
        self._backward(output.square().sum())
        trained = dict(self.layer.named_parameters())
        grads = {key: p.grad for key, p in trained.items() if p.requires_grad}
        if all(grad is None for grad in grads.values()):
            raise self.wrong("gives no gradient to any parameter", "let its output depend on its parameters")
        broken = [key.removeprefix("module.") for key, grad in grads.items()
                  if grad is not None and not bool(torch.isfinite(grad).all())]
        if broken or (u.grad is not None and not bool(torch.isfinite(u.grad).all())):
            raise self.wrong(f"gives a gradient that is not finite, to {', '.join(broken) or 'its input'}",
                             "look for a sqrt, a norm or a division at 0")
        self.layer.zero_grad()

    def _backward(self, loss: Tensor) -> None:
        try:
            loss.backward()
        except RuntimeError as error:
            raise OwnError(f"the gradient of {self.name} raises {type(error).__name__}: {error}", FIELD,
                           "fix the module", error) from error

    def check_state(self) -> None:
        """The same batch gives the same output, in evaluation and in training, whatever was computed in between."""
        for training in (False, True):
            self.layer.train(training)
            before, first = deepcopy(self.layer.state_dict()), self._seeded(self.x)
            self._seeded(1 - 2 * self.x)
            self.layer.load_state_dict(before)
            if not _close(self._seeded(self.x), first):
                raise self.wrong("keeps state from one batch to the next: the same batch gives another output",
                                 "make that state local to forward, or a buffer that only training changes")
        self.layer.load_state_dict(before)
        self.layer.eval()
        first = self._seeded(self.x)
        self._seeded(1 - 2 * self.x)
        if not _close(self._seeded(self.x), first):
            raise self.wrong("keeps state from one batch to the next, in evaluation",
                             "change buffers only if self.training")

    def _seeded(self, x: Tensor) -> Tensor:
        torch.default_generator.manual_seed(1)
        return self.call(x)

    def check_batch(self) -> None:
        """The sequences of a batch do not influence each other."""
        all_rows = self.call(self.x)
        if not _close(self.call(self.x.flip(0)).flip(0), all_rows):
            raise self.wrong("depends on the order in a batch", "treat every sequence of the batch in the same way")
        if not _close(self.call(self.x[:1]), all_rows[:1]):
            raise self.wrong("mixes the sequences of a batch: one alone gives another output",
                             "let no operation run over dimension 0, the batch")

    def check_causal(self) -> None:
        """No step depends on a later one."""
        later = self.x.clone()
        later[:, FROM:] = 3 - later[:, FROM:]
        ahead = (self.call(later) - self.call(self.x))[:, :FROM].abs().amax(dim=(0, 2)) > 1e-4
        if bool(ahead.any()):
            step = int(ahead.nonzero()[0])
            raise self.wrong(f"looks ahead, although causal = True: step {step} depends on step {FROM} or later",
                             "shift the padding of a convolution to the left, mask attention, or drop causal")

    def check_mask(self, one_length: bool) -> None:
        """No valid step depends on padding: neither on its values, nor on its length."""
        mask = torch.ones(BATCH, LENGTH, 1)
        mask[-1, SHORT:] = 0
        x = self.x if self.takes_mask else self.x * mask  # as a block does
        other = torch.where(mask > 0, x, 5.0 - x if self.takes_mask else x)
        padded = self.call(x, mask)
        same = _close(self.call(other, mask)[-1:, :SHORT], padded[-1:, :SHORT])
        if same and not one_length:
            same = _close(self.call(x[-1:, :SHORT], mask[-1:, :SHORT]), padded[-1:, :SHORT])
        if not same:
            fix = "multiply everything that passes from one step to another by the mask"
            raise self.wrong("ignores the mask: padding changes what it returns for valid steps",
                             fix if self.takes_mask else f"take it, forward(self, x, mask), and {fix}")


def _close(one: Any, other: Any) -> bool:
    return torch.allclose(one, other, rtol=1e-3, atol=1e-4)
