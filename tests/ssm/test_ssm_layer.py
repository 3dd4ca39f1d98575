"""The layer: causal and two-sided convolution, step mode, rate, back ends, and the options of the kernels."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ssm_twin as twin
import torch
from filelock import FileLock

from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import blocked, cauchy, dense, direct, keops, kernels
from suite.ssm.conv import convolve, transform_size
from suite.ssm.dplr import squaring
from suite.ssm.layer import SSMLayer
from suite.ssm.state_space import StateSpaceLayer

DPLR = {"structure": "dplr", "kernel": "cauchy", "b_init": "hippo", "rank": 1}
ZERO = {"init": "lin", "real_zero": True, "re_constraint": "none", "re_clamp": 0.0}
ANGLES = {"dt_scope": "real", "discretization": "zoh"}
MODELS = {
    "bilinear": {"init": "inv"}, "zoh": {"init": "lin", "discretization": "zoh"}, "grows": {"re_constraint": "none"},
    "softmax": {"kernel": "softmax", "discretization": "zoh"}, "c tilde": {"c_tilde": True},
    "softmax grows": {"kernel": "softmax", "discretization": "zoh", "re_constraint": "none", "softmax_factor": 1},
    "spectrum": {"init": "real", "real_law": "spectrum"}, "legs": DPLR, "legt": DPLR | {"init": "legt", "rank": 2},
    "fout": DPLR | {"init": "fout"}, "both": DPLR | {"init": "legs+fout", "copies": 2},
    "plain C": DPLR | {"c_tilde": False}, "rank 0": DPLR | {"rank": 0},
    "backward": {"discretization": "backward"}, "euler": {"discretization": "euler_exp", "re_constraint": "inverse"},
    "symplectic": ZERO | {"discretization": "symplectic", "dt_max": 0.02}, "zero": ZERO | {"discretization": "zoh"},
    "square": {"re_constraint": "square", "gain": "dt"}, "dfout": ANGLES | {"init": "dfout", "copies": 4},
    "random": ANGLES | {"init": "dfout_random", "gain": "one"}, "ptd": {"init": "ptd"},
    "softmax of angles": ANGLES | {"init": "dfout", "kernel": "softmax"},
    "ring": {"init": "ring", "discretization": "zoh", "gain": "gamma", "dt_min": 1.0, "dt_max": 1.0, "copies": 2},
    "S4 inverse": DPLR | {"re_constraint": "inverse"},
}


@pytest.fixture(autouse=True)
def usual_backend(one_thread):
    yield
    kernels.use_backend(None)


def make(length: int = 40, bidirectional: bool = False, **fields) -> StateSpaceLayer:
    fields.setdefault("state_size", 16)
    layer = SSMLayer(SSM(**fields), 4, length, bidirectional, np.random.default_rng(1))
    if fields.get("re_constraint") == "none":
        with torch.no_grad():
            layer.theta[0, 0] = -0.8
    return layer


def signal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kernels_", "length", "taps"), [(1, 1, 1), (2, 1, 1), (1, 9, 9), (2, 9, 9), (2, 12, 5)])
def test_convolution_equals_its_sum(kernels_: int, length: int, taps: int) -> None:
    u, k, d = signal(2, length, 3).double(), signal(kernels_, 3, taps).double(), signal(3).double()
    y = torch.zeros_like(u)
    for t in range(length):
        y[:, t] = d * u[:, t] + sum(k[0, :, j] * u[:, t - j] for j in range(min(taps, t + 1)))
        if kernels_ == 2:  # the backward kernel starts at the next sample
            y[:, t] += sum(k[1, :, j] * u[:, t + 1 + j] for j in range(min(taps, length - 1 - t)))
    assert torch.allclose(convolve(u, k, d), y, atol=1e-12)


@pytest.mark.parametrize("length", [1, 7, 100, 1000, 1009])
def test_the_circle_is_large_enough_and_even(length: int) -> None:
    assert transform_size(length, length) >= 2 * length
    assert transform_size(length, length) % 2 == 0
    assert transform_size(length, length) <= max(32, 2.4 * length)


def test_large_matrices_are_solved_and_factorized_with_several_threads() -> None:
    a = 5 * torch.eye(200).double() + torch.randn(32, 200, 200, generator=torch.Generator().manual_seed(0)).double()
    b, before = a[:, :, :3].roll(1, 1), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.allclose(a @ dense.solve(a, b), b, atol=1e-8)
        assert torch.allclose(a @ torch.linalg.lu_solve(*dense.lu_factor(a), b), b, atol=1e-8)
    finally:
        torch.set_num_threads(before)


def test_the_circle_of_a_task_is_a_power_of_two() -> None:
    assert [transform_size(length, length) for length in (1024, 4000, 16000)] == [2**11, 2**13, 2**15]
    assert transform_size(3000, 3000) == 6000  # the next one would be a third larger


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_step_mode_equals_the_convolution(name: str, rate: float) -> None:
    layer = make(**MODELS[name])
    u = signal(2, 40 if rate == 1 else 20, 4)
    with torch.no_grad():
        y = layer(u, rate)
        model = layer.recurrence(rate)
        state, rows = model.start(2), []
        for t in range(u.shape[1]):
            out, state = model.step(u[:, t], state)
            rows.append(out)
    stepped = torch.stack(rows, 1)
    assert stepped.dtype == y.dtype
    assert (stepped - y).abs().max() <= 1e-5 * y.abs().max()


def test_a_bidirectional_layer_has_no_step_mode() -> None:
    with pytest.raises(UserError, match="bidirectional"):
        make(bidirectional=True).recurrence()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "plain C"])
def test_rate_equals_the_twin_at_that_rate(name: str) -> None:
    layer = make(**MODELS[name]).double()
    expected = twin.kernel(layer, twin.inputs(layer), 20, rate=2.0)
    found = layer.kernel(20, rate=2.0)
    assert layer.length_at(2.0) == 20  # length / rate
    assert (found - expected).abs().max() < 1e-9 * expected.abs().max()


def test_half_the_rate_samples_the_same_response() -> None:
    layer = make(length=4000, init="lin", dt_min=0.001, dt_max=0.002)
    fine, coarse = layer.kernel(4000), layer.kernel(2000, rate=2.0)
    assert torch.allclose(coarse.cumsum(-1)[..., 100:], fine.cumsum(-1)[..., 201::2], atol=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_a_shorter_input_takes_the_head_of_the_kernel(name: str) -> None:
    layer = make(bidirectional=True, **MODELS[name]).requires_grad_(False)
    whole = layer.kernel(40)
    assert torch.allclose(layer.kernel(13), whole[..., :13], atol=1e-5 * float(whole.abs().max()))


def test_a_wrong_input_is_named() -> None:
    for shape in ((2, 4), (2, 0, 4), (2, 5, 3)):
        with pytest.raises(UserError, match="input of shape"):
            make()(torch.zeros(shape))


@pytest.mark.parametrize("length", [1, 5, 33, 100, 1000, 1021])
@pytest.mark.parametrize("grows", [False, True])
def test_blocked_equals_naive(length: int, grows: bool) -> None:
    g = torch.Generator().manual_seed(length)
    c = torch.randn(3, 1, 2, 5, dtype=torch.complex128, generator=g).requires_grad_()
    x = torch.complex(-10 / length * torch.rand(4, 2, 5, generator=g), 3 * torch.randn(4, 2, 5, generator=g))
    x = x.to(c.dtype)
    shift = None
    if grows:
        late = torch.rand(4, 2, 5, generator=g) < 0.5
        x, shift = torch.where(late, -x, x), torch.where(late, length - 1, 0)
    x.requires_grad_()
    w = torch.randn(3, 4, 2, length, dtype=torch.float64, generator=g)
    results = []
    for backend in ("naive", "blocked"):
        k = kernels.power_sum(c, x, length, backend, shift=shift)
        assert k.shape == (3, 4, 2, length)
        results.append((k, *torch.autograd.grad(k, (c, x), w)))
    for mine, other in zip(*results, strict=True):
        assert (mine - other).abs().max() <= 1e-11 * other.abs().max()


def test_the_result_has_the_precision_of_the_coefficients() -> None:
    x = torch.full((2, 3), -0.1 + 1j, dtype=torch.complex128)
    for backend in ("naive", "blocked"):
        for dtype, real in ((torch.complex64, torch.float32), (torch.complex128, torch.float64)):
            assert kernels.power_sum(torch.ones(2, 3, dtype=dtype), x, 50, backend).dtype == real


def test_no_autocast_and_no_short_products_inside() -> None:
    layer = make(length=200, state_size=64, init="inv")
    expected = layer.kernel(200)
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, out = layer.kernel(200), layer(signal(1, 200, 4).bfloat16())
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found, expected)
    assert torch.isfinite(out).all()


def test_tables_of_strong_decay_hold_no_subnormal_numbers() -> None:
    x = torch.full((1, 1), -0.7 + 0.1j, dtype=torch.complex128)
    table = torch.view_as_real(blocked.powers(x, None, 400, torch.complex64)).abs()
    assert (table[table > 0] >= 1e-19).all()
    assert (table == 0).any()


def test_the_direct_cauchy_sum_agrees() -> None:
    layer = make(length=101, bidirectional=True, **MODELS["legt"]).double()
    c, b, p, found = (torch.view_as_complex(layer.c), layer._B(), layer._P(),
                      layer.discrete())
    mine = cauchy.by_transforms(c, b, p, found, 101, torch.float64)
    for other in (direct.cauchy, squaring.dplr, cauchy.dplr):
        assert (mine - other(c, b, p, found, 101, torch.float64)).abs().max() < 1e-10 * mine.abs().max()
    with pytest.raises(UserError, match="direct Cauchy"):
        direct.cauchy(c, b, p, found, 101, torch.float64, "blocked")


def test_options_of_the_softmax_kernel() -> None:
    shared = {"kernel": "softmax", "discretization": "zoh", "init": "lin", "dt_min": 0.001, "dt_max": 0.002}
    two, one = make(**shared).kernel(40), make(softmax_factor=1, **shared).kernel(40)
    assert torch.allclose(two, 2 * one, rtol=1e-6)
    layer = make(softmax_eps=1e-7, **shared).requires_grad_(False)
    found = layer.discrete()
    x = (torch.exp(found.lam * found.dt * 40) - 1) * found.lam
    weight = torch.view_as_complex(layer.c.double()) * (torch.exp(found.lam * found.dt) - 1)
    weight = weight * x.conj() / (x.abs() ** 2 + 1e-7)
    expected = kernels.power_sum(weight, found.log_A_bar, 40).float()
    assert torch.allclose(layer.kernel(40), expected, atol=1e-5 * float(expected.abs().max()))
    assert not torch.allclose(expected, two, rtol=1e-4)


def test_detaching_the_shift_drops_one_term_of_growing_modes() -> None:
    """d log K_n / ds differs by exactly L - 1, for modes that grow only."""
    layers = {flag: make(kernel="softmax", discretization="zoh", re_constraint="none", softmax_detach=flag).double()
              for flag in (False, True)}
    slopes, values = {}, {}
    for flag, layer in layers.items():
        found = layer.discrete()
        s = found.log_A_bar.detach().requires_grad_()
        given = replace(found, log_A_bar=s, lam=found.lam.detach())
        weight, shift = kernels.softmax_weights(torch.ones_like(s)[None], given, 40, detach=flag)
        k = kernels.power_sum(weight, s, 40, shift=shift)
        slopes[flag], values[flag] = torch.autograd.grad(k[0, :, 7].sum(), s)[0], k
    assert torch.equal(values[True], values[False])
    grows = layers[True].discrete().lam.real > 0
    assert grows.any()
    assert torch.equal(slopes[True][~grows], slopes[False][~grows])
    assert not torch.allclose(slopes[True][grows], slopes[False][grows], rtol=1e-3)


def test_back_ends_are_chosen_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_ran", set())
    monkeypatch.setenv("SUITE_KERNEL_BACKEND", "naive")
    assert kernels.effective_backend() == "naive"
    first = make().kernel(40)
    kernels.use_backend("blocked")
    assert torch.allclose(make().kernel(40), first, atol=1e-6)
    assert kernels.effective_backend() == "blocked+naive"
    kernels.use_backend(None)
    monkeypatch.setenv("SUITE_KERNEL_BACKEND", "fast")
    with pytest.raises(UserError, match="SUITE_KERNEL_BACKEND"):
        make().kernel(40)
    with pytest.raises(UserError, match="did you mean 'naive'"):
        kernels.use_backend("naiv")
    with pytest.raises(UserError, match="length"):
        kernels.power_sum(torch.ones(2, dtype=torch.complex64), torch.ones(2, dtype=torch.complex128), 0, "naive")
    for rate in (0, -2.0, float("nan")):
        with pytest.raises(UserError, match="rate: the rate is"):
            make()(torch.zeros(1, 8, 4), rate=rate)


def test_keops_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keops.ready.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KEOPS_CACHE_FOLDER", str(tmp_path))
    kernels.use_backend("keops")
    with pytest.raises(UserError, match="C\\+\\+ compiler"):
        make().kernel(40)


def test_those_that_start_together_compile_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEOPS_CACHE_FOLDER", str(tmp_path))
    monkeypatch.setattr(keops, "_load", lambda: "loaded")
    log: list[str] = []
    monkeypatch.setattr(keops, "_warm", lambda lazy: (log.append("begin"), time.sleep(0.3), log.append("end")))
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: keops.ready.__wrapped__(), range(6))) == ["loaded"] * 6
    assert log == ["begin", "end"]


def test_keops_without_a_folder_to_write_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KEOPS_CACHE_FOLDER", str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match="the keops back end cannot run here: Not a directory: .*below"):
        keops.ready.__wrapped__()



def test_waiting_for_another_process_that_compiles_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEOPS_CACHE_FOLDER", str(tmp_path))
    monkeypatch.setattr(keops, "WAIT_S", 0.1)
    with FileLock(tmp_path / "warm.lock"), pytest.raises(UserError, match="another process has been compiling it"):
        keops.ready.__wrapped__()
