"""Inits: values of the laws, modifiers, copies, constraints, a user's own function, and bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.config import plugin
from suite.config.fields import SSM
from suite.errors import UserError
from suite.ssm import discretize, init, s4d
from suite.ssm.layer import SSMLayer

DPLR = {"structure": "dplr", "kernel": "cauchy", "b_init": "hippo", "rank": 1}


def config(**fields) -> SSM:
    return SSM(**fields)


def unchecked(**fields) -> SSM:
    """A configuration that its own types would refuse."""
    return SSM().model_copy(update=fields)


def start(**fields) -> init.Initialization:
    return init.initialize(config(**fields), np.random.default_rng(0))


def test_laws_at_64() -> None:
    n, expected = 64, {
        "lin": (0.0, 31 * np.pi), "inv": (64 / np.pi * 63, 64 / np.pi * (64 / 63 - 1)),
        "inv2": (64 / np.pi * 63, 64 / np.pi), "quad": (1 / np.pi, 63**2 / np.pi)}
    for name, (first, last) in expected.items():
        values = init.imaginary(name, n)
        assert len(values) == 32
        assert values[0] == pytest.approx(first)
        assert values[-1] == pytest.approx(last)
        assert np.allclose(start(init=name).A, -0.5 + 1j * values)
    assert np.round(init.imaginary("legs", n)[:4]).tolist() == [1303, 433, 258, 183]


def test_variants_of_the_laws() -> None:
    assert start(init="lin", lin_law="prose").A.imag.max() == pytest.approx(64 * np.pi)
    assert np.allclose(start(init="real").A, -np.arange(1, 33))
    spectrum = start(init="real", real_law="spectrum")
    assert np.allclose(spectrum.A, -np.arange(1, 65))
    assert not spectrum.paired
    laws = {law: start(init="random", random_law=law).A[0] for law in ("v3", "v4", "re")}
    assert (laws["v3"].imag < 0).any()
    assert (laws["v3"].real == -0.5).all()
    assert np.allclose(laws["v4"].imag, np.exp(laws["v3"].imag))
    assert ((laws["re"].real > -1) & (laws["re"].real <= 0)).all()
    assert len(set(laws["re"].real)) == 32


def test_modifiers() -> None:
    plain, scaled = start(init="inv").A, start(init="inv", imag_scale=0.01).A
    assert np.allclose(scaled.imag, 0.01 * plain.imag)
    assert np.allclose(scaled.real, plain.real)
    both = start(init="lin", imag_random=True, real_random=True, copies=3).A
    assert both.shape == (3, 32)
    assert ((both.imag >= 0) & (both.imag < 32 * np.pi)).all()
    assert ((both.real > -1) & (both.real <= 0)).all()
    assert len(np.unique(both.imag)) == 96  # drawn once a copy
    inverse = start(init="inv", imag_random=True).A.imag
    assert inverse.min() >= 64 / np.pi * (64 / 65 - 1) - 1e-9
    assert inverse.max() <= 64 / np.pi * 63


def test_b_and_p() -> None:
    ones, whole, half = (start(b_init=b).B for b in ("ones", "hippo", "half"))
    assert (ones == 1).all()
    assert np.allclose(whole, 2 * half)
    assert np.abs(whole).min() == pytest.approx(0.5945, abs=1e-3)
    assert start(**DPLR).P.shape == (1, 1, 32)
    assert start(**DPLR | {"init": "legt", "rank": 2}).P.shape == (2, 1, 32)
    padded = start(**DPLR | {"init": "fout", "rank": 3}).P
    assert (padded[1:] == 0).all()
    mixed = start(**DPLR | {"init": "legs+fout", "copies": 4}).A
    assert np.allclose(mixed[:2], start(**DPLR).A)
    assert np.allclose(mixed[2:], start(**DPLR | {"init": "fout"}).A)


def test_copies_interleave_over_the_features() -> None:
    layer = SSMLayer(config(**DPLR | {"init": "legs+fout", "copies": 2}), 6, 8, False, np.random.default_rng(0))
    lam = layer.discrete().lam.detach()
    assert torch.equal(lam[0], lam[2])
    assert torch.equal(lam[1], lam[5])
    assert lam[0].imag.min() == pytest.approx(-1303.27, abs=0.01)
    assert lam[1].imag.min() == pytest.approx(-31 * np.pi, abs=0.01)
    assert lam[1].real.max() == pytest.approx(-1e-3)  # the clamp of dplr


def test_parameters_buffers_and_draws() -> None:
    layer = SSMLayer(config(copies=2, train_a=False, train_b=False), 4, 16, True, np.random.default_rng(0))
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "log_dt": (4,), "c": (2, 4, 32, 2), "d": (4,)}
    assert {name: tuple(b.shape) for name, b in layer.named_buffers()} == {
        "theta": (2, 32), "imag": (2, 32), "b": (2, 32, 2)}
    assert all(t.dtype == torch.float32 for t in layer.state_dict().values())
    before = torch.get_rng_state()
    again = SSMLayer(config(copies=2, train_a=False, train_b=False), 4, 16, True, np.random.default_rng(0))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(layer.state_dict().values(), again.state_dict().values(), strict=True))
    frozen = SSMLayer(config(train_dt=False), 4, 16, False, np.random.default_rng(0))
    assert "log_dt" in dict(frozen.named_buffers())


def test_moments_of_the_draws() -> None:
    drawn = config(c_variance=2.0, dt_min=1e-4, dt_max=1e-2)
    layer = SSMLayer(drawn, 4000, 2, False, np.random.default_rng(0)).requires_grad_(False)
    assert float(layer.c.square().sum(-1).mean()) == pytest.approx(2.0, rel=0.02)
    assert float(layer.d.square().mean()) == pytest.approx(1.0, rel=0.1)
    dt = layer.log_dt.exp()
    assert float(dt.min()) == pytest.approx(1e-4, rel=0.05)
    assert float(dt.max()) == pytest.approx(1e-2, rel=0.05)
    assert float(layer.log_dt.mean()) == pytest.approx(np.log(1e-3), abs=0.1)


def test_constraints_keep_the_same_start() -> None:
    for rule, shift in (("exp", 0), ("relu", -1e-4), ("none", 0), ("softplus", 0)):
        layer = SSMLayer(config(re_constraint=rule, init="lin"), 2, 4, False, np.random.default_rng(0))
        assert torch.allclose(layer.discrete().lam.real, torch.tensor(-0.5 + shift, dtype=torch.float64), atol=1e-7)
    layer = SSMLayer(config(), 2, 4, False, np.random.default_rng(0))
    assert layer.theta[0, 0].item() == pytest.approx(-0.6931, abs=1e-4)


@pytest.mark.parametrize("rule", ["bilinear", "zoh"])
def test_dense_and_diagonal_rules_agree(rule: str) -> None:
    a, b = np.array([-0.5, -2.0, 0.0]), np.array([1.0, 2.0, 3.0])
    step, column = discretize.dense(np.diag(a), b, 0.1, rule)
    A_bar, B_bar = s4d.discretize(torch.from_numpy(a + 0j), torch.from_numpy(b + 0j), torch.tensor(0.1), rule)
    assert np.allclose(np.diag(step), A_bar)
    assert np.allclose(column, B_bar)
    with pytest.raises(KeyError):
        discretize.dense(np.diag(a), b, 0.1, "euler")


BAD = [
    ({"state_size": 7}, "ssm.state_size"), ({"state_size": 0}, "ssm.state_size"), ({"copies": 0}, "ssm.copies"),
    ({"copies": 3}, "ssm.copies"), ({"dt_min": 0.0}, "ssm.dt_min"), ({"dt_min": 0.2, "dt_max": 0.1}, "ssm.dt_min"),
    (DPLR | {"init": "legs+fout"}, "ssm.copies"), ({"init": "lim"}, "ssm.init"), ({"kernel": "cauchy"}, "ssm.kernel"),
    ({"kernel": "softmax"}, "ssm.discretization"), (DPLR | {"kernel": "vandermonde"}, "ssm.kernel"),
    (DPLR | {"discretization": "zoh"}, "ssm.discretization"), ({"real_random": True}, "ssm.real_random"),
    ({"init": "quad", "imag_random": True}, "ssm.imag_random"), ({"init": "lin", "b_init": "hippo"}, "ssm.b_init"),
    (DPLR | {"init": "legt"}, "ssm.rank"), ({"rank": 1}, "ssm.rank"),
    (DPLR | {"init": "lin", "b_init": "ones"}, "ssm.init"),
    ({"kernel": "softmax", "discretization": "zoh", "c_tilde": True}, "ssm.c_tilde"),
]


@pytest.mark.parametrize(("fields", "where"), BAD, ids=[f"{w}-{i}" for i, (_, w) in enumerate(BAD)])
def test_bad_input_names_the_field(fields: dict, where: str) -> None:
    with pytest.raises(UserError) as caught:
        SSMLayer(unchecked(**fields), 4, 8, False, np.random.default_rng(0))
    assert where in str(caught.value)


def test_bad_length_and_features() -> None:
    for features, length in ((4, 0), (0, 8)):
        with pytest.raises(UserError):
            SSMLayer(config(), features, length, False, np.random.default_rng(0))


def test_parameters_that_are_not_finite_are_named() -> None:
    layer = SSMLayer(config(), 4, 8, False, np.random.default_rng(0))
    state = layer.state_dict()
    state["imag"][0, 0] = float("nan")
    with pytest.raises(UserError, match="imag"):
        layer.load_state_dict(state)
    with pytest.raises(UserError, match="imag"):
        layer.recurrence()
    with pytest.raises(UserError, match="theta"):
        SSMLayer(config(init="user_init:zero", re_clamp=0.0), 4, 8, False, np.random.default_rng(0))


@pytest.fixture(autouse=True)
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user_init.py").write_text(
        "import numpy as np\n__version__ = '3'\n"
        "def good(n, copies, rng):\n    return -1 + 1j * np.arange(n // 2)\n"
        "def full(n, copies, rng):\n    one = np.ones((copies, n // 2))\n"
        "    return {'a': -one + 2j, 'b': 3 * one, 'p': one[None]}\n"
        "def wide(n, copies, rng):\n    return np.zeros((copies, n))\n"
        "def zero(n, copies, rng):\n    return np.zeros(n // 2)\n"
        "def nan(n, copies, rng):\n    return np.full(n // 2, np.nan)\n"
        "def text(n, copies, rng):\n    return 'legs'\n"
        "def odd(n, copies, rng):\n    return {'c': 1}\n"
        "def raises(n, copies, rng):\n    raise ValueError('no')\n"
        "thing = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("user_init", None)


def test_a_users_own_init() -> None:
    assert np.allclose(start(init="user_init:good", copies=2).A[1], -1 + 1j * np.arange(32))
    assert np.allclose(start(init="user_init:good", imag_scale=2.0).A.imag, 2 * np.arange(32))
    full = start(init="user_init:full", structure="dplr", kernel="cauchy", rank=1, b_init="hippo")
    assert (full.B == 3).all()
    assert full.P.shape == (1, 1, 32)
    layer = SSMLayer(config(init="user_init:good"), 4, 8, False, np.random.default_rng(0))
    assert layer(torch.ones(1, 8, 4)).shape == (1, 8, 4)


def test_the_source_of_a_users_init_is_its_identity(tmp_path: Path) -> None:
    source = plugin.source("user_init:good", "ssm.init")
    assert source.startswith("files:user_init=") and source.endswith(" version=3")
    assert start(init="user_init:good", init_source=source).A.shape == (1, 32)
    with pytest.raises(UserError, match="init_source"):
        start(init="user_init:good", init_source="3:0000")


@pytest.mark.parametrize("name", ["user_init:wide", "user_init:nan", "user_init:text", "user_init:odd",
                                  "user_init:raises", "user_init:thing", "user_init:absent", "no_such_module:f"])
def test_a_wrong_user_init_names_ssm_init(name: str) -> None:
    with pytest.raises(UserError, match=r"ssm\.init"):
        start(init=name)


def test_no_torch_on_the_way_to_the_figures() -> None:
    code = "import sys, suite.ssm.init, suite.ssm.discretize, suite.theory.numbers; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
