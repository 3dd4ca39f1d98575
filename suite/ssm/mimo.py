"""One state for all features: H inputs, M diagonal modes, dense B and C. S5, LRU and LinOSS are special cases.

S5: 2208.04933, with the details of its code (lindermanlab/S5); LRU: 2303.06349; LinOSS: 2410.03943.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from suite.errors import UserError
from suite.ssm import checks, hippo, init, mimo_scan, recurrence
from suite.ssm.state_space import StateSpaceLayer
from suite.ssm.stored import complex_of

Complex = NDArray[np.complex128]


class SharedState(StateSpaceLayer):
    """A diagonal state space model with H inputs and H outputs. Input and output: (batch, length, features).

        layer = SharedState(features=64, state_size=64, blocks=8, discretization="zoh")

    x_t = A_bar x_{t-1} + B_bar u_t, y_t = 2 Re(C x_t) + D u_t. A bidirectional layer has a second C, for a state that
    runs backwards from the end and includes u_t, as in S5. (The second kernel of `S4D` begins at t + 1.) Inputs may
    have any length and any rate.

    Shapes: with M = N/2 conjugate pairs of modes, the parameters are `log_dt` (M) or, with `dt_per="one"`, (1); `theta`
    and `imag` (1, M), `b` (M, H, 2), `c` (Ch, H, M, 2), `d` (H), and `log_gamma` (M, 1) with `gain="gamma"`.
    `discrete()` has arrays (M, 1). A has `blocks` parts, each an initialization of size N / blocks; random ones are
    drawn for each block. `state_size` is P of S5. The N complex modes of the LRU have no conjugates, which is
    equivalent with C twice as large: its N is `state_size` / 2.

    Args:
        route: how states are computed, `chunk` or `fft`; `auto` uses the first on a CPU, the second on a GPU.

    Other arguments and errors: see `KernelLayer`.
    """

    structure = "mimo"
    defaults: ClassVar[dict[str, Any]] = {"structure": "mimo"}

    def __init__(self, features: int, *, route: str = "auto", **settings: Any) -> None:
        mimo_scan.route_of(route, torch.device("cpu"))
        super().__init__(features, **settings)
        self.route = route

    def _add_parameters(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        config = self.config
        block = init.initialize(config.model_copy(update={
            "structure": "diagonal", "b_init": "ones", "state_size": config.state_size // config.blocks,
            "copies": config.blocks, "blocks": 1, "dt_per": "mode"}), rng)
        if (block.B != 1).any():
            raise UserError(f"{config.init} gives a B, but the B of mimo is dense", "ssm.init",
                            "return only A: B is drawn, with one column for each feature")
        self.paired, A = block.paired, block.A.reshape(1, -1)
        B = self._dense(A.shape[1], rng)
        each = A.shape[1] if config.dt_per == "mode" else 1
        self._add_modes(init.Initialization(A, B, block.P, block.paired),
                        init.log_dt(config, each, rng, self.length), dtype)
        self._add_c(rng, dtype)
        with torch.no_grad():
            self.c.mul_(config.state_size**-0.5)

    def _dense(self, modes: int, rng: np.random.Generator) -> Complex:
        """B (M, H). For LegS, V* times a real Gaussian of variance 1/N (S5's code); else E|B|² = 1/H (the LRU's)."""
        config = self.config
        if config.init == "legs":
            size = config.state_size // config.blocks
            v = hippo.modes("legs", size).v
            drawn = rng.standard_normal((config.blocks, size, self.features)) / np.sqrt(config.state_size)
            return np.asarray((v.conj().T @ drawn).reshape(modes, -1))
        drawn = rng.standard_normal((2 if self.paired else 1, modes, self.features))
        return np.asarray((drawn[0] + 1j * drawn[-1] * self.paired) / np.sqrt(len(drawn) * self.features))

    def _copies(self, x: Tensor) -> Tensor:
        """(1, M) -> (M, 1): modes are arranged like features, so that each may have its own dt."""
        return x.transpose(-1, -2)

    def _B(self) -> Tensor:
        """B, (M, H) complex128."""
        return complex_of(self.b)

    def _kernel(self, taps: int, L: int, rate: float) -> NoReturn:
        raise UserError("a layer with one state for all features has a kernel for each pair of features, not for each "
                        "feature", "ssm.structure", "call the layer on an impulse, or use diagonal")

    def forward(self, u: Tensor, rate: float = 1.0) -> Tensor:
        """See `KernelLayer.forward`."""
        self._check_input(u)
        discrete = self.discrete(rate)
        C = self._C() * (2 if self.paired else 1)
        u = u.to(self.d.dtype)
        y = mimo_scan.shared_state(u, discrete.B_gain * self._B(), C, discrete.log_A_bar[:, 0], self.route)
        return torch.addcmul(y, u, self.d)

    def recurrence(self, rate: float = 1.0) -> recurrence.Shared:
        """See `KernelLayer.recurrence`."""
        self._check_steps()
        checks.check_rate(rate)
        discrete = self.discrete(rate)
        C = self._C()[0] * (2 if self.paired else 1)
        return recurrence.Shared(torch.exp(discrete.log_A_bar[:, 0]), discrete.B_gain * self._B(), C, self.d.double())
