"""AdamW with the paper's parameter groups, and the schedules of the learning rate (paper section 5, appendix D)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from suite.config.fields import Optim
from suite.errors import UserError

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)


def adamw(model: nn.Module, config: Optim) -> torch.optim.AdamW:
    """AdamW (betas 0.9 and 0.999, eps 1e-8, decoupled decay) over the groups of `parameter_groups`.

    Each group keeps its learning rate at factor 1 as `base_lr`. The fused implementation does one elementwise pass over
    each parameter, so its result does not depend on a reduction order or the number of threads.
    """
    return over(parameter_groups(model, config))


def over(groups: Sequence[dict[str, Any]]) -> torch.optim.AdamW:
    """AdamW as in `adamw`, over groups with their own learning rates and decay."""
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True)


def parameter_groups(model: nn.Module, config: Optim) -> list[dict[str, Any]]:
    """Groups for the optimiser: keys `params`, `name`, `lr`, `base_lr`, `weight_decay`. Empty groups are left out.

    A module can assign its own parameters to the groups `ssm` or `dt`, which have their own learning rate and no decay,
    or to `no_decay`, by a mapping `parameter_groups` from names of parameters to groups. All other parameters are in
    `default`; without `decay_all`, biases and affine parameters of norms are in `no_decay`. Raises UserError for a
    parameter in an unknown group or in two groups.
    """
    dt_lr = config.ssm_lr if config.dt_lr is None else config.dt_lr
    rates = {"default": (config.lr, config.weight_decay), "no_decay": (config.lr, 0.0),
             "ssm": (config.ssm_lr, 0.0), "dt": (dt_lr, 0.0)}
    members: dict[str, list[nn.Parameter]] = {name: [] for name in rates}
    seen: dict[nn.Parameter, tuple[str, str]] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix, recurse=False):
            if not parameter.requires_grad:
                continue
            group = _group(module, name.rpartition(".")[2], config.decay_all)
            if group not in rates:
                raise UserError(f"parameter {name} is in an unknown group: {type(module).__name__} names {group!r}",
                                fix="parameter_groups may name " + ", ".join(rates))
            other, place = seen.setdefault(parameter, (name, group))
            if place != group:
                raise UserError(f"one parameter is in two groups: as {other} in {place!r}, as {name} in {group!r}",
                                fix="parameter_groups of both modules must agree")
            if other == name:
                members[group].append(parameter)
    return [{"params": members[name], "name": name, "lr": lr, "base_lr": lr, "weight_decay": decay}
            for name, (lr, decay) in rates.items() if members[name]]


def _group(module: nn.Module, name: str, decay_all: bool) -> str:
    declared: dict[str, str] = getattr(module, "parameter_groups", {})
    if name in declared:
        return declared[name]
    return "default" if decay_all or not (name == "bias" or isinstance(module, NORMS)) else "no_decay"


def factor(config: Optim, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The factor of the schedule for all learning rates, at training step `step` = 0, 1, …

    * cosine: min(1, step/W) over W = `warmup_epochs` epochs, so that the first step has rate 0, then half a
      cosine from 1 at step W to 0 at step T = `epochs` epochs.
    * multistep: `gamma` once for each of `milestones` that is at most the number of finished epochs. No warmup.
    * constant: 1. No warmup.
    """
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "multistep":
        finished = step // steps_per_epoch
        return float(config.gamma ** sum(milestone <= finished for milestone in config.milestones))
    warmup, total = round(config.warmup_epochs * steps_per_epoch), epochs * steps_per_epoch
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def set_factor(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set each group's learning rate to `value` times its `base_lr`; on a GPU in float32, as CUDA graphs read it."""
    for group in optimizer.param_groups:
        rate = value * group["base_lr"]
        group["lr"] = float(np.float32(rate)) if group["params"][0].is_cuda else rate
