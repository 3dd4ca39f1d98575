"""A rational kernel, with the coefficients of its transfer function as parameters (RTF, 2405.06147, sections 3.2-3.4).

K is the inverse transform, on the L-th roots of unity z, of (b̃_1 z^-1 + … + b̃_N z^-N) / (1 + a_1 z^-1 + … + a_N z^-N).
b̃ = b (1 - A^L) is trained, like C~ of S4. So K is defined for one L only, and is truncated for shorter inputs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from suite.errors import UserError
from suite.ssm import recurrence
from suite.ssm.base import KernelLayer


class RationalKernel(KernelLayer):
    """A convolution with rational kernels of order N. Input and output: (batch, length, features).

        layer = RationalKernel(features=64, length=1024, state_size=16)

    The parameters are `a` (S, N), `b` (Ch, H, N) for b̃, both 0 at init, and `d` (H), 1 at init, which is the paper's
    h0. The poles are not constrained to the unit circle: if the denominator is close to 0 at a root of unity, the
    kernel is huge, see `margin`. Only rate 1 is supported. Arguments and errors: see `KernelLayer`.
    """

    defaults: ClassVar[dict[str, Any]] = {"kernel": "rational"}
    parameter_groups: ClassVar = KernelLayer.parameter_groups | {"a": "ssm", "b": "ssm"}
    a: Tensor
    b: Tensor

    @property
    def needs_length(self) -> bool:
        """True: b̃ depends on L."""
        return True

    def _depends(self) -> str:
        return "b (1 - A^L)"

    def _add_parameters(self, rng: np.random.Generator, dtype: torch.dtype) -> None:
        N, channels = self.config.state_size, 2 if self.bidirectional else 1
        if self.length_at() <= N:
            raise UserError(f"a rational kernel of order {N} for sequences of {self.length} steps", "ssm.state_size",
                            f"use at most {2 * ((self.length_at() - 1) // 2)}")
        self._add("a", np.zeros((self.config.copies, N)), self.config.train_a, dtype)
        self._add("b", np.zeros((channels, self.features, N)), True, dtype)

    def _d_at_init(self, rng: np.random.Generator) -> np.ndarray:
        return np.ones(self.features)

    def _denominator(self) -> Tensor:
        """1 + a_1 z^-1 + … on the L-th roots of unity, (S, L/2 + 1) complex."""
        return torch.fft.rfft(F.pad(self.a, (1, 0), value=1.0), n=self.length_at())

    @property
    def margin(self) -> float:
        """The smallest modulus of the denominator. At 0 the kernel is infinite."""
        with torch.no_grad():
            return float(self._denominator().abs().min())

    def _kernel(self, taps: int, L: int, rate: float) -> Tensor:
        self._check_rate(rate)
        denominator = self._denominator().repeat(self.features // self.config.copies, 1)
        return torch.fft.irfft(torch.fft.rfft(F.pad(self.b, (1, 0)), n=L) / denominator, n=L)[..., :taps]

    def _check_rate(self, rate: float) -> None:
        if rate != 1:
            raise UserError(f"a rational kernel at rate {rate:g}", "rate",
                            "its coefficients are for the rate of the training data; use rate 1")

    def recurrence(self, rate: float = 1.0) -> recurrence.Companion:
        """The companion form (equations 13 and 16), in float64. Raises UserError: see `KernelLayer.recurrence`."""
        self._check_steps()
        self._check_rate(rate)
        a, b, L = self.a.double(), self.b[0].double(), self.length_at()
        copies, N = a.shape
        A = torch.cat([-a[:, None], torch.eye(N, dtype=a.dtype, device=a.device).expand(copies, N, N)[:, :-1]], 1)
        power = torch.linalg.matrix_power(A, L - 1)
        repeats = self.features // copies
        system = (torch.eye(N, dtype=a.dtype, device=a.device) - A @ power).transpose(1, 2).repeat(repeats, 1, 1)
        C = torch.linalg.solve(system, b[..., None])[..., 0]
        first = (C * power[:, :, 0].repeat(repeats, 1)).sum(-1)  # K_0, which by periodicity is the value at step L
        return recurrence.Companion(a.repeat(repeats, 1), C, self.d.double() + first)

    def extra_repr(self) -> str:
        """What `print(layer)` shows, with the margin."""
        return f"{super().extra_repr()}, margin={self.margin:.2g}"
