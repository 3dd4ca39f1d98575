"""S4D and S4 as torch modules: one scalar state space model for each feature (paper section 3).

The plain algorithm is in `suite.ssm.s4d`; this module computes the same numbers fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from suite.config.fields import SSM, ResolvedSSM
from suite.errors import Problem, UserError, nearest
from suite.ssm import cauchy, dense, init, kernels, modes, own_parts, recurrence
from suite.ssm.blocked import SHORT
from suite.ssm.conv import convolve

DTYPES = (torch.float32, torch.float64)


class StateSpaceLayer(nn.Module):
    """The base of `S4D` and `S4`: parameters, discretization and convolution. Subclasses add the kernel.

    Args:
        features: H, the number of features. Each has its own state space model.
        length: L, the longest input in steps at rate 1. `S4D` needs it only for `kernel="softmax"` or `c_tilde=True`,
            `S4` unless `c_tilde=False`: these parameterizations depend on L.
        bidirectional: add a second kernel that looks ahead, from the next step on.
        seed: an int or a sequence of ints for NumPy's generator. Default: drawn from torch's, so that
            `torch.manual_seed` decides.
        rng: a NumPy generator, in place of `seed`. Draws are made in the order A and B, dt, C, D.
        device: of the parameters, as in torch.
        dtype: of the parameters, float32 or float64.
        config: all settings as an `SSM`, in place of keywords.
        **fields: the settings, which are the fields of `suite.config.fields.SSM`: `state_size` (N), `init`,
            `discretization`, `re_constraint`, `copies` (S), `dt_min`, `dt_max`, `train_a` and others.

    Shapes: with M = N/2 conjugate pairs of modes, Ch kernels (2 if bidirectional) and rank r, the parameters are
    `log_dt` (H), `theta` and `imag` (S, M) for A, `b` (S, M, 2), `p` (r, S, M, 2, S4 only), `c` (Ch, H, M, 2) and
    `d` (H). Feature h uses copy h mod S. What is not trained is a buffer. For `real_law="spectrum"`, M is N, `imag`
    does not exist, and the last axis of `b` and `c` is 1.

    Raises:
        UserError: a setting is unknown, has a wrong value, or does not go with the others. The message names it.
    """

    structure: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}
    parameter_groups: ClassVar = {"log_dt": "dt", "theta": "ssm", "imag": "ssm", "b": "ssm", "p": "ssm"}
    log_dt: Tensor
    theta: Tensor
    imag: Tensor
    b: Tensor

    def __init__(self, features: int, *, length: int | None = None, bidirectional: bool = False,
                 seed: int | Sequence[int] | None = None, rng: np.random.Generator | None = None,
                 device: torch.device | str | int | None = None, dtype: torch.dtype | None = None,
                 config: SSM | None = None, **fields: Any) -> None:
        super().__init__()
        self.config = self._settings(config, fields)
        self.features, self.length, self.bidirectional = features, length, bidirectional
        self.tilde = self.config.c_tilde
        dtype = torch.get_default_dtype() if dtype is None else dtype
        self._check(dtype)
        rng = _generator(seed, rng)
        initial = init.initialize(self.config, rng)
        self.paired = initial.paired
        self._add_parameters(initial, init.log_dt(self.config, features, rng), dtype)
        self._add_c(rng, dtype)
        self.d = nn.Parameter(torch.from_numpy(rng.standard_normal(features)).to(dtype))
        self.check_finite()
        self.register_load_state_dict_post_hook(_check_loaded)
        if device is not None:
            self.to(device)

    @classmethod
    def _settings(cls, config: SSM | None, fields: dict[str, Any]) -> ResolvedSSM:
        if config is not None and fields:
            raise UserError(f"both config and {', '.join(fields)}", "config", "give the one or the other")
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
                            "S4D is diagonal, and S4 is dplr")
        config = config.resolved()
        init.check(config)
        own_parts.check(config)
        return config

    def _check(self, dtype: torch.dtype) -> None:
        if self.features < 1 or self.features % self.config.copies:
            raise UserError(f"{self.features} features with {self.config.copies} copies", "ssm.copies",
                            "the number of copies has to divide model.features")
        if self.length is not None and self.length < 1:
            raise UserError(f"a sequence of length {self.length}", "length", "give at least 1")
        if self.length is None and self.needs_length:
            what = "C~ = C (1 - A_bar^L)" if self.tilde else "the softmax over L steps"
            raise UserError(f"no length, on which {what} depends", "length",
                            "give the longest input: length=1024" + (", or c_tilde=False" if self.tilde else ""))
        _check_dtype(dtype)

    @property
    def needs_length(self) -> bool:
        """Whether the parameters have a meaning for one L only: those of softmax and of C~."""
        return self.tilde or self.config.kernel == "softmax"

    def _add_parameters(self, initial: init.Initialization, log_dt: np.ndarray, dtype: torch.dtype) -> None:
        config, A, B = self.config, initial.A, initial.B
        self._add("log_dt", log_dt, config.train_dt, dtype)
        self._add("theta", modes.unconstrain(A.real, config.re_constraint, config.re_clamp), config.train_a, dtype)
        if self.paired:
            self._add("imag", A.imag, config.train_a, dtype)
        self._add("b", _pairs(B) if self.paired else B.real[..., None], config.train_b, dtype)

    def _add_c(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        parts = 2 if self.paired else 1
        shape = (2 if self.bidirectional else 1, self.features, self.theta.shape[1], parts)
        c = torch.from_numpy(rng.standard_normal(shape) * np.sqrt(self.config.c_variance / parts))
        if self.tilde:
            c = torch.view_as_real(self._to_tilde(_complex(c)))
            c = c if self.paired else c[..., :1]
        self.c = nn.Parameter(c.to(dtype))

    def _add(self, name: str, value: np.ndarray, trained: bool, dtype: torch.dtype) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(value)).to(dtype)
        if trained:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def _copies(self, x: Tensor) -> Tensor:
        """(…, S, M) -> (…, H, M), interleaved."""
        return x.repeat(*(1,) * (x.ndim - 2), self.features // self.config.copies, 1)

    def _B(self) -> Tensor:
        """B of every feature, (H, M) complex128."""
        return self._copies(_complex(self.b))

    def _C(self) -> Tensor:
        """C, or C~ if that is trained, (Ch, H, M) complex128."""
        return _complex(self.c)

    def _floor(self) -> float:
        """What relu adds to -Re(A)."""
        return 0.0

    def discrete(self, rate: float = 1.0) -> modes.Discrete:
        """The modes of every feature in steps of rate * dt, each (H, M) complex128 (paper section 2.1).

        Raises UserError for a rate that is not positive, and for parameters in another dtype than float32 or float64.
        """
        _check_rate(rate)
        _check_dtype(self.log_dt.dtype)
        real = modes.constrain(self.theta.double(), self.config.re_constraint, self._floor())
        imag = self.imag.double() if self.paired else torch.zeros_like(real)
        lam, rule = self._copies(torch.complex(real, imag)), self.config.discretization
        grows = self.config.re_constraint not in ("exp", "relu", "softplus")
        return modes.discretize(lam, self.log_dt, rule, rate, grows)

    def whole(self, rate: float = 1.0) -> int:
        """L at this rate, length / rate, rounded (paper section 3.3).

        Raises UserError for a rate that is not positive, and for a layer without length.
        """
        _check_rate(rate)
        if self.length is None:
            raise UserError("a layer that was made without length", "length", "give length=, the longest input")
        return max(1, round(self.length / rate))

    def _period(self, steps: int, rate: float) -> int:
        """L of a kernel for `steps` of input. Raises UserError if the parameters mean a shorter L."""
        if not self.needs_length and (self.length is None or steps > self.whole(rate)):
            return steps
        L = self.whole(rate)
        if steps > max(L, math.ceil((self.length or L) / rate)):  # every second of 5 samples are 3
            at = "" if rate == 1 else f" at rate {rate:g}"
            raise UserError(f"an input of {steps} steps{at}, for a layer of length {self.length}", "u",
                            "make the layer with the length of the longest input: its parameters depend on it")
        return max(L, steps)

    def _to_tilde(self, C: Tensor) -> Tensor:
        """C (1 - A_bar^L) for C (Ch, H, M)."""
        raise NotImplementedError

    def kernel(self, length: int, rate: float = 1.0) -> Tensor:
        """The first `length` values of K, of shape (Ch, H, length), without D: K_l = C A_bar^l B_bar.

        Raises UserError if `length` is more than the layer's own and its parameters depend on that.
        """
        raise NotImplementedError

    def recurrence(self, rate: float = 1.0) -> recurrence.Diagonal | recurrence.LowRank:
        """The layer in step mode, x' = A_bar x + B_bar u, equal to `forward` to rounding (paper section 2.3).

        Raises UserError for a bidirectional layer, which has no step mode, and for parameters that are not finite.
        """
        raise NotImplementedError

    def _check_steps(self) -> None:
        if self.bidirectional:
            raise UserError("a bidirectional layer has no step mode: it would need the future", "model.bidirectional",
                            "write false")
        self.check_finite()

    def check_finite(self) -> None:
        """Raises UserError if parameters are not finite, and names them."""
        broken = [name for name, value in self.state_dict().items() if not bool(torch.isfinite(value).all())]
        if broken:
            raise UserError(f"values that are not finite in {', '.join(broken)}", "parameters of the layer",
                            "the training diverged, or the file is damaged: go back to an earlier checkpoint")

    def forward(self, u: Tensor, rate: float = 1.0) -> Tensor:
        """The convolution of u with K, plus D u (paper section 2).

        Args:
            u: (batch, length, features).
            rate: the sampling interval of u in units of the training data's. It multiplies dt.

        Returns:
            (batch, length, features), in the parameters' dtype.

        Raises:
            UserError: u has another shape, or is longer than the layer's length and its parameters depend on that.
        """
        if u.ndim != 3 or u.shape[1] < 1 or u.shape[2] != self.features:
            raise UserError(f"an input of shape {tuple(u.shape)}", "u", f"give (batch, length, {self.features})")
        return convolve(u, self.kernel(u.shape[1], rate), self.d)

    def extra_repr(self) -> str:
        """What `print(layer)` shows."""
        shown = {"features": self.features, "length": self.length, "bidirectional": self.bidirectional}
        given = self.config.model_dump(include={"state_size", "init", "kernel", "discretization"})
        return ", ".join(f"{key}={value!r}" for key, value in (shown | given).items())


class S4D(StateSpaceLayer):
    """S4 with a diagonal A: (batch, length, features) to the same (paper section 3, listing 1).

        layer = S4D(features=64, state_size=64, init="lin")
        y = layer(torch.randn(8, 1024, 64))

    Without `length`, any input can be computed. An input longer than `length` is computed too, except with
    `kernel="softmax"` or `c_tilde=True`: then it is refused. Arguments, shapes and errors: see `StateSpaceLayer`.
    """

    structure = "diagonal"

    def _floor(self) -> float:
        return self.config.relu_floor

    def _to_tilde(self, C: Tensor) -> Tensor:
        with torch.no_grad():
            return -C * torch.expm1(self.discrete().log_A_bar * self.whole())

    def _weights(self, discrete: modes.Discrete, L: int) -> tuple[Tensor, Tensor | None]:
        """Coefficients (Ch, H, M) and shift of the power sum that is K."""
        config, weight = self.config, self._C() * self._B()
        if ":" in config.kernel:
            raise UserError("a layer with a kernel of one's own has no step mode", "ssm.kernel", "write vandermonde")
        if config.kernel == "softmax":
            weight, shift = kernels.softmax_weights(weight, discrete, L, config.softmax_eps, config.softmax_detach)
            weight = weight * (config.softmax_factor / 2)
        else:
            weight, shift = kernels.vandermonde_weights(weight, discrete, L if self.tilde else None)
        return weight if self.paired else weight / 2, shift

    def kernel(self, length: int, rate: float = 1.0) -> Tensor:
        """The first `length` values of K_l = 2 Re sum over n of C_n B_bar_n A_bar_n^l, (Ch, H, length), without D.

        With `kernel="softmax"`, DSS's kernel (paper section 3.3). Raises UserError: see `StateSpaceLayer.kernel`.
        """
        discrete = self.discrete(rate)
        if ":" in self.config.kernel:
            weight = self._C() * self._B() * discrete.B_gain
            return own_parts.kernel(self.config.kernel, weight, discrete.log_A_bar, length).to(self.c.dtype)
        weight, shift = self._weights(discrete, self._period(length, rate))
        # A short kernel is a sum that may cancel at every step; in float64 it costs next to nothing.
        work = torch.complex128 if length <= SHORT else self.c.dtype.to_complex()
        return kernels.power_sum(weight.to(work), discrete.log_A_bar, length, shift=shift).to(self.c.dtype)

    def recurrence(self, rate: float = 1.0) -> recurrence.Diagonal:
        """See `StateSpaceLayer.recurrence`."""
        self._check_steps()
        discrete = self.discrete(rate)
        weight, shift = self._weights(discrete, self.whole(rate) if self.needs_length else 1)
        return recurrence.diagonal(discrete, weight[0], shift, self.d.double())


class S4(StateSpaceLayer):
    """S4: A = diag(Λ) - P P*, bilinear, with the Cauchy kernel: (batch, length, features) to the same.

        layer = S4(features=64, init="legs", length=1024)

    `init` is a HiPPO matrix: `legs`, `legt`, `fout` or `legs+fout` (paper section 2.3, appendix A). The trained
    parameter is C~ = C (1 - A_bar^L), so `length` is needed and a longer input is refused; with `c_tilde=False` C
    itself is trained, and any length is computed. Arguments, shapes and errors: see `StateSpaceLayer`.
    """

    structure = "dplr"
    defaults: ClassVar = {"structure": "dplr", "kernel": "cauchy"}
    p: Tensor

    def _add_parameters(self, initial: init.Initialization, log_dt: np.ndarray, dtype: torch.dtype) -> None:
        super()._add_parameters(initial, log_dt, dtype)
        self._add("p", _pairs(initial.P), self.config.train_a, dtype)

    def _P(self) -> Tensor:
        """P of every feature, (r, H, M) complex128."""
        if not len(self.p):
            return torch.zeros(0, self.features, self.theta.shape[1], dtype=torch.complex128, device=self.p.device)
        return self._copies(_complex(self.p))

    def _to_tilde(self, C: Tensor) -> Tensor:
        with torch.no_grad():
            return dense.to_tilde(C, self.discrete(), self._P(), self.whole())

    def kernel(self, length: int, rate: float = 1.0) -> Tensor:
        """The first `length` values of K_l = C A_bar^l B_bar, (Ch, H, length), without D.

        Raises UserError: see `StateSpaceLayer.kernel`.
        """
        discrete, P, C = self.discrete(rate), self._P(), self._C()
        L = self._period(length, rate)
        C = C if self.tilde else dense.to_tilde(C, discrete, P, L)
        K = cauchy.dplr(C, self._B(), P, discrete, L, self.c.dtype)
        return K if length == L else K[..., :length]

    def recurrence(self, rate: float = 1.0) -> recurrence.LowRank:
        """See `StateSpaceLayer.recurrence`."""
        self._check_steps()
        discrete, P, C = self.discrete(rate), self._P(), self._C()
        C = dense.from_tilde(C, discrete, P, self.whole(rate)) if self.tilde else C
        return recurrence.LowRank(discrete.lam, P, self._B(), C[0], 2 / discrete.dt, self.d.double())


def SSMLayer(config: SSM, features: int, length: int, bidirectional: bool,
             rng: np.random.Generator) -> S4D | S4:
    """The layer of a run's configuration: `S4` if its structure is dplr, else `S4D`; parameters in float32.

    Defaults are filled in by `config.resolved()`, as in a run. Raises UserError: see `StateSpaceLayer`.
    """
    kind = S4 if config.structure == "dplr" else S4D
    return kind(features, length=length, bidirectional=bidirectional, rng=rng, dtype=torch.float32, config=config)


def _generator(seed: int | Sequence[int] | None, rng: np.random.Generator | None) -> np.random.Generator:
    if rng is not None:
        if seed is not None:
            raise UserError("both seed and rng", "seed", "give the one or the other")
        return rng
    return np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")) if seed is None else seed)


def _check_loaded(layer: nn.Module, keys: object) -> None:
    """The hook after loading a state dict; a function of the module, so that layers can be pickled."""
    if isinstance(layer, StateSpaceLayer):
        layer.check_finite()


def _check_rate(rate: float) -> None:
    if not 0 < rate < float("inf"):
        raise UserError(f"a rate of {rate}", "rate", "give 2 for every second sample")


def _check_dtype(dtype: torch.dtype) -> None:
    if dtype not in DTYPES:
        raise UserError(f"parameters in {dtype}, in which the phases of a kernel are lost", "dtype",
                        "use float32 or float64, and torch.autocast around the rest of a model")


def _pairs(z: np.ndarray) -> np.ndarray:
    return np.stack([z.real, z.imag], axis=-1)


def _complex(x: Tensor) -> Tensor:
    """Stored (…, 2) or (…, 1) real values as complex128."""
    x = x.double()
    return torch.view_as_complex(x) if x.shape[-1] == 2 else torch.complex(x[..., 0], torch.zeros_like(x[..., 0]))
