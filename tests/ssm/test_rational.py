"""The rational kernel: it can be that of any modes, equals its companion form, and refuses what has no meaning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suite.errors import UserError
from suite.ssm import S4D, RationalKernel

pytestmark = pytest.mark.usefixtures("one_thread")


def rational(features: int = 2, length: int = 200, **fields: Any) -> RationalKernel:
    return RationalKernel(features, length=length, dtype=torch.float64, seed=0, **{"state_size": 8} | fields)


def of_modes(size: int, dt: float, L: int) -> tuple[RationalKernel, torch.Tensor]:
    """A rational kernel that is that of S4D-Lin with `size` states, and S4D's kernel (1, L)."""
    other = S4D(1, init="lin", state_size=size, seed=1, dtype=torch.float64, discretization="zoh", dt_min=dt, dt_max=dt)
    kernel, modes = other.kernel(L).detach()[0], torch.exp(other.discrete().log_A_bar).detach().numpy()[0]
    a = np.poly(np.concatenate([modes, modes.conj()])).real
    b = np.fft.irfft(np.fft.rfft(kernel[0]) * np.fft.rfft(a, L), L)
    assert np.abs(b[size + 1 :]).max() < 1e-9 * np.abs(b).max()
    layer = rational(1, L, state_size=size)
    with torch.no_grad():
        layer.a.copy_(torch.from_numpy(a[1:]))
        layer.b.copy_(torch.from_numpy(b[1 : size + 1] - b[0] * a[1:]))
        layer.d.fill_(float(b[0]))
    return layer, kernel


@pytest.mark.parametrize(("size", "bound"), [(4, 1e-10), (8, 1e-8), (16, 1e-5)])
def test_it_can_be_the_kernel_of_modes(size: int, bound: float) -> None:
    layer, kernel = of_modes(size, 0.05, 200)
    found = layer.kernel(200).detach()[0, 0].clone()
    found[0] += layer.d.detach()[0]
    assert float((found - kernel[0]).abs().max() / kernel.abs().max()) < bound
    assert torch.equal(layer.kernel(30), layer.kernel(200)[..., :30])  # cut, and not made for another L


def test_the_companion_form_equals_the_convolution() -> None:
    poles = np.array([0.9, 0.8, 0.85, 0.7]) * np.exp([0.5j, 1.5j, 2.5j, 2j])  # clusters would cost digits
    layer = rational(2, 40, copies=2)
    with torch.no_grad():
        for h, size in enumerate((1.0, 0.9)):
            layer.a[h] = torch.from_numpy(np.poly(size * np.concatenate([poles, poles.conj()])).real[1:])
        layer.b.copy_(torch.randn(1, 2, 8, generator=torch.Generator().manual_seed(1)))
    u = torch.randn(2, 40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model, rows = layer.recurrence(), []
    state = model.start(2)
    with torch.no_grad():
        for t in range(40):
            y, state = model.step(u[:, t], state)
            rows.append(y)
        whole = layer(u)
    assert float((torch.stack(rows, 1) - whole).abs().max() / whole.abs().max()) < 1e-11


def test_it_begins_as_the_identity_with_its_coefficients_as_parameters() -> None:
    layer = rational(6, copies=3, bidirectional=True)
    u = torch.randn(2, 50, 6, dtype=torch.float64)
    assert torch.allclose(layer(u), u, atol=1e-14) and layer.margin == 1
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"a": (3, 8), "b": (2, 6, 8), "d": (6,)}
    assert {RationalKernel.parameter_groups[name] for name in "ab"} == {"ssm"}
    assert "a" in dict(rational(train_a=False).named_buffers())


def test_gradients() -> None:
    layer = rational(2, 12, state_size=4, copies=2, bidirectional=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in (layer.a, layer.b):
            p.copy_(0.2 * torch.randn(p.shape, dtype=torch.float64, generator=generator))
    u = torch.randn(1, 12, 2, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda u, *_: layer(u), (u, *layer.parameters()))


def test_the_margin_tells_of_a_pole_on_a_root_of_unity() -> None:
    layer = rational()
    with torch.no_grad():
        layer.a[0, 0] = -1.0 + 1e-6
    assert layer.margin == pytest.approx(1e-6) and "margin=1e-06" in repr(layer)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: rational()(torch.zeros(1, 9, 2), rate=2.0), "use rate 1"),
    (lambda: rational().recurrence(2.0), "use rate 1"),
    (lambda: rational(bidirectional=True).recurrence(), "no step mode"),
    (lambda: rational(kernel_length=4).recurrence(), "no step mode"),
    (lambda: RationalKernel(4), r"length is needed, since b \(1 - A\^L\) depends"),
    (lambda: rational(length=8), "a rational kernel of order 8 for sequences of 8 steps"),
    (lambda: rational()(torch.zeros(1, 201, 2)), "an input of 201 steps, for a layer of length 200"),
    (lambda: rational(train_b=False), "a rational kernel has no such choice: leave ssm.train_b at true"),
    (lambda: S4D(4, kernel="rational"), "have one kernel each"),
    (lambda: RationalKernel(4, kernel="free"), "have one kernel each")])
def test_what_has_no_meaning_is_refused(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()
