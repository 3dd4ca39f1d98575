"""The optimiser's groups and steps, and the schedules, against PyTorch's own and against formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from fake_data import FakeData, RunningMean, small
from torch import nn

from suite import models
from suite.config.fields import Optim
from suite.errors import UserError
from suite.models.backbone import Backbone
from suite.train import optim

RATES = {"optim__lr": 0.01, "optim__weight_decay": 0.05, "optim__ssm_lr": 0.002, "optim__dt_lr": 0.003}


def names(model: nn.Module, config: Optim) -> dict[str, set[str]]:
    label = {parameter: name for name, parameter in model.named_parameters()}
    return {g["name"]: {label[p] for p in g["params"]} for g in optim.parameter_groups(model, config)}


def test_groups_of_s4d_have_the_papers_rates() -> None:
    config = small(**RATES, model__layers=1, model__prenorm=True)
    model = models.build(config, FakeData())
    groups = {g["name"]: g for g in optim.adamw(model, config.optim).param_groups}
    rates = {name: (g["lr"], g["base_lr"], g["weight_decay"]) for name, g in groups.items()}
    assert rates == {"default": (0.01, 0.01, 0.05), "ssm": (0.002, 0.002, 0.0), "dt": (0.003, 0.003, 0.0)}
    assert {(g["betas"], g["eps"]) for g in groups.values()} == {((0.9, 0.999), 1e-8)}
    found = names(model, config.optim)
    ssm = {f"blocks.0.sequence.{name}" for name in ("theta", "imag", "b")}
    assert found["ssm"] == ssm
    assert found["dt"] == {"blocks.0.sequence.log_dt"}
    assert {"blocks.0.sequence.c", "blocks.0.sequence.d", "blocks.0.mix.bias", "norm.weight"} <= found["default"]
    assert set.union(*found.values()) == {name for name, _ in model.named_parameters()}
    assert sum(len(g["params"]) for g in groups.values()) == len(list(model.parameters()))


def test_frozen_matrices_are_in_no_group() -> None:
    config = small(ssm__train_a=False, ssm__train_b=False)
    found = names(models.build(config, FakeData()), config.optim)
    assert set(found) == {"default", "dt"}


def test_dt_follows_ssm_lr_unless_given() -> None:
    config = Optim(ssm_lr=0.002)
    model = models.build(small(), FakeData())
    assert {g["name"]: g["lr"] for g in optim.parameter_groups(model, config)}["dt"] == 0.002


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_decay_all_false_excludes_biases_and_norms_only(norm: str) -> None:
    config = small(optim__decay_all=False, model__norm=norm, model__layers=1, model__prenorm=True)
    found = names(models.build(config, FakeData()), config.optim)
    assert found["no_decay"] == {"encoder.bias", "blocks.0.mix.bias", "head.bias", "norm.weight", "norm.bias",
                                 "blocks.0.norm.weight", "blocks.0.norm.bias"}
    assert found["default"] == {"encoder.weight", "blocks.0.mix.weight", "head.weight", "blocks.0.sequence.c",
                                "blocks.0.sequence.d"}
    groups = {g["name"]: g for g in optim.parameter_groups(models.build(config, FakeData()), config.optim)}
    assert (groups["no_decay"]["lr"], groups["no_decay"]["weight_decay"]) == (config.optim.lr, 0.0)


def test_a_parameter_in_no_group_or_in_two_is_an_error() -> None:
    class Unknown(RunningMean):
        parameter_groups = {"weight": "smm"}

    class Slow(RunningMean):
        parameter_groups = {"weight": "ssm"}

    with pytest.raises(UserError, match=r"blocks\.0\.sequence\.weight is in an unknown group: Unknown names 'smm'"):
        optim.adamw(Backbone(small(), FakeData(), layer=Unknown), Optim())
    model = Backbone(small(), FakeData(), layer=Slow)
    model.head.bias = model.blocks[0].sequence.weight
    with pytest.raises(UserError, match=r"in two groups: as .*sequence\.weight in 'ssm', as head\.bias in 'default'"):
        optim.adamw(model, Optim())


def test_a_parameter_that_two_modules_share_is_stepped_once() -> None:
    model = Backbone(small(), FakeData(), layer=RunningMean)
    model.blocks[0].sequence.weight = model.blocks[1].sequence.weight
    (group,) = optim.parameter_groups(model, Optim())
    assert sum(p is model.blocks[1].sequence.weight for p in group["params"]) == 1


def test_adamw_step_is_decoupled_and_scaled_by_the_schedule() -> None:
    model = nn.Linear(3, 2)
    w = model.weight.detach().double().clone()
    optimizer = optim.adamw(model, Optim(lr=0.1, weight_decay=0.5))
    m = v = torch.zeros(2, 3, dtype=torch.float64)
    for k, value in enumerate((0.0, 0.5, 1.0), start=1):
        gradient = torch.full((2, 3), float(k))
        model.weight.grad, model.bias.grad = gradient, torch.zeros(2)
        optim.set_factor(optimizer, value)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        w = w - 0.1 * value * (0.5 * w + m / (1 - 0.9**k) / ((v / (1 - 0.999**k)).sqrt() + 1e-8))
        torch.testing.assert_close(model.weight.detach().double(), w, rtol=1e-5, atol=1e-7)


def schedule(config: Optim, steps: int, per_epoch: int, epochs: int) -> list[float]:
    return [optim.factor(config, step, per_epoch, epochs) for step in range(steps)]


def test_cosine_warms_up_from_zero_and_ends_at_zero() -> None:
    found = schedule(Optim(schedule="cosine", warmup_epochs=1), 51, 10, 5)
    assert found[:11] == [k / 10 for k in range(11)]
    assert found[30] == pytest.approx(0.5)
    assert found[10:] == [pytest.approx(0.5 + 0.5 * math.cos(math.pi * k / 40)) for k in range(41)]
    assert found[50] == pytest.approx(0, abs=1e-15)
    assert all(a > b for a, b in zip(found[10:], found[11:], strict=False))


def test_cosine_is_torchs_lambda_lr_step_for_step() -> None:
    """The order of calls of a usual loop: the optimiser's step, then the schedule's."""
    config = Optim(schedule="cosine", warmup_epochs=0.5, lr=0.3)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    twin = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1, k / 4) if k < 4 else (1 + math.cos(math.pi * (k - 4) / 12)) / 2)
    for step in range(16):
        assert 0.3 * optim.factor(config, step, 8, 2) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-15)
        optimizer.step()
        twin.step()


def test_cosine_without_warmup_and_within_one_epoch() -> None:
    assert optim.factor(Optim(warmup_epochs=0), 0, 10, 5) == 1.0
    assert schedule(Optim(warmup_epochs=1), 5, 5, 1) == [0, 0.2, 0.4, 0.6, 0.8]


def test_multistep_is_torchs_multistep_lr() -> None:
    config = Optim(schedule="multistep", milestones=(2, 3, 5), gamma=0.5)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    twin = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3, 5], gamma=0.5)
    for epoch in range(6):
        assert schedule(config, 28, 4, 7)[4 * epoch:4 * epoch + 4] == [optimizer.param_groups[0]["lr"]] * 4
        optimizer.step()
        twin.step()


def test_constant_is_one_from_the_first_step() -> None:
    assert schedule(Optim(schedule="constant"), 6, 2, 3) == [1.0] * 6


def test_one_factor_scales_all_groups() -> None:
    config = small(**RATES)
    optimizer = optim.adamw(models.build(config, FakeData()), config.optim)
    for value in (0.25, 0.5):
        optim.set_factor(optimizer, value)
        assert {g["name"]: g["lr"] for g in optimizer.param_groups} == {
            "default": 0.01 * value, "ssm": 0.002 * value, "dt": 0.003 * value}
