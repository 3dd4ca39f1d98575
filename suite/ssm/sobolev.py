"""The trained Sobolev filter on a layer's output (2410.02035), as in the released code.

The spectrum of the output without D, padded by the kernel's length, is multiplied by (1 + f)^s, with f in cycles per
step at rate 1 and one s for each feature. The filter has zero phase: it looks ahead, and wraps around.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def change(u: Tensor, kernel: Tensor, s: Tensor, rate: float = 1.0) -> Tensor:
    """The change of the output by the filter: exactly 0 at s = 0.

    `u` (B, L, H), `kernel` (1 or 2, H, K) as in `suite.ssm.conv`, `s` (H,). Returns (B, L, H).
    """
    length, taps = u.shape[1], kernel.shape[2]
    size = length + taps
    wide = F.pad(kernel[0], (0, length))
    if kernel.shape[0] == 2:
        wide = wide + F.pad(kernel[1].flip(-1), (length, 0))
    frequency = torch.arange(size // 2 + 1, dtype=kernel.dtype, device=kernel.device) / (size * rate)
    more = torch.expm1(s[:, None] * torch.log1p(frequency))
    spectrum = torch.fft.rfft(u.transpose(1, 2).to(kernel.dtype), n=size) * (torch.fft.rfft(wide) * more)
    return torch.fft.irfft(spectrum, n=size)[..., :length].transpose(1, 2)
