"""S6 with the CUDA kernel of the package `mamba-ssm`: `model.name: "mamba_cuda:S6"`.

Not run here against the real package: its kernel needs a GPU, and it is no dependency of the suite. What is tested is
how it is called, against a stand-in with the signature of state-spaces/mamba. Parameters are those of `mamba.S6`. On a
CPU, where the suite tries a layer before it trains, the plain recurrence is computed.
"""

import importlib

import mamba
from torch import Tensor

from suite.errors import UserError


class S6(mamba.S6):
    """As `mamba.S6`. Raises UserError also if `mamba-ssm` is not installed."""

    def __init__(self, features: int, bidirectional: bool = False, state: int = 16, expand: int = 2, width: int = 4,
                 dt_min: float = 0.001, dt_max: float = 0.1) -> None:
        super().__init__(features, bidirectional, state, expand, width, dt_min, dt_max)
        try:
            self.kernel = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
        except ImportError as error:
            raise UserError(f"mamba-ssm cannot be imported: {error}", "model.name",
                            "pip install mamba-ssm, on a machine with a GPU; or write mamba:S6") from error

    def selective(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """As the plain one."""
        return self.scanned(x, dt, A, B, C) if x.is_cuda else super().selective(x, dt, A, B, C)

    def scanned(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """The same by the kernel, which wants time as the last dimension, and float32. dt is positive already."""
        x, dt, B, C = (part.transpose(1, 2).contiguous() for part in (x, dt, B, C))
        y: Tensor = self.kernel(x, dt, A, B, C)
        return y.transpose(1, 2)
