"""A user's own constraint, discretization and kernel: as the suite's, and faults that name the field."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from suite.errors import UserError
from suite.ssm import S4D

PARTS = """
import torch
from suite.ssm import kernels, modes

def exp(theta):
    return -torch.exp(theta)

def square(theta):
    return -theta * theta - 1e-3

square.inverse = lambda real: (-real - 1e-3).clip(0) ** 0.5

def bounded(theta):
    return -torch.sigmoid(theta)

def zoh(A, dt):
    return torch.exp(A * dt), torch.expm1(A * dt) / A

def vandermonde(c, x, length):
    steps = torch.arange(length, device=c.device)
    return 2 * (c[..., None] * torch.exp(x[..., None] * steps)).sum(-2).real

def flat(theta):
    return -torch.exp(theta.detach())

def broken(*given):
    return given[0] + missing

def nan(theta):
    return theta / 0 * 0

def one(A, dt):
    return torch.exp(A * dt)

def long(c, x, length):
    return vandermonde(c, x, length + 1)

def normed(c, x, length):
    k = vandermonde(c, x, length)
    return k / length
"""


@pytest.fixture(autouse=True)
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_parts", raising=False)


def layer(**fields: object) -> S4D:
    return S4D(4, state_size=8, seed=1, init="lin", dtype=torch.float64, **fields)


@pytest.mark.parametrize("own, same", [
    ({"re_constraint": "my_parts:exp"}, {}), ({"discretization": "my_parts:zoh"}, {"discretization": "zoh"}),
    ({"kernel": "my_parts:vandermonde"}, {}), ({"re_constraint": "my_parts:square"}, {})])
def test_own_parts_give_what_the_suite_s_give(own: dict[str, str], same: dict[str, str]) -> None:
    mine, ours = layer(**own), layer(**same)
    u = torch.randn(2, 20, 4, dtype=torch.float64)
    assert torch.allclose(mine(u), ours(u), rtol=1e-7, atol=1e-9)
    mine(u).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in mine.parameters())
    assert torch.allclose(mine(u, rate=2), ours(u, rate=2), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("field, name, what", [
    ("re_constraint", "flat", "has no gradient"), ("re_constraint", "nan", "not finite"),
    ("re_constraint", "broken", r"raises NameError: name 'missing' is not defined \(my_parts.py:\d+, in broken\)"),
    ("discretization", "one", "returns a Tensor"),
    ("kernel", "long", r"returns K of shape \(2, 2, 2\), not \(2, 2, 1\)"),
    ("kernel", "normed", "K_0 of "), ("kernel", "absent", "has no 'absent'")])
def test_a_fault_names_the_field(field: str, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as error:
        layer(**{field: f"my_parts:{name}"})
    assert f"ssm.{field}" in str(error.value)


def test_a_constraint_that_does_not_reach_the_initialization_is_told() -> None:
    with pytest.raises(UserError, match="does not reach"):
        S4D(4, state_size=8, init="real", re_constraint="my_parts:bounded")
    assert torch.isfinite(S4D(4, state_size=8, init="lin", re_constraint="my_parts:bounded").theta).all()
