"""The network around the sequence layers (paper section 5 and appendix D): encoder, residual blocks, decoder.

All sequences are (batch, length, features). They are contiguous except between a convolution and the mixing after it,
where memory is (batch, features, length): the matrix product accepts that order, so nothing is transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from suite.config.fields import SSM, Model
from suite.config.run_config import RunConfig
from suite.data import cards
from suite.ssm import fused, one_pass
from suite.ssm.layer import SSMLayer

if TYPE_CHECKING:
    from suite.data.prepared import TaskData

Layer = Callable[[SSM, int, int, bool, np.random.Generator], nn.Module]


class Backbone(nn.Module):
    """Encoder, `model.layers` residual blocks, final norm if pre-norm, decoder.

    `layer(config.ssm, features, length, bidirectional, rng)` makes a sequence layer. It is called as `layer(u, rate)`
    on (batch, length, features), or as `layer(u, rate, valid)` if its attribute `masked` is true. `rng` depends on the
    seed and the block's number.
    """

    def __init__(self, config: RunConfig, data: TaskData, layer: Layer = SSMLayer) -> None:
        super().__init__()
        model, width = config.model, config.model.features
        self.pairs = cards.task(config.task).inputs == "pairs"
        self.encoder = _encoder(data, width)
        self.blocks = nn.ModuleList(self.make_blocks(config, data.length, layer))
        layers = [block.sequence for block in self.blocks if isinstance(block, Block)]
        self.alike = len(layers) == len(self.blocks) and one_pass.alike(layers)
        self.norm = _norm(model) if model.prenorm else nn.Identity()
        self.pool = MeanPool() if model.decoder == "pool" else LastStep()
        outputs = 1 if data.classes is None else data.classes
        self.head = PairHead(width, outputs) if self.pairs else nn.Linear(width, outputs)

    def make_blocks(self, config: RunConfig, length: int, layer: Layer) -> Iterator[nn.Module]:
        """The blocks in order. Each is called as `block(x, valid, rate)` on (batch, length, features)."""
        model = config.model
        for index in range(model.layers):
            rng = np.random.default_rng([config.seed, index])
            yield Block(model, layer(config.ssm, model.features, length, model.bidirectional, rng))

    @property
    def parameters_count(self) -> int:
        """Number of trainable real scalars (paper, tables 6 and 11)."""
        return count_parameters(self)

    def forward(self, x: Tensor, lengths: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """Logits (batch, classes), or (batch, 1) for regression.

        x: values (batch, length, channels), tokens (batch, length), or pairs of token sequences (batch, 2, length).
        lengths: number of valid tokens of each sequence, at least 1: (batch,), (batch, 2) for pairs, or None without
        padding. rate: sampling interval of `x` relative to that of the training data; 2 for every second sample.
        """
        if not self.pairs:
            return self.head(self.embed(x, lengths, rate))
        flat = None if lengths is None else lengths.flatten()
        return self.head(self.embed(x.flatten(0, 1), flat, rate).unflatten(0, (-1, 2)))

    def embed(self, x: Tensor, lengths: Tensor | None, rate: float) -> Tensor:
        """One vector for each sequence: (batch, features)."""
        valid = None
        x = _wide(self.encoder(x))  # so the residual stream is wide, too, even if the mixing is in bfloat16
        if lengths is not None:
            valid = (torch.arange(x.shape[1], device=x.device) < lengths[:, None]).unsqueeze(-1).to(x.dtype)
        layers = [block.sequence for block in self.blocks] if self.alike else []
        if layers and one_pass.is_faster(layers):
            for block, kernel in zip(self.blocks, one_pass.kernels(layers, x.shape[1], rate), strict=True):
                x = block(x, valid, rate, kernel)
        else:
            for block in self.blocks:
                x = block(x, valid, rate)
        return self.pool(self.norm(x), lengths, valid)


class Block(nn.Module):
    """Residual block: norm, sequence layer, GELU, dropout, mixing over features, dropout (paper section 5).

    `valid` is (batch, length, 1), 1 for a token and 0 for padding: the sequence layer must not carry padding into valid
    positions. Everything else acts on single positions, except that the statistics of a batch norm include padding.

    If `recompute` is true, activations between the norm and the sum are not kept for the backward pass but recomputed
    (activation checkpointing): less than a third of the memory, a third more time, and the same bits. So it is not a
    field of a run; `suite.models.build` sets it.
    """

    recompute = False

    def __init__(self, config: Model, sequence: nn.Module) -> None:
        super().__init__()
        self.prenorm, self.glu = config.prenorm, config.mixing == "glu"
        self.norm = _norm(config)
        self.sequence, self.masked = sequence, bool(getattr(sequence, "masked", False))
        self.drop = _dropout(config)
        self.mix = Linear(config.features, config.features * (2 if self.glu else 1))

    def forward(self, x: Tensor, valid: Tensor | None = None, rate: float = 1.0,
                kernel: Tensor | None = None) -> Tensor:
        """(batch, length, features) to the same. `kernel`: the kernel of the sequence layer, if already computed."""
        u = self.norm(x) if self.prenorm else x
        if valid is not None:
            u = u * valid
        # The norm is not recomputed: a batch norm would count the batch twice.
        again = self.recompute and torch.is_grad_enabled()
        given = (u, valid, rate, kernel)
        y = checkpoint(self._change, *given, use_reentrant=False) if again else self._change(*given)
        x = x + y
        return x if self.prenorm else self.norm(x)

    def _change(self, u: Tensor, valid: Tensor | None, rate: float, kernel: Tensor | None) -> Tensor:
        """The residual that the block adds to its input, from the normalized input u."""
        with torch.autocast(u.device.type, enabled=False):  # bfloat16 is too coarse for the kernel's phases
            more = [valid] if self.masked else [] if kernel is None else [kernel]
            y = self.sequence(_wide(u), rate, *more)
        y = self.mix(self.drop(F.gelu(y)))
        return self.drop(F.glu(y, dim=-1) if self.glu else y)


class Linear(nn.Linear):
    """Position-wise linear map, from (batch, length, features) in any memory order to (batch, length, outputs)."""

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b."""
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        return _Linear.apply(x.to(dtype), self.weight.to(dtype), self.bias.to(dtype))


class _Linear(torch.autograd.Function):
    """x (B, L, H), weight (O, H), bias (O,) -> (B, L, O), as batched products of x in its memory order.

    torch's linear would first copy x into one large matrix. Its gradient of a thin weight is seven times slower on a
    CPU, and GELU's backward is several times slower if its input and gradient differ in memory order.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias, x, weight.t().expand(len(x), -1, -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        dx = None
        if ctx.needs_input_grad[0] and x.is_contiguous():
            dx = torch.matmul(grad, weight)
        elif ctx.needs_input_grad[0]:
            dx = torch.bmm(weight.t().expand(len(x), -1, -1), grad.transpose(1, 2)).transpose(1, 2)
        rows = grad.flatten(0, 1)
        fast = rows.is_contiguous() and rows.dtype != torch.float64 and fused.supports(rows)
        return dx, torch.bmm(grad.transpose(1, 2), x).sum(0), fused.sum_rows(rows) if fast else rows.sum(0)


class FeatureLayerNorm(nn.LayerNorm):
    """Layer norm over the features. (batch, length, features)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each position."""
        if x.dtype == torch.float32 and x.shape[-1] <= fused.WIDEST and fused.supports(x):
            return fused.layer_norm(x, self.weight, self.bias, self.eps)
        return super().forward(x)


class FeatureBatchNorm(nn.BatchNorm1d):
    """Batch norm of each feature over all positions of all examples, padding included. (batch, length, features)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize, in training with the statistics of the batch."""
        # Rows of features: torch's (batch, features, length) is 5 times slower here, with either memory layout.
        return super().forward(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class TiedDropout(nn.Module):
    """Dropout with one mask for each example and feature, shared over time. (batch, length, features)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop features with probability p and scale the others by 1/(1-p). In evaluation, return `x` itself."""
        if not self.training:
            return x
        mask = x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * mask


class MeanPool(nn.Module):
    """Mean over time, without padding. (batch, length, features) to (batch, features)."""

    def forward(self, x: Tensor, lengths: Tensor | None, valid: Tensor | None) -> Tensor:
        """`lengths` and `valid` are None without padding."""
        if lengths is None or valid is None:
            return x.mean(dim=1)
        return (x * valid).sum(dim=1) / lengths[:, None].to(x.dtype)


class LastStep(nn.Module):
    """The last step, or the last valid token if there is padding. (batch, length, features) to (batch, features)."""

    def forward(self, x: Tensor, lengths: Tensor | None, valid: Tensor | None) -> Tensor:
        """`lengths` is None without padding."""
        if lengths is None:
            return x[:, -1]
        return x[torch.arange(x.shape[0], device=x.device), lengths - 1]


class PairHead(nn.Module):
    """Compares two documents: [e1, e2, e1 - e2, e1 * e2], Linear, GELU, Linear. (batch, 2, H) to (batch, classes)."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(4 * features, features)
        self.out = nn.Linear(features, classes)

    def forward(self, pair: Tensor) -> Tensor:
        """Logits of each pair."""
        first, second = pair.unbind(dim=1)
        joint = torch.cat([first, second, first - second, first * second], dim=-1)
        return self.out(F.gelu(self.hidden(joint)))


def count_parameters(model: nn.Module) -> int:
    """Number of trainable real scalars. A complex number counts as two."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in model.parameters() if p.requires_grad)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _encoder(data: TaskData, width: int) -> nn.Module:
    if data.vocabulary is not None:
        return nn.Embedding(data.vocabulary, width)
    if data.channels is None:
        raise ValueError(f"the data of {data.task} have neither a vocabulary nor channels")
    return Linear(data.channels, width)


def _norm(config: Model) -> nn.Module:
    if config.norm == "layer":
        return FeatureLayerNorm(config.features)
    return FeatureBatchNorm(config.features, momentum=0.1)


def _dropout(config: Model) -> nn.Module:
    if config.dropout == 0:
        return nn.Identity()
    return TiedDropout(config.dropout) if config.tie_dropout else nn.Dropout(config.dropout)
