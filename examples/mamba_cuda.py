"""S6 with the CUDA kernel of the package `mamba-ssm`: `model.name: "mamba_cuda:S6"`.

Not tested: the kernel needs a GPU, and the package is no dependency of the suite. Parameters are those of `mamba.S6`.
On a CPU, where the suite tries a layer before it trains, the plain recurrence is computed.
"""

import importlib

import mamba
from torch import Tensor

from suite.errors import UserError


class S6(mamba.S6):
    """As `mamba.S6`. Raises UserError also if `mamba-ssm` is not installed."""

    def __init__(self, features: int, bidirectional: bool = False, state: int = 16, expand: int = 2,
                 width: int = 4) -> None:
        super().__init__(features, bidirectional, state, expand, width)
        try:
            self.kernel = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
        except ImportError as error:
            raise UserError(f"mamba-ssm cannot be imported: {error}", "model.name",
                            "pip install mamba-ssm, on a machine with a GPU; or write mamba:S6") from error

    def selective(self, x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """As the plain one; the kernel wants time as the last dimension."""
        if not x.is_cuda:
            return super().selective(x, dt, A, B, C)
        x, dt, B, C = (part.transpose(1, 2).contiguous() for part in (x, dt, B, C))
        y: Tensor = self.kernel(x, dt, A, B, C)
        return y.transpose(1, 2)
