"""The base of all layers: settings, the kernel's length, and the convolution (paper section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from suite.config.fields import SSM, ResolvedSSM
from suite.config.ssm_rules import STATELESS
from suite.errors import Problem, UserError, nearest
from suite.ssm import checks, init, own_parts, recurrence, sobolev
from suite.ssm.conv import convolve


class KernelLayer(nn.Module):
    """The base of all layers: settings, the kernel, and the convolution with it.

    Args:
        features: H, the number of features. Each feature has its own state space model.
        length: L, the maximum length of the input, in steps at rate 1. `S4D` needs it only for `kernel="softmax"` or
            `c_tilde=True`, `S4` unless `c_tilde=False`: these parameterizations depend on L.
        bidirectional: add a second kernel that looks ahead, from the next step on.
        seed: an int or a sequence of ints for NumPy's generator. Default: drawn from torch's generator, so that
            `torch.manual_seed` sets it.
        rng: a NumPy generator, instead of `seed`. Draws are made in the order A and B, dt, C, D.
        device: device of the parameters.
        dtype: dtype of the parameters, float32 or float64.
        config: all settings as an `SSM`, instead of keywords.
        **fields: the settings, which are the fields of `suite.config.fields.SSM`, such as `state_size` (N), `init`,
            `discretization`, `re_constraint`, `copies` (S), `dt_min`, `dt_max` and `train_a`.

    The parameters are those of the subclass, `d` (H), and `s` (H) with `sobolev`. Values that are not trained are
    buffers.

    Raises:
        UserError: a setting is unknown, has a wrong value, or contradicts other settings. The message names it.
    """

    structure: ClassVar[str] = "diagonal"
    defaults: ClassVar[dict[str, Any]] = {}
    parameter_groups: ClassVar[dict[str, str]] = {"s": "ssm"}
    d: Tensor
    s: Tensor

    def __init__(self, features: int, *, length: int | None = None, bidirectional: bool = False,
                 seed: int | Sequence[int] | None = None, rng: np.random.Generator | None = None,
                 device: torch.device | str | int | None = None, dtype: torch.dtype | None = None,
                 config: SSM | None = None, **fields: Any) -> None:
        super().__init__()
        self.config = self._settings(config, fields)
        self.features, self.length, self.bidirectional = features, length, bidirectional
        dtype = torch.get_default_dtype() if dtype is None else dtype
        self._check(dtype)
        rng = checks.generator(seed, rng)
        self._add_parameters(rng, dtype)
        self._add("d", self._d_at_init(rng), True, dtype)
        if self.config.sobolev != "off":
            self._add("s", np.zeros(features), True, dtype)
        self.check_finite()
        self.register_load_state_dict_post_hook(_check_loaded)
        if device is not None:
            self.to(device)

    @classmethod
    def _settings(cls, config: SSM | None, fields: dict[str, Any]) -> ResolvedSSM:
        if config is not None and fields:
            raise UserError(f"both config and {', '.join(fields)} are given", "config", "give only one of them")
        unknown = next((name for name in fields if name not in SSM.model_fields), None)
        if unknown is not None:
            raise UserError(f"unknown setting {unknown!r} of {cls.__name__}", unknown,
                            nearest(unknown, SSM.model_fields))
        try:
            config = SSM(**cls.defaults | fields) if config is None else config
        except ValidationError as error:
            raise UserError(Problem(e["msg"], f"ssm.{e['loc'][0]}") for e in error.errors()) from error
        if config.structure != cls.structure:
            raise UserError(f"structure {config.structure} for {cls.__name__}", "ssm.structure",
                            "S4D is diagonal, S4 is dplr, and SharedState is mimo")
        own = cls.defaults.get("kernel")
        if config.kernel != own and {config.kernel, own} & {*STATELESS}:
            raise UserError(f"kernel {config.kernel} for {cls.__name__}", "ssm.kernel",
                            "FreeKernel and RationalKernel have one kernel each; S4D and S4 have the others")
        config = config.resolved()
        init.check(config)
        own_parts.check(config)
        return config

    def _check(self, dtype: torch.dtype) -> None:
        if self.features < 1 or self.features % self.config.copies:
            raise UserError(f"{self.features} features with {self.config.copies} copies", "ssm.copies",
                            "the number of copies must divide model.features")
        if self.length is not None and self.length < 1:
            raise UserError(f"a sequence of length {self.length}", "length", "give at least 1")
        if self.length is None and (what := self._depends()):
            raise UserError(f"length is needed, since {what} depends on it", "length",
                            "give the maximum input length, e.g. length=1024"
                            + (", or c_tilde=False" if self.config.c_tilde else ""))
        if self.length is not None and (self.config.kernel_length or 0) > self.length:
            raise UserError(f"a kernel of {self.config.kernel_length} steps for sequences of {self.length}",
                            "ssm.kernel_length", f"give at most {self.length}, or leave it out")
        if self.config.sobolev != "off" and not self.bidirectional:
            raise UserError("the filter of ssm.sobolev looks ahead, but the layer is causal", "ssm.sobolev",
                            "use off, or a layer with bidirectional=True")
        checks.check_dtype(dtype)

    def _depends(self) -> str:
        """The part of the layer that depends on L, in words. Empty if no part does."""
        raise NotImplementedError

    @property
    def needs_length(self) -> bool:
        """Whether the parameters depend on L, as those of softmax and C~ do."""
        raise NotImplementedError

    def _add_parameters(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        """Register the parameters of the kernel."""
        raise NotImplementedError

    def _d_at_init(self, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(self.features)

    def _add(self, name: str, value: np.ndarray, trained: bool, dtype: torch.dtype) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(value)).to(dtype)
        if trained:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def length_at(self, rate: float = 1.0) -> int:
        """L at this rate, length / rate, rounded (paper section 3.3).

        Raises UserError for a rate that is not positive, and for a layer without a length.
        """
        checks.check_rate(rate)
        if self.length is None:
            raise UserError("the layer was created without length", "length", "give length=, the maximum input length")
        return max(1, round(self.length / rate))

    def _period(self, steps: int, rate: float) -> int:
        """L of a kernel for `steps` of input. Raises UserError if the parameters are for a shorter L."""
        if not self.needs_length and (self.length is None or steps > self.length_at(rate)):
            return steps
        L = self.length_at(rate)
        if steps > max(L, math.ceil((self.length or L) / rate)):  # every second of 5 samples: 3
            at = "" if rate == 1 else f" at rate {rate:g}"
            raise UserError(f"an input of {steps} steps{at}, for a layer of length {self.length}", "u",
                            "create the layer with the maximum input length: its parameters depend on it")
        return max(L, steps)

    def _taps(self, length: int, rate: float) -> int:
        """The number of values of a kernel for `length` steps of input: fewer if `kernel_length` truncates it."""
        most = self.config.kernel_length
        return length if most is None else min(length, math.ceil(most / rate))

    def kernel(self, length: int, rate: float = 1.0) -> Tensor:
        """The first `length` values of K, of shape (Ch, H, length), without D: K_l = C A_bar^l B_bar.

        With `kernel_length` K, there are at most K values, or K/rate at another rate. Raises UserError if `length`
        exceeds that of the layer and the parameters depend on it.
        """
        checks.check_rate(rate)
        return self._kernel(self._taps(length, rate), self._period(length, rate), rate)

    def _kernel(self, taps: int, L: int, rate: float) -> Tensor:
        """The first `taps` values of the kernel of period L, (Ch, H, taps)."""
        raise NotImplementedError

    def recurrence(self, rate: float = 1.0) -> recurrence.Steps:
        """The layer in step mode, x' = A_bar x + B_bar u, equal to `forward` up to rounding (paper section 2.3).

        Raises UserError for layers without step mode (bidirectional, or with a truncated or free kernel), and for
        parameters that are not finite.
        """
        raise NotImplementedError

    def _check_steps(self) -> None:
        if self.bidirectional:
            raise UserError("a bidirectional layer has no step mode, since it needs future inputs",
                            "model.bidirectional", "use false")
        if self.config.kernel_length is not None:
            raise UserError("a truncated kernel has no step mode: a state cannot drop inputs after a fixed time",
                            "ssm.kernel_length", "leave it out")
        self.check_finite()

    def check_finite(self) -> None:
        """Raises UserError with the names of parameters that are not finite."""
        broken = [name for name, value in self.state_dict().items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise UserError(f"values that are not finite in {', '.join(broken)}", "parameters of the layer",
                            "training diverged, or the file is damaged: use an earlier checkpoint")

    def _check_input(self, u: Tensor) -> None:
        if u.ndim != 3 or u.shape[1] < 1 or u.shape[2] != self.features:
            raise UserError(f"an input of shape {tuple(u.shape)}", "u", f"it must be (batch, length, {self.features})")

    def forward(self, u: Tensor, rate: float = 1.0) -> Tensor:
        """The convolution of u with K, plus D u (paper section 2).

        Args:
            u: (batch, length, features).
            rate: the sampling interval of u relative to that of the training data. It multiplies dt.

        Returns:
            (batch, length, features), in the parameters' dtype.

        Raises:
            UserError: u has a wrong shape, or is longer than the layer's length and the parameters depend on it.
        """
        self._check_input(u)
        return self._convolved(u, self.kernel(u.shape[1], rate), rate)

    def _convolved(self, u: Tensor, kernel: Tensor, rate: float) -> Tensor:
        y = convolve(u, kernel, self.d)
        return y if self.config.sobolev == "off" else y + sobolev.change(u, kernel, self.s, rate)

    def extra_repr(self) -> str:
        """What `print(layer)` shows."""
        shown = {"features": self.features, "length": self.length, "bidirectional": self.bidirectional}
        given = self.config.model_dump(include={"state_size", "init", "kernel", "discretization"})
        return ", ".join(f"{key}={value!r}" for key, value in (shown | given).items())


def _check_loaded(layer: nn.Module, keys: object) -> None:
    """The hook after loading a state dict. It is a function of the module, so that layers can be pickled."""
    if isinstance(layer, KernelLayer):
        layer.check_finite()
