"""K networks of one shape, computed together: K kernels, one convolution, products and norms of each member.

Small networks are launch-bound: launching an operation takes longer than computing it. Here each operation does the
work of K networks. The parameters remain those of the members, so that each can be saved, evaluated and trained alone.
A member's outputs do not depend on the values of the others, but their last bits depend on the number of members.

Between layers, sequences are (batch, length, K, features). After the convolution, memory is (batch, K, features,
length), as in `suite.models.backbone`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from suite.models.backbone import Backbone, Block, LastStep, TiedDropout
from suite.ssm import one_pass
from suite.ssm.conv import convolve
from suite.ssm.layer import S4, S4D

Layer = S4D | S4


def why_not(model: nn.Module) -> str:
    """Why a network cannot be a member of a stack, in words. "" if it can."""
    if type(model) is not Backbone:
        return "only networks of state space layers can be stacked"
    if model.pairs or isinstance(model.encoder, nn.Embedding):
        return "only networks on values can be stacked, not those on tokens"
    for block in model.blocks:
        if type(block) is not Block or type(block.sequence) not in (S4D, S4):
            return "only S4D and S4 layers can be stacked"
        config = cast(Layer, block.sequence).config
        if config.sobolev != "off" or any(":" in name for name in (config.kernel, config.discretization)):
            return "a layer with ssm.sobolev, or with parts of your own, cannot be stacked"
        if block.recompute:
            return "networks with --recompute cannot be stacked"
    return ""


def shape(model: nn.Module) -> list[str]:
    """What members of a stack must share: names and sizes of parameters outside the layers, kernels, and settings."""
    network = cast(Backbone, model)
    sizes = [f"{name} {tuple(value.shape)}" for name, value in network.state_dict().items()
             if ".sequence." not in name or name.endswith(".d")]
    blocks = [cast(Any, block) for block in network.blocks]
    kernels = [f"{block.sequence.bidirectional} {block.sequence.config.kernel_length}" for block in blocks]
    settings = [f"{block.prenorm} {block.glu} {block.norm} {block.drop}" for block in blocks]
    return [*sizes, *kernels, *settings, str(network.norm), str(network.pool)]


class Stacked(nn.Module):
    """The members' networks, computed together. Raises ValueError if they cannot be stacked, or differ in shape."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        problems = [problem for member in members if (problem := why_not(member))]
        if problems or any(shape(member) != shape(members[0]) for member in members):
            raise ValueError(problems[0] if problems else "members of several shapes")
        self.members = [cast(Backbone, member) for member in members]  # a list: not parameters of this module
        self.depth = len(self.members[0].blocks)

    def forward(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Outputs (batch, K, classes) of inputs (batch, length, K, channels), in training.

        `generators`: for each member's dropout. They draw the numbers that the default one would draw for it alone.
        """
        first = self.members[0]
        # Most factors of this product are 0, but there are few channels, and the result has the right memory order.
        encoders = [cast(nn.Linear, one.encoder) for one in self.members]
        y = F.linear(x.flatten(2), torch.block_diag(*(one.weight for one in encoders)),
                     torch.cat([one.bias for one in encoders])).unflatten(2, (len(encoders), -1))
        for number, kernels in enumerate(self._kernels(x.shape[1])):
            y = self._block(y, number, kernels, generators)
        if not isinstance(first.norm, nn.Identity):
            y = _norm([one.norm for one in self.members], y)
        pooled = y[:, -1] if isinstance(first.pool, LastStep) else y.mean(dim=1)
        weight, bias = (torch.stack([getattr(one.head, name) for one in self.members]) for name in ("weight", "bias"))
        return torch.baddbmm(bias[:, None], pooled.transpose(0, 1), weight.transpose(1, 2)).transpose(0, 1)

    def _kernels(self, length: int) -> list[Tensor]:
        """The kernels of all layers, each (Ch, K H, taps), computed together for layers whose settings allow it."""
        layers = [cast(Any, member.blocks[n]).sequence for n in range(self.depth) for member in self.members]
        made: dict[int, Tensor] = {}
        quick = [n for n, layer in enumerate(layers) if _quick(layer)] if one_pass.is_available() else []
        c = layers[0].c
        size = max(1, one_pass.SMALL.get(c.device.type, 0) // c[0, ..., 0].numel())
        for group in _alike(layers, quick):
            for start in range(0, len(group), size):
                part = group[start:start + size]
                made |= zip(part, one_pass.kernels([layers[n] for n in part], length, 1.0), strict=True)
        each = [made[n] if n in made else layer.kernel(length) for n, layer in enumerate(layers)]
        count = len(self.members)
        return [torch.cat(each[n:n + count], dim=1) for n in range(0, len(each), count)]

    def _block(self, x: Tensor, number: int, kernel: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        blocks = [cast(Block, member.blocks[number]) for member in self.members]
        first, norms = blocks[0], [block.norm for block in blocks]
        u = _norm(norms, x) if first.prenorm else x
        d = torch.cat([cast(Layer, block.sequence).d for block in blocks])
        y = convolve(u.flatten(2), kernel, d).unflatten(2, x.shape[2:])
        y = _dropped(first.drop, F.gelu(y), generators)
        weight, bias = (torch.stack([getattr(block.mix, name) for block in blocks]) for name in ("weight", "bias"))
        y = _Mixing.apply(y.transpose(1, 2), weight, bias)
        y = F.glu(y, dim=-1) if first.glu else y
        x = x + _dropped(first.drop, y.transpose(1, 2), generators)
        return x if first.prenorm else _norm(norms, x)


class _Mixing(torch.autograd.Function):
    """x (B, K, L, H), weight (K, O, H), bias (K, O) -> (B, K, L, O), see `suite.models.backbone._Linear`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        batch = len(x)
        rows = x.flatten(0, 1)
        ctx.save_for_backward(rows, weight)
        wide = weight.transpose(1, 2).expand(batch, -1, -1, -1).flatten(0, 1)
        return torch.baddbmm(bias.repeat(batch, 1)[:, None], rows, wide).unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        shape, grad = grad.shape[:2], grad.flatten(0, 1).contiguous()
        wide = weight.transpose(1, 2).expand(shape[0], -1, -1, -1).flatten(0, 1)
        dx = torch.bmm(wide, grad.transpose(1, 2)).transpose(1, 2)
        dweight = torch.bmm(grad.transpose(1, 2), rows).unflatten(0, shape).sum(0)
        return dx.unflatten(0, shape), dweight, grad.sum(1).unflatten(0, shape).sum(0)


def _quick(layer: Layer) -> bool:
    return isinstance(layer, S4D) and layer.paired and one_pass.supports(layer.config)


def _alike(layers: Sequence[Any], chosen: Sequence[int]) -> list[list[int]]:
    """The chosen layers, grouped by the shapes of their parameters."""
    groups: dict[tuple[torch.Size, ...], list[int]] = {}
    for n in chosen:
        groups.setdefault((layers[n].theta.shape, layers[n].c.shape), []).append(n)
    return list(groups.values())


def _norm(norms: Sequence[Any], x: Tensor) -> Tensor:
    """x (B, L, K, H), normalized by the norms of the members, in training."""
    first = norms[0]
    if isinstance(first, nn.LayerNorm):
        weight, bias = (torch.stack([getattr(one, name) for one in norms]) for name in ("weight", "bias"))
        return torch.addcmul(bias, F.layer_norm(x, first.normalized_shape, eps=first.eps), weight)
    weight, bias, mean, var = (torch.cat([getattr(one, name) for one in norms])
                               for name in ("weight", "bias", "running_mean", "running_var"))
    y = F.batch_norm(x.flatten(2).flatten(0, 1), mean, var, weight, bias, True, first.momentum, first.eps)
    with torch.no_grad():
        kept = [tensor for one in norms for tensor in (one.running_mean, one.running_var)]
        new = [part for parts in zip(mean.split(x.shape[3]), var.split(x.shape[3]), strict=True) for part in parts]
        torch._foreach_copy_(kept, new)
        torch._foreach_add_([one.num_batches_tracked for one in norms], 1)
    return y.view(x.shape)


def _dropped(drop: nn.Module, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Dropout of x (B, L, K, H), each member with its own generator, with the numbers that `drop` would draw on a CPU.

    On a GPU, torch draws untied dropout in another order, so only tied dropout equals that of a single run.
    """
    if isinstance(drop, nn.Identity):
        return x
    p, like = cast(Any, drop).p, x[:, :1] if isinstance(drop, TiedDropout) else x
    # In memory order, as torch fills the mask of one network.
    masks = [torch.empty_like(like.select(2, place)).bernoulli_(1 - p, generator=generator)
             for place, generator in enumerate(generators)]
    return x * torch.stack(masks, dim=2).div_(1 - p)
