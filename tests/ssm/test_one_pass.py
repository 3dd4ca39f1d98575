"""The kernel in one function against the layer's own steps, which autograd differentiates."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from suite.config.fields import SSM
from suite.ssm import S4D, one_pass

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {}, "copies": {"copies": 3}, "legs": {"init": "legs", "copies": 6}, "fixed A": {"train_a": False},
    "fixed B": {"train_b": False}, "only C": {"train_a": False, "train_b": False, "train_dt": False}}


def kernel_and_gradients(layer: S4D, length: int, rate: float, seed: int) -> list[torch.Tensor]:
    kernel = layer.kernel(length, rate)
    noise = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(seed), dtype=kernel.dtype)
    layer.zero_grad()
    kernel.backward(noise)
    return [kernel.detach()] + [p.grad.clone() for name, p in layer.named_parameters() if p.grad is not None]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(("length", "dtype"), [(20, torch.float32), (250, torch.float32), (250, torch.float64)])
def test_it_is_the_kernel_of_the_single_steps(name: str, length: int, dtype: torch.dtype,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    layer = S4D(6, length=length, state_size=16, bidirectional=True, seed=1, dtype=dtype, **SETTINGS[name])
    assert one_pass.supports(layer.config)
    found = kernel_and_gradients(layer, length, 1.5, 0)
    monkeypatch.setattr(one_pass, "supports", lambda config: False)
    wanted = kernel_and_gradients(layer, length, 1.5, 0)
    assert len(found) == len(wanted) > 1
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= (3e-6 if dtype == torch.float32 else 1e-12) * other.abs().max()


@pytest.mark.parametrize("fields", [{"discretization": "zoh"}, {"re_constraint": "relu"}, {"c_tilde": True},
                                    {"kernel": "softmax", "discretization": "zoh"}, {"gain": "dt"}])
def test_other_settings_are_not_its_own(fields: dict[str, Any]) -> None:
    assert not one_pass.supports(S4D(4, length=64, seed=0, **fields).config)


@pytest.mark.parametrize("name", SETTINGS)
def test_kernels_of_several_layers_at_once(name: str) -> None:
    layers = [S4D(6, length=250, state_size=16, bidirectional=True, seed=seed, **SETTINGS[name]) for seed in range(3)]
    assert one_pass.alike(layers)
    noise = torch.randn(2, 6, 250)
    for kernel, layer in zip(one_pass.kernels(layers, 250, 1.5), layers, strict=True):
        (kernel * noise).sum().backward(retain_graph=True)
        found = [kernel.detach()] + [p.grad.clone() for p in layer.parameters() if p.grad is not None]
        layer.zero_grad()
        single = layer.kernel(250, 1.5)
        (single * noise).sum().backward()
        wanted = [single.detach()] + [p.grad for p in layer.parameters() if p.grad is not None]
        for one, other in zip(found, wanted, strict=True):
            assert (one - other).abs().max() <= 1e-6 * other.abs().max()


def test_layers_that_differ_are_not_computed_at_once() -> None:
    assert not any(one_pass.supports(SSM(structure=name).resolved()) for name in ("mimo", "dplr"))
    one, same, other = S4D(6, state_size=16, seed=0), S4D(6, state_size=16, seed=1), S4D(6, state_size=8, seed=2)
    assert one_pass.alike([one, same]) and not one_pass.alike([one, other]) and not one_pass.alike([one])
