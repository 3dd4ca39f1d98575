"""Fused passes on a GPU against torch's own operations. `make gpu` runs these alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from suite.models.backbone import FeatureLayerNorm
from suite.ssm import fused
from suite.ssm.conv import convolve

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(sum(shape))).cuda()


def test_triton_is_here() -> None:
    assert fused.ready() and fused.backend().startswith("triton ")


@pytest.mark.parametrize("features", [1, 37, 128])
@pytest.mark.parametrize(("length", "size"), [(1, 16), (50, 128), (300, 304)])
def test_arrays_are_moved_to_another_order_and_filled_with_zeros(features: int, length: int, size: int) -> None:
    x = noise(3, length, features)
    out = fused.move(x.transpose(1, 2), x.new_full((3, features, size), 9.0), length)
    assert torch.equal(out[..., :length], x.transpose(1, 2)) and not out[..., length:].any()
    back = fused.move(out, x.new_full((3, length, features), 9.0).transpose(1, 2), length)
    assert torch.equal(back.transpose(1, 2), x)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_spectra_are_multiplied_and_summed(dtype: torch.dtype) -> None:
    grad, signal, filters = (noise(*shape, dtype=dtype) for shape in ((5, 7, 129), (5, 8, 129), (7, 129)))
    signal = signal[:, :7].contiguous()
    near = {"rtol": 0, "atol": 2e-6 if dtype == torch.complex64 else 1e-14}
    for on_input in (True, False):
        mine = grad.clone()
        total = fused.multiply_back(mine, filters, signal, on_input)
        torch.testing.assert_close(total, (signal.conj() * grad).sum(0), **near)
        torch.testing.assert_close(mine, grad * filters.conj() if on_input else grad, **near)
    assert fused.multiply_back(grad.clone(), filters, None, True) is None


@pytest.mark.parametrize("features", [3, 37, 128, 700])
def test_layer_norm_and_its_gradients(features: int) -> None:
    norm = FeatureLayerNorm(features).cuda()
    x, grad = 3 + noise(4, 701, features), noise(4, 701, features)
    with torch.no_grad():
        norm.weight.copy_(noise(features))
        norm.bias.copy_(noise(features))
    leaves = [x.requires_grad_(), norm.weight, norm.bias]
    y = norm(x)
    found = [y, *torch.autograd.grad(y, leaves, grad)]
    results = []
    for dtype in (torch.float64, torch.float32):
        copies = [leaf.detach().to(dtype).requires_grad_() for leaf in leaves]
        y = F.layer_norm(copies[0], (features,), copies[1], copies[2], norm.eps)
        results.append([y, *torch.autograd.grad(y, copies, grad.to(dtype))])
    for mine, exact, theirs in zip(found, *results, strict=True):  # of three features, some hardly differ at all
        allowed = 3 * (theirs - exact).abs().max() + 1e-6 * exact.abs().max()
        assert (mine - exact).abs().max() <= allowed


@pytest.mark.parametrize(("rows", "features"), [(1, 5), (5000, 128), (701, 300)])
def test_rows_are_summed(rows: int, features: int) -> None:
    x = noise(rows, features)
    near = 1e-6 * float(x.double().abs().sum(0).max())
    torch.testing.assert_close(fused.sum_rows(x).double(), x.double().sum(0), rtol=0, atol=near)


@pytest.mark.parametrize("kernels", [1, 2])
def test_without_triton_the_numbers_are_the_same_to_the_last_digits(kernels: int,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    u, k, d, grad = noise(3, 100, 5), noise(kernels, 5, 100), noise(5), noise(3, 100, 5)
    found = []
    for here in (True, False):
        monkeypatch.setattr(fused, "ready", lambda here=here: here)
        leaves = [x.detach().requires_grad_() for x in (u, k, d)]
        y = convolve(*leaves)
        found.append([y.detach(), *torch.autograd.grad(y, leaves, grad)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=3e-6 * float(other.abs().max()))
