"""Combinations of state space settings without a meaning: refused at their place in a grid, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.config.fields import SSM
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.ssm import init

ZERO = "real_zero: true, re_constraint: none, re_clamp: 0"
REFUSED = [  # settings of `ssm`, and the reason
    ("init: dfout, dt_scope: real", "rules other than zoh would change"),
    ("init: ring, discretization: backward", "rules other than zoh would change"),
    ("init: dfout, discretization: zoh", "needs dt_scope: real"),
    ("init: ring, discretization: zoh", "it needs dt_min: 1 and dt_max: 1"),
    ("init: lin, dt_scope: real", "angles per step (dt_scope: real) need zoh"),
    ("kernel: softmax, discretization: zoh, gain: dt", "leave ssm.gain at rule"),
    ("structure: dplr, kernel: cauchy, gain: one", "leave ssm.gain at rule"),
    (f"init: lin, gain: gamma, {ZERO}", "is 0 if Re(A) = 0"),
    (f"init: quad, {ZERO}", "real_zero is for lin and inv"),
    ("init: lin, real_zero: true, re_clamp: 0", "inverse gives Re(A) = 0"),
    ("init: lin, real_zero: true, re_clamp: 0, re_constraint: relu", "is 0 forever"),
    ("init: lin, real_zero: true, re_constraint: none", "needs re_clamp: 0"),
    (f"init: lin, kernel: softmax, discretization: zoh, {ZERO}", "softmax divides by A"),
    ("init: lin, discretization: symplectic", "it needs real_zero: true"),
    (f"init: lin, discretization: symplectic, {ZERO}", "lower ssm.imag_scale or ssm.dt_max"),
    ("init: real, re_constraint: inverse", "lower ssm.inverse_b"),
    ("init: ptd, re_constraint: inverse", "lower ssm.inverse_b"),
    ("init: real, imag_scale: 3", "nothing to scale"),
    ("init: ptd, structure: dplr, kernel: cauchy", "a DPLR matrix is initialized with"),
    ("inverse_b: 0.1", "ssm.inverse_b has an effect only with ssm.re_constraint: inverse"),
    ("ring_min: 0.1", "only with ssm.init: ring"), ("ptd_eps: 0.1", "only with ssm.init: ptd"),
    ("init: ptd, ptd_eps: 0.1, ptd_steps: 9", "has no effect with ptd_steps"),
    ("free_squash: 0", "only with ssm.kernel: free"),
    ("kernel: free, train_a: false", "leave ssm.train_a at true"),
    ("kernel: free, discretization: zoh", "leave ssm.discretization at bilinear"),
    ("sobolev: trained", "it needs model.bidirectional"),
]
MISTAKES = [
    ("kernel_length: 0", "greater than or equal to 1"), ("dt_min: 0.2", "ssm.dt_min must be at most ssm.dt_max"),
    ("init: ring, discretization: zoh, dt_min: 1, dt_max: 1, ring_min: 0.9999", "less than ssm.ring_max"),
]


def grid(tmp_path: Path, settings: str, base: str = "") -> Path:
    path = tmp_path / "g.yaml"
    path.write_text(f"name: g\nbase: {{task: scifar, data.variant: sample, {base}}}\naxes:\n  method:\n"
                    f"    plain: {{}}\n    X: {{ssm: {{{settings}}}}}\n")
    return path


@pytest.mark.parametrize(("settings", "reason"), REFUSED + MISTAKES, ids=[text for text, _ in REFUSED + MISTAKES])
def test_a_grid_refuses_it_with_the_reason_and_the_place(tmp_path: Path, settings: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        load_grid(grid(tmp_path, settings))
    assert reason in str(caught.value) and "g.yaml:6" in str(caught.value)


@pytest.mark.parametrize(("settings", "reason"), [
    ("kernel: free", "cannot be used at another rate"),
    ("init: lin, discretization: symplectic, imag_scale: 0.15, " + ZERO, "at half the sampling rate dt doubles")])
def test_another_sampling_rate_is_refused_of_what_has_none(tmp_path: Path, settings: str, reason: str) -> None:
    base = "task: sc_bi, data.variant: sc17-2khz, train.evaluate: [val, test@1000]"
    path = grid(tmp_path, settings)
    path.write_text(path.read_text().replace("task: scifar, data.variant: sample, ", base))
    with pytest.raises(UserError) as caught:
        load_grid(path)
    assert reason in str(caught.value)


@pytest.mark.parametrize("settings", [
    "init: dfout, dt_scope: real, discretization: zoh", "init: lin, re_constraint: inverse, inverse_b: 0.1",
    "init: dfout, dt_scope: real, discretization: zoh, kernel: softmax", "init: legs, imag_scale: 2",
    "init: ring, gain: gamma, dt_min: 1, dt_max: 1, discretization: zoh, ring_min: 0.5", "dt_min: 0.1",
    f"init: lin, discretization: symplectic, imag_scale: 0.15, {ZERO}", "init: ptd", "init: ptd, b_init: ones",
    "structure: dplr, kernel: cauchy, re_constraint: square, kernel_length: 3", "kernel: free, free_squash: 0",
    "structure: dplr, kernel: cauchy, init: legt, imag_scale: 2"])
def test_what_has_a_meaning_is_a_run(tmp_path: Path, settings: str) -> None:
    assert len(load_grid(grid(tmp_path, settings)).runs) == 2


@pytest.mark.parametrize("fields", [{"init": "dfout"}, {"gain": "dt", "structure": "dplr", "kernel": "cauchy"}])
def test_a_layer_made_by_hand_has_the_same_rules(fields: dict[str, str]) -> None:
    with pytest.raises(UserError, match="fields: ssm"):
        init.check(SSM.model_validate(fields))
