"""The convolutional networks of table 11: their sizes, any length, no sampling interval, clear errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_data import FakeData, small

from suite import models
from suite.errors import UserError

TABLE = {"convnet": (64, 3), "inception": (32, 6), "resnet18": (64, 1), "xresnet50": (64, 1)}  # features, layers
SPEECH = FakeData(task="sc_bi", length=16000, channels=1, classes=35)


def build(name: str, data: Any = SPEECH, features: int = 8, layers: int = 2, **more: Any) -> torch.nn.Module:
    return models.build(small(task=data.task, model__name=name, model__features=features, model__layers=layers, **more),
                        data)


@pytest.mark.parametrize("name, count, printed", [
    ("convnet", 26_313_187, "26.3M"), ("inception", 480_739, "481K"), ("resnet18", 216_419, "216K"),
    ("xresnet50", 903_619, "904K")])
def test_the_numbers_of_parameters(name: str, count: int, printed: str) -> None:
    with torch.device("meta"):  # nothing is computed
        model = models.find(name)(small(task="sc_bi", model__name=name, model__features=TABLE[name][0],
                                        model__layers=TABLE[name][1]), SPEECH)
    assert models.count_parameters(model) == count
    assert (f"{count / 1e6:.1f}M" if count > 1e6 else f"{count / 1e3:.0f}K") == printed


@pytest.mark.parametrize("name", TABLE)
def test_half_of_the_samples_go_through_the_same_weights(name: str) -> None:
    torch.manual_seed(0)
    model, x = build(name).eval(), torch.randn(2, 700, 1)
    whole = model(x, None, 1.0)
    assert whole.shape == (2, 35) and torch.isfinite(whole).all()
    assert torch.equal(model(x[:, ::2], None, 2.0), model(x[:, ::2], None, 1.0))  # the rate changes nothing
    assert not torch.allclose(model(x[:, ::2], None, 2.0), whole)
    assert model(torch.randn(2, 3, 1)).shape == (2, 35)  # however short


@pytest.mark.parametrize("name", TABLE)
def test_every_parameter_learns(name: str) -> None:
    model = build(name, FakeData(task="bidmc_hr", length=64, channels=2, classes=None), layers=3).train()
    assert model(torch.randn(4, 64, 2)).shape == (4, 1)
    for p in model.parameters():
        p.data += 0.01  # a norm that starts at zero lets nothing through
    model(torch.randn(4, 64, 2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_what_does_not_fit_names_the_field() -> None:
    with pytest.raises(UserError, match="^model.name: convnet takes values, but the inputs of text are tokens"):
        build("convnet", FakeData(task="text", channels=None, vocabulary=9))
    with pytest.raises(UserError, match="train.batch_size"):
        build("resnet18", train__batch_size=1)
