"""Transformer encoder (Vaswani et al. 2017) as a sequence classifier, made of torch's layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from suite.config.run_config import RunConfig
from suite.models.backbone import Backbone, Layer

HEADS, NARROWEST = 8, 16  # largest number of heads, and smallest of features per head: fewer take as long
WIDER, LONGEST = 4, 10_000.0  # relative width of the hidden layer; largest wavelength of the positions, over 2 pi


class Transformer(Backbone):
    """Sinusoidal positions, then `model.layers` layers of attention, causal unless bidirectional."""

    def make_blocks(self, config: RunConfig, length: int, layer: Layer) -> Iterator[nn.Module]:
        """The positions, then the layers."""
        yield Positions()
        for _ in range(config.model.layers):
            yield Attention(config)


class Positions(nn.Module):
    """Adds sines and cosines of time, measured in samples of the training data."""

    def forward(self, x: Tensor, valid: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """(batch, length, features) to the same."""
        width = x.shape[-1]
        place = torch.arange(x.shape[1], device=x.device, dtype=torch.float32) * rate
        speed = torch.exp(torch.arange(0, width, 2, device=x.device) * (-math.log(LONGEST) / width))
        angle = place[:, None] * speed
        return x + torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width].to(x.dtype)


class Attention(nn.Module):
    """One layer: attention, then a hidden layer four times as wide. `model.prenorm` and `model.dropout` apply."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        width = config.model.features
        heads = max(n for n in range(1, HEADS + 1) if width % n == 0 and (n == 1 or width // n >= NARROWEST))
        self.ahead = config.model.bidirectional
        self.layer = nn.TransformerEncoderLayer(width, heads, WIDER * width, config.model.dropout, "gelu",
                                                batch_first=True, norm_first=config.model.prenorm)

    def forward(self, x: Tensor, valid: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """(batch, length, features) to the same. No step attends to padding."""
        padding = None if valid is None else valid.squeeze(-1) == 0
        later = None
        if not self.ahead:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        with no_fast_path():
            y: Tensor = self.layer(x, src_mask=later, src_key_padding_mask=padding, is_causal=later is not None)
        return y


@contextmanager
def no_fast_path() -> Iterator[None]:
    """A context in which torch's fast path for evaluation is disabled.

    The fast path holds all (length, length) attention weights at once, 16 GB for vital signs.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
