"""The rules backward, symplectic and euler_exp, the constraints inverse and square, and Re(A) = 0: their oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from suite.errors import UserError
from suite.ssm import S4, S4D, constraints, modes, recurrence
from suite.ssm.kernels import power_sum

pytestmark = pytest.mark.usefixtures("one_thread")
ZERO: dict[str, Any] = {"real_zero": True, "re_constraint": "none", "re_clamp": 0.0}
OSCILLATORS = [(0.3, 0.5), (1.0, 1.0), (0.05, 0.9), (2.0, 0.7)]  # A and dt of LinOSS


def layer(features: int = 4, length: int | None = 64, **fields: Any) -> S4D:
    return S4D(features, length=length, seed=1, dtype=torch.float64, **fields)


def discrete(lam: complex, dt: float, rule: str) -> modes.Discrete:
    log_dt = torch.tensor([np.log(dt)], dtype=torch.float64)
    return modes.discretize(torch.tensor([[lam]], dtype=torch.complex128), log_dt, rule, 1.0)


def oscillator(A: float, dt: float, implicit: bool, steps: int = 200) -> np.ndarray:
    """y of LinOSS after an impulse: z' = z + dt (-A y* + u), y' = y + dt z'; y* is the new y (IM) or the old (IMEX)."""
    z, y, out = 0.0, 0.0, []
    for k in range(steps):
        u = 1.0 if k == 0 else 0.0
        z = (z + dt * (u - A * y)) / (1 + dt * dt * A) if implicit else z + dt * (u - A * y)
        y = y + dt * z
        out.append(y)
    return np.array(out)


@pytest.mark.parametrize(("A", "dt"), OSCILLATORS)
@pytest.mark.parametrize(("rule", "implicit"), [("backward", True), ("symplectic", False)])
def test_oscillators_are_modes_of_their_rule(rule: str, implicit: bool, A: float, dt: float) -> None:
    omega = A**0.5
    found = discrete(1j * omega, dt, rule)
    kernel = power_sum(found.B_gain / (2j * omega), found.log_A_bar, 200)[0].numpy()
    expected = oscillator(A, dt, implicit)
    assert np.abs(kernel - expected).max() < 1e-12 * max(1, np.abs(expected).max())
    size = (1 + dt * dt * A) ** -0.5 if implicit else 1
    assert float(torch.exp(found.log_A_bar).abs()) == pytest.approx(size, rel=1e-14)


def test_an_oscillator_that_is_too_fast_grows() -> None:
    """What the refusal at dt |Im(A)| = 2 spares: at dt² A = 4.01 the scheme's matrix has an eigenvalue of 1.105."""
    s = 4.01
    assert np.abs(np.linalg.eigvals(np.array([[1, -s], [1, 1 - s]]))).max() == pytest.approx(1.105, abs=1e-3)


@pytest.mark.parametrize(("rule", "order"), [("zoh", None), ("bilinear", 2), ("euler_exp", 1), ("backward", 1),
                                             ("symplectic", 1)])
def test_the_order_of_the_step_response(rule: str, order: int | None) -> None:
    """The answer to u = 1 at t = 1 against (e^A - 1)/A, with steps of 1/100 and 1/200."""
    a, errors = (3j if rule == "symplectic" else -0.5 + 3j), []
    for steps in (100, 200):
        found = discrete(a, 1 / steps, rule)
        answer = complex(found.B_gain) * (np.exp(complex(found.log_A_bar) * steps) - 1) \
            / (np.exp(complex(found.log_A_bar)) - 1)
        errors.append(abs(answer - (np.exp(a) - 1) / a))
    if order is None:
        assert max(errors) < 1e-13
    else:
        assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.05)


@pytest.mark.parametrize(("rule", "error"), [("backward", 5e-3), ("bilinear", 8e-5), ("symplectic", 4e-5), ("zoh", 0),
                                             ("euler_exp", 0)])
def test_the_local_error_of_a_mode(rule: str, error: float) -> None:
    off = abs(np.exp(complex(discrete(0.1j, 1.0, rule).log_A_bar)) - np.exp(0.1j))
    assert off == pytest.approx(error, rel=0.1, abs=1e-15)


def test_euler_exp_is_zoh_but_for_a_factor_of_each_mode() -> None:
    one, other = (layer(init="lin", discretization=rule).discrete() for rule in ("euler_exp", "zoh"))
    assert torch.equal(one.log_A_bar, other.log_A_bar)
    s = (one.dt * one.lam).detach()
    assert torch.allclose(other.B_gain / one.B_gain, torch.expm1(s) / s, atol=1e-12)


@pytest.mark.parametrize("fields", [{"discretization": "backward"}, {"discretization": "euler_exp"},
                                    {"discretization": "symplectic", "dt_max": 0.02} | ZERO])
def test_the_recurrence_of_4096_steps(fields: dict[str, Any]) -> None:
    made = layer(2, 4096, init="lin", **fields)
    found = made.discrete()
    model = recurrence.diagonal(found, (made._C() * made._B() * found.B_gain)[0], None, torch.zeros(2).double())
    state, rows = model.start(1), []
    with torch.no_grad():
        for t in range(4096):
            y, state = model.step(torch.full((1, 2), float(t == 0), dtype=torch.float64), state)
            rows.append(y[0])
        kernel = made.kernel(4096)[0]
    assert float((torch.stack(rows, -1) - kernel).abs().max() / kernel.abs().max()) < 1e-10


@pytest.mark.parametrize("rule", ["backward", "euler_exp", "symplectic"])
def test_gradients_of_the_rules(rule: str) -> None:
    fields = ZERO if rule == "symplectic" else {}
    made = S4D(2, length=9, seed=0, state_size=8, init="lin", dtype=torch.float64, bidirectional=True,
               discretization=rule, **fields)
    leaves = [p for name, p in made.named_parameters() if name != "d"]
    assert torch.autograd.gradcheck(lambda *_: made.kernel(9), leaves, atol=1e-6, rtol=1e-5)


def test_the_symplectic_rule_has_no_use_for_re_a_and_holds_what_becomes_too_fast() -> None:
    made = layer(init="lin", discretization="symplectic", state_size=16, dt_max=0.05, **ZERO)
    assert "theta" in dict(made.named_buffers()) and "theta" not in dict(made.named_parameters())
    assert torch.equal(made.discrete().log_A_bar.real, torch.zeros(4, 8).double())
    with torch.no_grad():
        made.imag[0, -1] = 1e4
    kernel = made.kernel(64)
    kernel.square().sum().backward()
    assert torch.isfinite(kernel).all() and made.imag.grad[0, -1] == 0 and bool((made.imag.grad[0, 1:-1] != 0).all())


@pytest.mark.parametrize(("fields", "words"), [
    ({"init": "lin", "state_size": 64}, "lower ssm.imag_scale or ssm.dt_max"),
    ({"init": "lin", "state_size": 64, "dt_law": "length", "length": 64}, r"dt \|Im\(A\)\| is .* at init")])
def test_an_init_beyond_the_symplectic_limit_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        layer(**{"discretization": "symplectic"} | ZERO | fields)


@pytest.mark.parametrize(("rule", "given", "largest"), [
    ("inverse", 0.5, 1.9), ("inverse", 0.1, 9.9), ("square", 0, 99.0)])
def test_constraints_and_back(rule: str, given: float, largest: float) -> None:
    a = np.geomspace(1e-4, largest, 500)
    theta = constraints.unconstrain(-a, rule, 1e-4, given)
    back = constraints.constrain(torch.from_numpy(theta), rule, given).numpy()
    assert np.abs(back / -a - 1).max() < 1e-12
    x = torch.from_numpy(theta[::50].copy()).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: constraints.constrain(t, rule, given), x)
    if rule == "inverse":  # |a'|/a² = 2|θ|
        (slope,) = torch.autograd.grad(constraints.constrain(x, rule, given).sum(), x)
        assert torch.allclose(slope / constraints.constrain(x, rule, given) ** 2, 2 * x)


@pytest.mark.parametrize(("b", "theta"), [(0.5, 1.22474), (0.1, 1.37840)])
def test_theta_of_inverse_at_init(b: float, theta: float) -> None:
    made = layer(init="lin", re_constraint="inverse", inverse_b=b)
    assert np.allclose(made.theta.detach(), theta, atol=5e-6)
    assert np.allclose(made.discrete().lam.detach().real, -0.5, atol=1e-15)


def test_inverse_refuses_what_it_cannot_reach() -> None:
    with pytest.raises(UserError, match=r"allows at most 1/b = 2"):
        constraints.unconstrain(np.array([-0.5, -2.0]), "inverse", 1e-4, 0.5)
    with pytest.raises(UserError, match="lower ssm.inverse_b"):
        layer(init="real", state_size=8, re_constraint="inverse")
    assert layer(init="real", state_size=8, re_constraint="inverse", inverse_b=0.1).theta.isfinite().all()
    assert S4(4, init="legt", length=20, re_constraint="inverse", seed=0).theta.isfinite().all()


@pytest.mark.parametrize("rule", ["inverse", "square"])
def test_small_decays_in_float32(rule: str) -> None:
    theta = torch.from_numpy(constraints.unconstrain(np.array([-1e-4]), rule, 0.0, 0.5)).float().requires_grad_()
    a = constraints.constrain(theta, rule, 0.5)
    a.sum().backward()
    assert float(a.detach()) == pytest.approx(-1e-4, rel=1e-5) and theta.grad.isfinite().all()


def test_a_kernel_without_decay_comes_back_after_its_period() -> None:
    """With C = 1, gain one and dt = 2/τ it is 2M at 0 and at τ, and small between (M = 64, τ = 100)."""
    made = layer(1, 200, init="lin", state_size=128, discretization="zoh", gain="one", dt_min=0.02, dt_max=0.02, **ZERO)
    assert torch.exp(made.discrete().log_A_bar).abs().detach().numpy() == pytest.approx(1, abs=1e-15)
    with torch.no_grad():
        made.c.copy_(torch.tensor([1.0, 0.0]).expand_as(made.c))
        kernel = made.kernel(101)[0, 0] / 128
    assert float(kernel[0]) == pytest.approx(1) and float(kernel[100]) == pytest.approx(1)
    assert float(kernel[1:100].abs().max()) < 0.18


def test_the_step_size_for_a_length() -> None:
    short, long = (layer(64, length, init="inv", dt_law="length").log_dt.detach() for length in (1024, 16384))
    assert torch.allclose(short, layer(64, 99, init="inv").log_dt)
    assert np.allclose(long - short, -np.log(4))
    with pytest.raises(UserError, match="length is needed, since the step size by dt_law: length depends"):
        layer(4, None, dt_law="length")


def test_a_mode_that_training_pushes_beyond_zero_stays_finite() -> None:
    made = S4D(4, length=1000, init="lin", discretization="zoh", seed=0, **ZERO)
    with torch.no_grad():
        made.theta.fill_(-1e3)
    for rate in (1.0, 2.0):
        assert float(made.discrete(rate).log_A_bar.real.detach().max()) * 1000 / rate == pytest.approx(20)
        assert made.kernel(round(1000 / rate), rate).isfinite().all()
