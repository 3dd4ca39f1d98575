"""Kernels that are controls: free ones, and any that is cut after K steps; and the Sobolev filter of the output."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from fake_data import FakeData

from suite import models
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.ssm import S4, S4D, FreeKernel
from suite.ssm.base import KernelLayer

pytestmark = pytest.mark.usefixtures("one_thread")
SOFTMAX: dict[str, Any] = {"kernel": "softmax", "discretization": "zoh"}


def free(features: int = 4, length: int = 40, **fields: Any) -> FreeKernel:
    return FreeKernel(features, length=length, seed=1, dtype=torch.float64, **fields)


def signal(length: int = 40, features: int = 4) -> torch.Tensor:
    return torch.randn(2, length, features, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_kernel_of_one_value_delays(bidirectional: bool) -> None:
    layer, u = free(bidirectional=bidirectional, free_squash=0.0), signal()
    with torch.no_grad():
        layer.d.zero_()
        layer.k.zero_()
        layer.k[0, :, 7] = 1
        y = layer(u)
        assert torch.allclose(y[:, 7:], u[:, :-7], atol=1e-14) and float(y[:, :7].abs().max()) < 1e-14
        if bidirectional:
            layer.k[0].zero_()
            layer.k[1, :, 7] = 1  # from the next sample on
            assert torch.allclose(layer(u)[:, :-8], u[:, 8:], atol=1e-14)


def test_a_free_kernel_can_be_any_other() -> None:
    other = S4D(4, length=40, init="lin", seed=0, dtype=torch.float64)
    layer, u = free(free_squash=0.0), signal()
    with torch.no_grad():
        layer.k.copy_(other.kernel(40))
        layer.d.copy_(other.d)
    assert torch.equal(layer(u), other(u))
    assert layer.kernel(9).shape == (1, 4, 9)  # a shorter input takes the first values


@pytest.mark.parametrize(("squash", "dead"), [(0.001, 0.38), (0.002, 0.68), (0.003, 0.87), (0.004, 0.95)])
def test_the_share_of_values_that_are_alive(squash: float, dead: float) -> None:
    layer = free(64, 512, free_squash=squash)
    assert layer.alive == pytest.approx(1 - dead, abs=0.01)
    assert f"alive={layer.alive:.2f}" in repr(layer)
    kernel = layer.kernel(512)
    expected = layer.k.sign() * (layer.k.abs() - squash).clamp(min=0)
    assert torch.allclose(kernel, expected, atol=1e-15)
    kernel.sum().backward()
    assert torch.equal(layer.k.grad != 0, layer.k.detach().abs() > squash)


def test_the_second_init_decays_at_a_pace_of_its_own_for_each_feature() -> None:
    layer = free(64, 1000, free_init="double_exp")
    scale = layer.k.detach()[0].reshape(64, 10, 100).std(-1)
    for h in (0, 32):
        expected = 0.02 * torch.exp(-torch.arange(50.0, 1000, 100) / 1000 * 32 ** (h / 64))
        assert torch.allclose(scale[h] / expected.double(), torch.ones(10).double(), atol=0.35)


def test_dropout_of_values_in_training_alone() -> None:
    layer = free(8, 500, free_dropout=0.5, free_squash=0.0)
    dropped = layer.kernel(500)
    assert float((dropped == 0).double().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(layer.eval().kernel(500), layer.k)


def test_a_free_kernel_has_its_values_as_parameters_and_no_decay() -> None:
    assert free(bidirectional=True).k.shape == (2, 4, 40) and free(kernel_length=9).k.shape == (1, 4, 9)
    assert dict(free().named_parameters()).keys() == {"k", "d"} and FreeKernel.parameter_groups["k"] == "ssm"
    assert torch.autograd.gradcheck(lambda k: torch.func.functional_call(free(2, 6), {"k": k}, (signal(6, 2),)),
                                    free(2, 6).k.detach().requires_grad_())


@pytest.mark.parametrize(("call", "words"), [
    (lambda: free()(signal(20), rate=2.0), "use rate 1"), (lambda: free().recurrence(), "no step mode"),
    (lambda: FreeKernel(4), "length is needed, since the number of values of the kernel"),
    (lambda: free()(signal(41)), "an input of 41 steps, for a layer of length 40"),
    (lambda: free(train_a=False), "leave ssm.train_a at true"),
    (lambda: free(c_tilde=True), "ssm.c_tilde at false"),
    (lambda: S4D(4, kernel="free"), "FreeKernel and RationalKernel have one kernel each"),
    (lambda: S4D(4, length=40, kernel_length=41), "a kernel of 41 steps for sequences of 40"),
    (lambda: S4D(4, kernel_length=0), "greater than or equal to 1"),
    (lambda: S4D(4, kernel_length=3).recurrence(), "a truncated kernel has no step mode"),
    (lambda: S4D(4, sobolev="trained"), "looks ahead")])
def test_what_has_no_meaning_is_refused(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()


@pytest.mark.parametrize(("kind", "fields"), [(S4D, {}), (S4D, SOFTMAX), (S4, {})], ids=["S4D", "softmax", "S4"])
def test_a_cut_kernel_is_the_beginning_of_the_whole_one(kind: type[KernelLayer], fields: dict[str, Any]) -> None:
    whole, cut = (kind(4, length=40, seed=0, bidirectional=True, dtype=torch.float64, **fields | more)
                  for more in ({}, {"kernel_length": 5}))
    beginning = whole.kernel(40)[..., :5]  # of softmax, too: its sum is over L
    assert torch.allclose(cut.kernel(40), beginning, rtol=1e-10, atol=1e-14)
    assert cut.kernel(20, 2.0).shape[-1] == 3  # as many seconds: steps 0, 2 and 4
    assert cut.kernel(4).shape[-1] == 4
    y = cut(signal())
    direct = cut.d * signal()[:, 20] + sum(cut.kernel(40)[0, :, j] * signal()[:, 20 - j] for j in range(5))
    direct = direct + sum(cut.kernel(40)[1, :, j] * signal()[:, 21 + j] for j in range(5))
    assert torch.allclose(y[:, 20], direct, atol=1e-12)
    y.sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in cut.parameters())


@pytest.mark.parametrize("fields", [{"ssm.init": "lin"}, {"ssm.kernel": "free"}], ids=["lin", "free"])
def test_no_input_beyond_the_receptive_field_has_a_gradient(fields: dict[str, Any]) -> None:
    """Two layers of 5 taps: the last output sees 1 + 2 * 4 steps."""
    run = RunConfig.build({"task": "scifar", "data.variant": "sample", "ssm.kernel_length": 5, "model.layers": 2,
                           "model.features": 4, "model.decoder": "last", "model.norm": "layer"} | fields)
    model = models.build(run, FakeData(length=30)).double()
    x = torch.randn(2, 30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(x).square().sum().backward()
    size = x.grad.abs().amax((0, 2))
    assert float(size[: 30 - 9].max()) < 1e-13 * float(size.max()) and float(size[30 - 9]) > 1e-9 * float(size.max())


@pytest.mark.parametrize("kernel_length", [200, 20])
def test_the_sobolev_filter(kernel_length: int) -> None:
    """s = 0 changes no bit; s = 1 multiplies a sine of frequency f by 1 + f, away from the ends."""
    fields = {"init": "lin", "bidirectional": True, "seed": 0, "length": 2000, "kernel_length": kernel_length,
              "dt_min": 0.2, "dt_max": 0.3}
    plain = S4D(2, dtype=torch.float64, **fields)
    layer = S4D(2, dtype=torch.float64, sobolev="trained", **fields)
    f = 0.1
    u = torch.sin(2 * math.pi * f * torch.arange(2000).double())[None, :, None].expand(1, 2000, 2)
    assert torch.equal(layer(u), plain(u))
    with torch.no_grad():
        layer.d.zero_(), plain.d.zero_(), layer.s.fill_(1.0)
        middle = slice(900, 1100)
        assert torch.allclose(layer(u)[:, middle], (1 + f) * plain(u)[:, middle], atol=2e-4)
        half = layer(u[:, ::2], rate=2.0)[:, 450:550] / plain(u[:, ::2], rate=2.0)[:, 450:550]
        assert float((half - 1 - f).abs().median()) < 1e-3  # f counts in steps of rate 1


def test_gradients_of_the_sobolev_filter() -> None:
    layer = S4D(2, length=8, seed=0, state_size=4, bidirectional=True, sobolev="trained", dtype=torch.float64)
    assert layer.s.shape == (2,) and S4D.parameter_groups["s"] == "ssm"
    with torch.no_grad():
        layer.s.fill_(0.3)
    leaves = list(layer.parameters())
    assert torch.autograd.gradcheck(lambda u, *_: layer(u), (signal(8, 2).requires_grad_(), *leaves), atol=1e-6)
