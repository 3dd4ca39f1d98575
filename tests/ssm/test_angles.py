"""Initializations on the unit circle (dfout, ring), the gains, and ptd: the oracles of their papers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import S4D, conditioned, gains, perturbed
from suite.ssm.size import kernel_size

pytestmark = pytest.mark.usefixtures("one_thread")
ANGLES: dict[str, Any] = {"dt_scope": "real", "discretization": "zoh"}
RING: dict[str, Any] = {"init": "ring", "gain": "gamma", "dt_min": 1.0, "dt_max": 1.0, "discretization": "zoh"}


def layer(features: int = 4, length: int | None = None, **fields: Any) -> S4D:
    return S4D(features, length=length, seed=1, dtype=torch.float64, **fields)


def angles(name: str, copies: int, size: int) -> np.ndarray:
    made = layer(copies, init=name, copies=copies, state_size=size, **ANGLES)
    return made.imag.detach().numpy()


@pytest.mark.parametrize("name", ["dfout", "dfout_batched"])
def test_the_angles_of_all_copies_are_one_even_grid_of_the_half_circle(name: str) -> None:
    found = np.sort(angles(name, 8, 64).ravel())
    assert np.allclose(np.diff(found), np.pi / (32 * 8), rtol=1e-10)
    assert found[0] == 0 and found[-1] < np.pi


def test_each_variant_has_its_angles() -> None:
    h, n = np.arange(4)[:, None], np.arange(8)[None]
    assert np.allclose(angles("dfout", 4, 16), 2 * np.pi * n / 16 + 2 * np.pi * h / (16 * 4), atol=1e-14)
    assert np.allclose(angles("dfout_token", 4, 16), 2 * np.pi / (n + 1) + 0 * h, atol=1e-14)
    assert np.allclose(angles("dfout_batched", 4, 16), np.pi * (h * 8 + n) / 32, atol=1e-14)
    drawn = angles("dfout_random", 64, 128)
    assert drawn.min() >= 0 and drawn.max() < 2 * np.pi
    assert drawn.mean() == pytest.approx(np.pi, abs=0.1) and drawn.std() == pytest.approx(np.pi / 3**0.5, abs=0.05)


def test_the_damping_multiplies_the_real_part_alone_and_the_rate_both() -> None:
    made = layer(4, init="dfout", copies=4, state_size=16, dt_min=0.02, dt_max=0.02, **ANGLES)
    for rate in (1.0, 2.0):
        found = torch.exp(made.discrete(rate).log_A_bar).detach().numpy()
        assert np.allclose(found, np.exp(rate * (-0.01 + 1j * angles("dfout", 4, 16))), atol=1e-14)


def test_a_copy_without_damping_is_a_discrete_fourier_basis() -> None:
    """Copy H/2 is orthogonal, copy 0 lacks the highest frequency, and the others can fit any kernel of N steps."""
    N, H = 64, 8
    steps, target = np.arange(N)[:, None], np.random.default_rng(0).standard_normal(N)
    omega = angles("dfout", H, N)
    V = [np.concatenate([np.exp(1j * steps * a), np.exp(-1j * steps * a)], 1) for a in omega]
    assert np.allclose(V[H // 2].conj().T @ V[H // 2], N * np.eye(N), atol=1e-10)
    assert np.linalg.cond(V[1]) == pytest.approx(31.3, abs=0.1)
    residual = [target - (v @ np.linalg.lstsq(v, target, rcond=1e-10)[0]).real for v in V]
    assert np.linalg.matrix_rank(V[0], tol=1e-8) == N - 1
    highest = (-1.0) ** np.arange(N)
    assert np.allclose(residual[0], highest * (highest @ target) / N, atol=1e-10)
    assert max(np.abs(r).max() for r in residual[1:]) < 1e-11


@pytest.mark.parametrize(("gain", "sizes"), [
    ("rule", (179, 71, 22)), ("one", (203, 80, 26)), ("dt", (0.2, 0.8, 2.6)), ("gamma", (6.4, 8, 8))])
def test_the_size_of_kernels_at_init(gain: str, sizes: tuple[float, ...]) -> None:
    for damping, size in zip((0.001, 0.01, 0.1), sizes, strict=True):
        fields = {"init": "dfout", "copies": 64, "gain": gain, "dt_min": damping, "dt_max": damping} | ANGLES
        assert kernel_size(SSM(**fields), 1024) == pytest.approx(size, rel=0.03)
    lin = SSM(init="lin", discretization="zoh", dt_min=0.01, dt_max=0.01)
    assert kernel_size(lin, 1024) == pytest.approx(0.79, 0.01)


@pytest.mark.parametrize("fields", [
    {"init": "dfout", "copies": 8, "gain": "gamma"} | ANGLES, RING | {"copies": 8}, {"init": "dfout_random"} | ANGLES,
    {"init": "lin", "gain": "dt", "discretization": "zoh"}, {"init": "real", "real_law": "spectrum",
                                                             "discretization": "zoh"}])
def test_the_size_is_that_of_the_layer_s_kernels(fields: dict[str, Any]) -> None:
    made = layer(8, **fields)
    drawn = torch.stack([S4D(8, seed=k, **fields).kernel(200).detach().double().square().sum(-1).mean()
                         for k in range(200)])
    assert kernel_size(made.config, 200, features=8) == pytest.approx(float(drawn.mean().sqrt()), rel=0.15)


@pytest.mark.parametrize(("fields", "words"), [
    ({"structure": "mimo", "init": "legs"}, "ssm.structure: mimo has one state for all features, so there is no"),
    ({"structure": "mimo", "init": "legs", "discretization": "zoh"}, "leave it out: the size is for diagonal"),
    ({"structure": "dplr", "kernel": "cauchy"}, "ssm.structure: there is no closed form .* structure: dplr"),
    ({"kernel": "free"}, "ssm.kernel: .* with kernel: free\\n    use vandermonde"),
    ({"init": "lin"}, "ssm.discretization: .* with discretization: bilinear\\n    use zoh")])
def test_a_size_that_is_not_known_is_refused_at_its_field(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        kernel_size(SSM(**fields), 64)


def test_the_ring_s_radii_and_angles() -> None:
    made = layer(64, copies=64, state_size=128, ring_min=0.5, ring_max=0.9, ring_phase=0.3, **RING)
    squared = torch.exp(2 * made.discrete().log_A_bar.real).detach()
    assert float(squared.min()) >= 0.25 and float(squared.max()) <= 0.81
    assert float(squared.mean()) == pytest.approx(0.53, abs=0.01)  # uniform in the square
    assert made.imag.detach().min() > 0 and made.imag.detach().max() <= 0.3


def test_the_ring_s_gain_is_the_variance_of_the_state() -> None:
    """Without γ, E‖x‖²/E‖Bu‖² is the mean of 1/(1 - |A_bar|²), 24.2 on the ring (.9, .999); with it, it is 1."""
    made = layer(64, copies=64, state_size=512, **RING)
    growth = 1 / -torch.expm1(2 * made.discrete().log_A_bar.real.detach())
    expected = math.log((1 - 0.9**2) / (1 - 0.999**2)) / (0.999**2 - 0.9**2)
    assert expected == pytest.approx(24.2, abs=0.05)
    assert float(growth.mean()) == pytest.approx(expected, rel=0.05)
    assert float((growth * made.discrete().B_gain.detach().abs() ** 2).sub(1).abs().max()) < 1e-12
    assert kernel_size(made.config, 10**6) == pytest.approx(512**0.5, rel=1e-3)


def test_gamma_keeps_its_digits_near_the_circle() -> None:
    fields = RING | {"ring_min": 0.9998, "ring_max": 0.99989, "state_size": 64}
    exact, single = (S4D(4, seed=1, dtype=dtype, **fields).discrete().B_gain.detach()
                     for dtype in (torch.float64, torch.float32))
    assert float(((single - exact).abs() / exact.abs()).max()) < 1e-6


def test_a_ring_from_the_centre_is_finite() -> None:
    made = layer(4, copies=4, ring_min=0.0, ring_max=0.99, **RING)
    assert torch.isfinite(made.theta).all() and torch.isfinite(made(torch.ones(1, 9, 4).double())).all()


def test_gamma_is_trained_with_a() -> None:
    assert layer(4, copies=2, state_size=8, **RING).log_gamma.shape == (4, 4)
    assert "log_gamma" in dict(layer(**RING).named_parameters())
    assert "log_gamma" in dict(layer(train_a=False, **RING).named_buffers())
    assert S4D.parameter_groups["log_gamma"] == "ssm"  # no decay


@pytest.mark.parametrize("gain", gains.GAINS)
def test_the_gains_at_another_rate(gain: str) -> None:
    made = layer(4, init="dfout", copies=4, state_size=16, gain=gain, **ANGLES)
    one, two = made.discrete(1.0), made.discrete(2.0)
    if gain == "rule":  # 1 + A_bar: two steps of the old rate with the same input
        assert torch.allclose(two.B_gain, one.B_gain * (1 + torch.exp(one.log_A_bar)), atol=1e-12)
    else:
        assert torch.allclose(two.B_gain, 2 * one.B_gain, atol=1e-14)


@pytest.mark.parametrize("fields", [
    {"init": "lin", "discretization": "zoh"}, {"init": "lin", "discretization": "euler_exp"},
    {"init": "dfout"} | ANGLES, {"init": "dfout_random"} | ANGLES, RING])
def test_half_the_rate_squares_the_discrete_modes(fields: dict[str, Any]) -> None:
    made = layer(**fields)
    square = torch.exp(made.discrete().log_A_bar) ** 2
    assert torch.allclose(torch.exp(made.discrete(2.0).log_A_bar), square, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("fields", "count"), [
    ({"init": "dfout", "copies": 16} | ANGLES, 16 * 32 * 6 + 2 * 16),
    ({"init": "dfout", "copies": 16, "train_b": False} | ANGLES, 16 * 32 * 4 + 2 * 16),
    (RING | {"copies": 16, "train_dt": False}, 16 * 32 * 7 + 16),
    ({"init": "ptd"}, 32 * 4 + 16 * 32 * 2 + 2 * 16)])
def test_parameters_are_counted(fields: dict[str, Any], count: int) -> None:
    assert sum(p.numel() for p in layer(16, **fields).parameters()) == count


def test_perturbed_legs_is_diagonalized_and_its_kernel_is_that_of_the_dense_system() -> None:
    found = perturbed.perturbed(64, 1e-3, np.random.default_rng(0))
    back = found.v * found.a @ np.linalg.inv(found.v)
    assert np.linalg.norm(back - found.matrix) / np.linalg.norm(found.matrix, 2) < 1e-12
    assert (found.a.real < 0).all() and 1e2 < np.linalg.cond(found.v) < 1e5
    made = layer(1, init="ptd", state_size=32, dt_min=0.02, dt_max=0.02, discretization="zoh")
    dense = perturbed.perturbed(16, 1e-3, np.random.default_rng(1))  # the layer's own draw
    assert 0.02 * np.abs(dense.a.imag).max() < 3
    vectors = torch.from_numpy(dense.v)
    step = torch.matrix_exp(0.02 * torch.from_numpy(dense.matrix))
    unit = torch.from_numpy(np.sqrt(2 * np.arange(16) + 1) + 0j)
    x = torch.linalg.solve(torch.from_numpy(dense.matrix), (step - torch.eye(16)) @ unit)
    row = torch.view_as_complex(made.c.detach())[0, 0] @ torch.linalg.inv(vectors)
    expected = []
    for _ in range(100):
        expected.append(2 * (row @ x).real)
        x = step @ x
    kernel = made.kernel(100).detach()[0, 0]
    assert float((kernel - torch.stack(expected)).abs().max() / kernel.abs().max()) < 1e-9


def test_a_perturbation_that_makes_modes_grow_is_refused() -> None:
    with pytest.raises(UserError, match=r"ssm.ptd_eps: \d+ of 64 eigenvalues have a positive real part"):
        layer(init="ptd", state_size=128, ptd_eps=0.1)


def test_an_optimized_perturbation_is_better_conditioned_and_its_modes_do_not_grow() -> None:
    E = conditioned.perturbation(8, 60)
    found = perturbed.diagonalized(E)
    back = found.v * found.a @ np.linalg.inv(found.v)
    assert np.linalg.norm(back - found.matrix) / np.linalg.norm(found.matrix, 2) < 1e-12
    assert np.linalg.cond(found.v) < 3 < 100 < np.linalg.cond(perturbed.perturbed(8, 1e-3, np.random.default_rng(0)).v)
    assert (found.a.real > 0).any()  # which the layer reflects
    made = layer(4, init="ptd", state_size=16, copies=2, ptd_steps=60)
    assert np.allclose(made.discrete().lam.detach().numpy(), -np.abs(found.a.real) + 1j * found.a.imag, atol=1e-12)
    assert conditioned.perturbation(8, 60) is E and not E.flags.writeable
