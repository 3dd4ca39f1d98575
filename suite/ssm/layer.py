"""S4D and S4 as torch modules: one scalar state space model for each feature (paper section 3).

The plain algorithm is in `suite.ssm.s4d`; this module computes the same numbers faster.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import cauchy, checks, dense, init, kernels, modes, one_pass, own_parts, recurrence
from suite.ssm.blocked import SHORT
from suite.ssm.free import FreeKernel
from suite.ssm.mimo import SharedState
from suite.ssm.rational import RationalKernel
from suite.ssm.state_space import StateSpaceLayer
from suite.ssm.stored import complex_of, pairs


class S4D(StateSpaceLayer):
    """S4 with a diagonal A (paper section 3, listing 1). Input and output: (batch, length, features).

        layer = S4D(features=64, state_size=64, init="lin")
        y = layer(torch.randn(8, 1024, 64))

    Inputs may have any length, even longer than `length`, except with `kernel="softmax"` or `c_tilde=True`: then longer
    inputs are an error. Arguments, shapes and errors: see `KernelLayer`.
    """

    structure = "diagonal"

    def _to_tilde(self, C: Tensor) -> Tensor:
        with torch.no_grad():
            return -C * torch.expm1(self.discrete().log_A_bar * self.length_at())

    def _weights(self, discrete: modes.Discrete, L: int) -> tuple[Tensor, Tensor | None]:
        """Coefficients (Ch, H, M) and shift of the power sum that is K."""
        config, weight = self.config, self._C() * self._B()
        if ":" in config.kernel:
            raise UserError("a layer with your own kernel has no step mode", "ssm.kernel", "use vandermonde")
        if config.kernel == "softmax":
            weight, shift = kernels.softmax_weights(weight, discrete, L, config.softmax_eps, config.softmax_detach)
            weight = weight * (config.softmax_factor / 2)
        else:
            weight, shift = kernels.vandermonde_weights(weight, discrete, L if self.tilde else None)
        return weight if self.paired else weight / 2, shift

    def _kernel(self, taps: int, L: int, rate: float) -> Tensor:
        """K_l = 2 Re sum over n of C_n B_bar_n A_bar_n^l; with `kernel="softmax"`, DSS's kernel (paper section 3.3)."""
        if self.paired and one_pass.supports(self.config) and one_pass.is_available():
            checks.check_dtype(self.log_dt.dtype)
            return one_pass.kernel(self, taps, rate)
        discrete = self.discrete(rate)
        if ":" in self.config.kernel:
            weight = self._C() * self._B() * discrete.B_gain
            return own_parts.kernel(self.config.kernel, weight, discrete.log_A_bar, taps).to(self.c.dtype)
        weight, shift = self._weights(discrete, L)
        # The sum of a short kernel may cancel at every step; in float64 it costs almost nothing.
        work = torch.complex128 if taps <= SHORT else self.c.dtype.to_complex()
        return kernels.power_sum(weight.to(work), discrete.log_A_bar, taps, shift=shift).to(self.c.dtype)

    def forward(self, u: Tensor, rate: float = 1.0, kernel: Tensor | None = None) -> Tensor:
        """See `KernelLayer.forward`. `kernel`: the result of `self.kernel(length, rate)`, if already computed."""
        self._check_input(u)
        return self._convolved(u, self.kernel(u.shape[1], rate) if kernel is None else kernel, rate)

    def recurrence(self, rate: float = 1.0) -> recurrence.Diagonal:
        """See `KernelLayer.recurrence`."""
        self._check_steps()
        discrete = self.discrete(rate)
        weight, shift = self._weights(discrete, self.length_at(rate) if self.needs_length else 1)
        return recurrence.diagonal(discrete, weight[0], shift, self.d.double())


class S4(StateSpaceLayer):
    """S4: A = diag(Λ) - P P*, bilinear, with the Cauchy kernel: (batch, length, features) to the same.

        layer = S4(features=64, init="legs", length=1024)

    `init` is a HiPPO matrix: `legs`, `legt`, `fout` or `legs+fout` (paper section 2.3, appendix A). The trained
    parameter is C~ = C (1 - A_bar^L), so `length` is needed and longer inputs are an error. With `c_tilde=False`, C
    itself is trained, and inputs may have any length. Arguments, shapes and errors: see `KernelLayer`.
    """

    structure = "dplr"
    defaults: ClassVar = {"structure": "dplr", "kernel": "cauchy"}
    p: Tensor

    def _add_modes(self, initial: init.Initialization, log_dt: np.ndarray, dtype: torch.dtype) -> None:
        super()._add_modes(initial, log_dt, dtype)
        self._add("p", pairs(initial.P), self.config.train_a, dtype)

    def _P(self) -> Tensor:
        """P of every feature, (r, H, M) complex128."""
        if not len(self.p):
            return torch.zeros(0, self.features, self.theta.shape[1], dtype=torch.complex128, device=self.p.device)
        return self._copies(complex_of(self.p))

    def _to_tilde(self, C: Tensor) -> Tensor:
        with torch.no_grad():
            return dense.to_tilde(C, self.discrete(), self._P(), self.length_at())

    def _kernel(self, taps: int, L: int, rate: float) -> Tensor:
        discrete, P, C = self.discrete(rate), self._P(), self._C()
        C = C if self.tilde else dense.to_tilde(C, discrete, P, L)
        K = cauchy.dplr(C, self._B(), P, discrete, L, self.c.dtype)
        return K if taps == L else K[..., :taps]

    def recurrence(self, rate: float = 1.0) -> recurrence.LowRank:
        """See `KernelLayer.recurrence`."""
        self._check_steps()
        discrete, P, C = self.discrete(rate), self._P(), self._C()
        C = dense.from_tilde(C, discrete, P, self.length_at(rate)) if self.tilde else C
        return recurrence.LowRank(discrete.lam, P, self._B(), C[0], 2 / discrete.dt, self.d.double())


Layer = S4D | S4 | FreeKernel | RationalKernel | SharedState
FORMS: dict[str, type[Layer]] = {"diagonal": S4D, "dplr": S4, "mimo": SharedState}


def SSMLayer(config: SSM, features: int, length: int, bidirectional: bool,
             rng: np.random.Generator) -> Layer:
    """The layer of a run's configuration, by its kernel or its structure, with parameters in float32.

    Defaults are filled in by `config.resolved()`, as in a run. Raises UserError: see `KernelLayer`.
    """
    own: dict[str, type[Layer]] = {"free": FreeKernel, "rational": RationalKernel}
    kind = own.get(config.kernel, FORMS[config.structure])
    return kind(features, length=length, bidirectional=bidirectional, rng=rng, dtype=torch.float32, config=config)
