"""The base of `S4D`, `S4` and `SharedState`: the parameters of a state space model, and its discretization."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from suite.errors import UserError
from suite.ssm import checks, constraints, gains, init, modes
from suite.ssm.base import KernelLayer
from suite.ssm.stored import complex_of, pairs

GROWTH = 20.0  # with real_zero, the maximum of Re(A) dt L in the forward pass: e^20 is far from overflow


class StateSpaceLayer(KernelLayer):
    """The base of `S4D`, `S4` and `SharedState`: parameters and discretization. Subclasses add the kernel.

    Arguments and errors: see `KernelLayer`.

    Shapes: with M = N/2 conjugate pairs of modes, Ch kernels (2 if bidirectional) and rank r, the parameters are
    `log_dt` (H), `theta` and `imag` (S, M) for A, `b` (S, M, 2), `p` (r, S, M, 2, S4 only), `c` (Ch, H, M, 2) and
    `d` (H). Feature h uses copy h mod S. Values that are not trained are buffers. For `real_law="spectrum"`, M is N,
    `imag` does not exist, and the last axis of `b` and `c` is 1. With `gain="gamma"`, there is also `log_gamma` (H, M).
    The shapes of `SharedState` differ, see there.
    """

    parameter_groups: ClassVar = KernelLayer.parameter_groups | {
        "log_dt": "dt", "theta": "ssm", "imag": "ssm", "b": "ssm", "p": "ssm", "log_gamma": "ssm"}
    log_dt: Tensor
    theta: Tensor
    imag: Tensor
    b: Tensor
    log_gamma: Tensor

    @property
    def tilde(self) -> bool:
        """Whether C~ is trained instead of C."""
        return self.config.c_tilde

    @property
    def needs_length(self) -> bool:
        """Whether the parameters depend on L, as those of softmax and C~ do."""
        return self.tilde or self.config.kernel == "softmax"

    def _depends(self) -> str:
        if self.tilde:
            return "C~ = C (1 - A_bar^L)"
        if self.config.kernel == "softmax":
            return "the softmax over L steps"
        if self.config.dt_law == "length":
            return "the step size by dt_law: length"
        return "the bound on Re(A) with real_zero" if self.config.real_zero else ""

    def _add_parameters(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        initial = init.initialize(self.config, rng)
        self.paired = initial.paired
        self._add_modes(initial, init.log_dt(self.config, self.features, rng, self.length), dtype)
        self._add_c(rng, dtype)

    def _add_modes(self, initial: init.Initialization, log_dt: np.ndarray, dtype: torch.dtype) -> None:
        config, A, B = self.config, initial.A, initial.B
        symplectic = config.discretization == "symplectic"  # which does not use Re(A)
        theta = constraints.unconstrain(A.real, config.re_constraint, config.re_clamp, constraints.number(config))
        self._add("log_dt", log_dt, config.train_dt, dtype)
        self._add("theta", theta, config.train_a and not symplectic, dtype)
        if self.paired:
            self._add("imag", A.imag, config.train_a, dtype)
        self._add("b", pairs(B) if self.paired else B.real[..., None], config.train_b, dtype)
        if symplectic:
            self._check_symplectic()
        if config.gain == "gamma":
            with torch.no_grad():
                self._add("log_gamma", gains.log_gamma_of(self._by_rule(1.0)).numpy(), config.train_a, dtype)

    def _check_symplectic(self) -> None:
        with torch.no_grad():
            lam = self._lam()
            largest = float((torch.exp(self.log_dt.double())[:, None] * lam.imag.abs()).max())
        if lam.real.any():
            raise UserError("the symplectic rule needs Re(A) = 0", "ssm.discretization",
                            "use an init with Re(A) = 0, re_constraint none and re_clamp 0")
        if largest >= 2:
            raise UserError(f"dt |Im(A)| is {largest:.3g} at init, but the symplectic rule is unstable from 2 on",
                            "ssm.discretization", "lower ssm.imag_scale or ssm.dt_max")

    def _add_c(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        parts = 2 if self.paired else 1
        shape = (2 if self.bidirectional else 1, self.features, self.theta.shape[1], parts)
        c = torch.from_numpy(rng.standard_normal(shape) * np.sqrt(self.config.c_variance / parts))
        if self.tilde:
            c = torch.view_as_real(self._to_tilde(complex_of(c)))
            c = c if self.paired else c[..., :1]
        self.c = nn.Parameter(c.to(dtype))

    def _copies(self, x: Tensor) -> Tensor:
        """(…, S, M) -> (…, H, M), interleaved."""
        return x.repeat(*(1,) * (x.ndim - 2), self.features // self.config.copies, 1)

    def _B(self) -> Tensor:
        """B of every feature, (H, M) complex128."""
        return self._copies(complex_of(self.b))

    def _C(self) -> Tensor:
        """C, or C~ if that is trained, (Ch, H, M) complex128."""
        return complex_of(self.c)

    def _lam(self) -> Tensor:
        """Λ of every feature, (H, M) complex128."""
        real = constraints.constrain(self.theta.double(), self.config.re_constraint, constraints.number(self.config))
        imag = self.imag.double() if self.paired else torch.zeros_like(real)
        return self._copies(torch.complex(real, imag))

    def _by_rule(self, rate: float) -> modes.Discrete:
        """The modes, with the gain of the discretization rule."""
        config, lam = self.config, self._lam()
        if config.real_zero:  # training may make a mode grow
            ceiling = GROWTH / (rate * torch.exp(self.log_dt.double()) * self.length_at(rate))
            lam = torch.complex(torch.minimum(lam.real, ceiling[:, None]), lam.imag)
        return modes.discretize(lam, self.log_dt, config.discretization, rate, constraints.grows(config.re_constraint),
                                config.dt_scope)

    def discrete(self, rate: float = 1.0) -> modes.Discrete:
        """The modes of every feature in steps of rate * dt, each (H, M) complex128 (paper section 2.1).

        Raises UserError for a rate that is not positive, and for parameters that are neither float32 nor float64.
        """
        checks.check_rate(rate)
        checks.check_dtype(self.log_dt.dtype)
        discrete, gain = self._by_rule(rate), self.config.gain
        if gain == "rule":
            return discrete
        stored = self.log_gamma if gain == "gamma" else None
        return replace(discrete, B_gain=gains.GAINS[gain](discrete, rate, stored))

    def _to_tilde(self, C: Tensor) -> Tensor:
        """C (1 - A_bar^L) for C (Ch, H, M)."""
        raise NotImplementedError
