"""One layer of state space models, a scalar one for each feature: parameters, kernel, convolution (paper section 3)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import cauchy, dense, init, kernels, modes, recurrence
from suite.ssm.blocked import SHORT
from suite.ssm.conv import convolve


class SSMLayer(nn.Module):
    """u (B, L, H) -> (B, L, H). Shapes with S copies, M modes, Ch kernels (2 where bidirectional) and rank r:

    `log_dt` (H), `theta` and `imag` (S, M), `b` (S, M, 2), `p` (r, S, M, 2), `c` (Ch, H, M, 2), `d` (H). Feature h uses
    copy h mod S. What the configuration freezes is a buffer. With N real modes (`real_law: spectrum`), M is N, `imag`
    does not exist, and the last axis of `b` and `c` is 1.
    """

    parameter_groups: ClassVar = {"log_dt": "dt", "theta": "ssm", "imag": "ssm", "b": "ssm", "p": "ssm"}
    log_dt: Tensor
    theta: Tensor
    imag: Tensor
    b: Tensor
    p: Tensor

    def __init__(self, config: SSM, features: int, length: int, bidirectional: bool, rng: np.random.Generator) -> None:
        """`length` is the longest sequence at rate 1, in steps. All draws come from `rng`: A and B, dt, C, D.

        Raises UserError, naming the field, for a configuration without meaning.
        """
        super().__init__()
        init.check(config)
        if features < 1 or features % config.copies:
            raise UserError(f"{features} features with {config.copies} copies", "ssm.copies",
                            "the number of copies has to divide model.features")
        if length < 1:
            raise UserError(f"a sequence of length {length}", "length", "give at least 1")
        self.config, self.features, self.length = config, features, length
        self.bidirectional = bidirectional
        self.floor = config.relu_floor if config.structure == "diagonal" else 0.0
        self.tilde = bool(config.c_tilde) if config.c_tilde is not None else config.structure == "dplr"
        begin = init.start(config, rng)
        self.paired = begin.paired
        self._place(begin, init.log_dt(config, features, rng))
        self._place_c(rng)
        self.d = nn.Parameter(torch.from_numpy(rng.standard_normal(features)).float())
        self.check_finite()
        self.register_load_state_dict_post_hook(lambda layer, _: layer.check_finite())

    def _place(self, begin: init.Start, log_dt: np.ndarray) -> None:
        config = self.config
        least = config.re_clamp if config.re_clamp is not None else 1e-3 if config.structure == "dplr" else 1e-4
        self._add("log_dt", log_dt, config.train_dt)
        self._add("theta", modes.unconstrain(begin.a.real, config.re_constraint, least), config.train_a)
        if self.paired:
            self._add("imag", begin.a.imag, config.train_a)
        self._add("b", _pairs(begin.b) if self.paired else begin.b.real[..., None], config.train_b)
        if config.structure == "dplr":
            self._add("p", _pairs(begin.p), config.train_a)

    def _place_c(self, rng: np.random.Generator) -> None:
        parts = 2 if self.paired else 1
        shape = (2 if self.bidirectional else 1, self.features, self.theta.shape[1], parts)
        c = torch.from_numpy(rng.standard_normal(shape) * np.sqrt(self.config.c_variance / parts))
        if self.tilde:
            c = torch.view_as_real(self._to_tilde(_complex(c)))
            c = c if self.paired else c[..., :1]
        self.c = nn.Parameter(c.float())

    def _add(self, name: str, value: np.ndarray, trained: bool) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(value)).float()
        if trained:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def _copies(self, x: Tensor) -> Tensor:
        """(…, S, M) -> (…, H, M), interleaved."""
        return x.repeat(*(1,) * (x.ndim - 2), self.features // self.config.copies, 1)

    def discrete(self, rate: float = 1.0) -> modes.Discrete:
        """The modes of every feature in steps of rate * dt, (H, M)."""
        real = modes.constrain(self.theta.double(), self.config.re_constraint, self.floor)
        imag = self.imag.double() if self.paired else torch.zeros_like(real)
        lam, rule = self._copies(torch.complex(real, imag)), self.config.discretization
        return modes.discretize(lam, self.log_dt, rule, rate, grows=self.config.re_constraint == "none")

    def whole(self, rate: float = 1.0) -> int:
        """The number of steps that the kernel knows at this rate: length / rate (paper section 3.3).

        Raises UserError for a rate that is not above 0.
        """
        if not 0 < rate < float("inf"):
            raise UserError(f"a rate of {rate}", "rate", "give 2 for every second sample")
        return max(1, round(self.length / rate))

    def _low_rank(self) -> Tensor:
        if not len(self.p):
            return torch.zeros(0, self.features, self.theta.shape[1], dtype=torch.complex128, device=self.p.device)
        return self._copies(_complex(self.p))

    def _to_tilde(self, c: Tensor) -> Tensor:
        with torch.no_grad():
            discrete = self.discrete()
            if self.config.structure == "dplr":
                return dense.to_tilde(c, discrete, self._low_rank(), self.length)
            return -c * torch.expm1(discrete.log_a * self.length)

    def _weights(self, discrete: modes.Discrete, whole: int) -> tuple[Tensor, Tensor | None]:
        """Coefficients (Ch, H, M) and shift of the power sum that is the kernel of a diagonal A."""
        config, weight = self.config, _complex(self.c) * self._copies(_complex(self.b))
        if config.kernel == "softmax":
            weight, shift = kernels.softmax(weight, discrete, whole, config.softmax_eps, config.softmax_detach)
            weight = weight * (config.softmax_factor / 2)
        else:
            weight, shift = kernels.vandermonde(weight, discrete, whole if self.tilde else None)
        return weight if self.paired else weight / 2, shift

    def kernel(self, length: int, rate: float = 1.0) -> Tensor:
        """The first `length` values of the kernel, at most `whole(rate)`: (Ch, H, length), without D."""
        whole, discrete = self.whole(rate), self.discrete(rate)
        length = min(length, whole)
        if self.config.structure == "dplr":
            p, c = self._low_rank(), _complex(self.c)
            c = c if self.tilde else dense.to_tilde(c, discrete, p, whole)
            k = cauchy.dplr(c, self._copies(_complex(self.b)), p, discrete, whole, self.c.dtype)
            return k if length == whole else k[..., :length]
        weight, shift = self._weights(discrete, whole)
        # A short kernel is a sum that may cancel at every step; in float64 it costs next to nothing.
        work = torch.complex128 if length <= SHORT else self.c.dtype.to_complex()
        return kernels.power_sum(weight.to(work), discrete.log_a, length, shift=shift).to(self.c.dtype)

    def recurrence(self, rate: float = 1.0) -> recurrence.Diagonal | recurrence.LowRank:
        """The layer in step mode, equal to `forward` for as many steps as the kernel has, `whole(rate)`.

        Raises UserError for a bidirectional layer, which has none, and for parameters that are not finite.
        """
        if self.bidirectional:
            raise UserError("a bidirectional layer has no step mode: it would need the future", "model.bidirectional",
                            "write false")
        self.check_finite()
        discrete, whole, d = self.discrete(rate), self.whole(rate), self.d.double()
        if self.config.structure == "diagonal":
            weight, shift = self._weights(discrete, whole)
            return recurrence.diagonal(discrete, weight[0], shift, d)
        p, c, b = self._low_rank(), _complex(self.c), self._copies(_complex(self.b))
        c = dense.from_tilde(c, discrete, p, whole) if self.tilde else c
        return recurrence.LowRank(discrete.lam, p, b, c[0], 2 / discrete.dt, d)

    def check_finite(self) -> None:
        """Raises UserError, naming them, where parameters are not finite."""
        broken = [name for name, value in self.state_dict().items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise UserError(f"values that are not finite in {', '.join(broken)}", "parameters of the layer",
                            "the training diverged, or the file is damaged: go back to an earlier checkpoint")

    def forward(self, u: Tensor, rate: float = 1.0) -> Tensor:
        """u (B, L, H) -> (B, L, H): the convolution with the kernel, and D u. `rate` multiplies the step sizes."""
        if u.ndim != 3 or u.shape[1] < 1 or u.shape[2] != self.features:
            raise UserError(f"an input of shape {tuple(u.shape)}", "u", f"give (batch, length, {self.features})")
        return convolve(u, self.kernel(u.shape[1], rate), self.d)


def _pairs(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], axis=-1)


def _complex(x: Tensor) -> Tensor:
    """Stored (…, 2) or (…, 1) real values as complex128."""
    x = x.double()
    return torch.view_as_complex(x) if x.shape[-1] == 2 else torch.complex(x[..., 0], torch.zeros_like(x[..., 0]))
