"""Rules between the fields `ssm.*` alone, for grids and for layers made in Python. Older ones are in `rules.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from suite.config.fields import SSM

DFOUT = ("dfout", "dfout_token", "dfout_random", "dfout_batched")
PER_STEP = (*DFOUT, "ring")  # initializations that give angles per step, not frequencies
MODIFIED = ("lin", "inv")
OWNED = {  # fields, by prefix, that have an effect only with one value of another field
    "inverse_b": ("re_constraint", "inverse"), "ring_": ("init", "ring"), "ptd_": ("init", "ptd"),
    "free_": ("kernel", "free"), "blocks": ("structure", "mimo"), "dt_per": ("structure", "mimo")}
STATELESS: dict[str, tuple[str, ...]] = {  # kernels that are not state space models, and the fields that they use
    "free": ("free_init", "free_squash", "free_dropout"), "rational": ("state_size", "copies", "train_a")}
ALL = ("kernel", "kernel_length", "structure", "sobolev")


@dataclass(frozen=True)
class SSMRule:
    """As `suite.config.rules.Rule`, for resolved state space settings. `fields` lack the prefix `ssm.`."""

    fields: tuple[str, ...]
    because: str
    broken: Callable[[SSM], bool]
    mistake: bool = False


def fastest(c: SSM) -> float:
    """The largest Im(A) of `lin` and `inv` at init, in rad per unit time; 0 for other initializations."""
    n, largest = c.state_size // c.blocks, 0.0
    if c.init == "lin":
        largest = math.pi * (n / 2 if c.imag_random else n / 2 - 1)
        largest = largest * (n / max(n / 2 - 1, 1) if c.lin_law == "prose" else 1)
    elif c.init == "inv":
        largest = n / math.pi * (n - 1)
    return largest * c.imag_scale


def slow_enough(c: SSM, rate: float = 1.0) -> bool:
    """Whether the symplectic rule is stable for every mode at init: dt |Im(A)| < 2."""
    return c.dt_law == "length" or rate * c.dt_max * fastest(c) < 2


def _largest_decay(c: SSM) -> float:
    """The largest -Re(A) at init, as far as it can be known without drawing A."""
    if c.init == "real":
        return c.state_size // c.blocks / (1 if c.real_law == "spectrum" else 2)
    if c.init == "ring":
        return -math.log(max(c.ring_min, 1e-6))
    if c.init == "ptd":
        return math.inf
    return 1.0 if c.real_random or c.init == "random" and c.random_law == "re" else 0.5


def _in_real_zero(c: SSM, *constraints: str) -> bool:
    return c.real_zero and c.re_constraint in constraints


def _mimo(*fields: str, because: str, broken: Callable[[SSM], bool], mistake: bool = False) -> SSMRule:
    """A rule for `structure: mimo`, one state for all features."""
    return SSMRule((*fields, "structure"), because, lambda c: c.structure == "mimo" and broken(c), mistake)


MIMO = (
    _mimo("kernel", because="mimo has one state for all features, which is scanned: leave ssm.kernel at vandermonde",
          broken=lambda c: c.kernel != "vandermonde"),
    _mimo("kernel_length", because="mimo has no kernel that could be cut: leave out ssm.kernel_length",
          broken=lambda c: c.kernel_length is not None),
    _mimo("sobolev", because="the filter of ssm.sobolev is part of the convolution, and mimo has none: leave it off",
          broken=lambda c: c.sobolev != "off"),
    _mimo("copies", because="the features of mimo share one A and B, made of ssm.blocks: leave out ssm.copies",
          broken=lambda c: c.copies != 1),
    _mimo("rank", because="the A of mimo is diagonal, without a low rank: leave out ssm.rank",
          broken=lambda c: bool(c.rank)),
    _mimo("c_tilde", because="C(1 - A_bar^L) is for kernels of one length, and mimo is scanned: leave out ssm.c_tilde",
          broken=lambda c: bool(c.c_tilde)),
    _mimo("b_init", because="any B other than lecun gives every feature of mimo the same column",
          broken=lambda c: c.b_init != "lecun"),
    _mimo("init", because="B and C of mimo with ptd need the eigenvectors of ptd, which are not kept",
          broken=lambda c: c.init == "ptd"),
    _mimo("init", because="the diagonal part of legt and fout has Re(A) = 0: mimo needs legs, or a formula",
          broken=lambda c: c.init in ("legt", "fout", "legs+fout")),
    _mimo("blocks", "state_size", because="ssm.state_size / ssm.blocks must be even: each block is of conjugate pairs",
          mistake=True, broken=lambda c: c.state_size % (2 * c.blocks) != 0),
    SSMRule(("b_init", "structure"), "lecun draws a dense B, which only mimo has",
            lambda c: c.b_init == "lecun" and c.structure != "mimo"),
)
RULES = (
    *MIMO,
    SSMRule(("dt_min", "dt_max"), "ssm.dt_min must be at most ssm.dt_max", mistake=True,
            broken=lambda c: c.dt_min > c.dt_max),
    SSMRule(("init", "imag_scale"), "every Im(A) of real is 0: there is nothing to scale",
            lambda c: c.init == "real" and c.imag_scale != 1.0),
    SSMRule(("init", "discretization"),
            "dfout and ring give angles per step, which rules other than zoh would change",
            lambda c: c.init in PER_STEP and c.discretization != "zoh"),
    SSMRule(("init", "dt_scope"), "the angles of dfout are per step: it needs dt_scope: real",
            lambda c: c.init in DFOUT and c.dt_scope != "real"),
    SSMRule(("init", "dt_min", "dt_max", "dt_law"), "ring is for steps of 1: it needs dt_min: 1 and dt_max: 1",
            lambda c: c.init == "ring" and not (c.dt_min == c.dt_max == 1 and c.dt_law == "given")),
    SSMRule(("ptd_steps", "ptd_eps"), "ptd_eps is for a random perturbation, and has no effect with ptd_steps",
            lambda c: c.ptd_steps > 0 and c.ptd_eps != SSM().ptd_eps),
    SSMRule(("ring_min", "ring_max"), "ssm.ring_min must be less than ssm.ring_max", mistake=True,
            broken=lambda c: c.ring_min >= c.ring_max),
    SSMRule(("dt_scope", "discretization"), "angles per step (dt_scope: real) need zoh",
            lambda c: c.dt_scope == "real" and c.discretization != "zoh"),
    SSMRule(("gain", "kernel"), "softmax divides by its sum, which cancels every gain: leave ssm.gain at rule",
            lambda c: c.gain != "rule" and c.kernel == "softmax"),
    SSMRule(("gain", "structure"), "the Cauchy kernel of DPLR has a fixed gain: leave ssm.gain at rule",
            lambda c: c.gain != "rule" and c.structure == "dplr"),
    SSMRule(("gain", "real_zero"), "gamma, sqrt(1 - |A_bar|^2), is 0 if Re(A) = 0",
            lambda c: c.gain == "gamma" and c.real_zero),
    SSMRule(("real_zero", "init"), "real_zero is for lin and inv, without real_random",
            lambda c: c.real_zero and (c.init not in MODIFIED or c.real_random)),
    SSMRule(("real_zero", "re_constraint"),
            "no finite parameter of exp, softplus or inverse gives Re(A) = 0: write re_constraint: none",
            lambda c: _in_real_zero(c, "exp", "softplus", "inverse")),
    SSMRule(("real_zero", "re_constraint"),
            "under relu and square, the gradient at Re(A) = 0 is 0 forever: write re_constraint: none",
            lambda c: _in_real_zero(c, "relu", "square")),
    SSMRule(("real_zero", "re_clamp"), "real_zero needs re_clamp: 0, since a clamp moves Re(A) away from 0",
            lambda c: c.real_zero and c.re_clamp != 0),
    SSMRule(("real_zero", "kernel"), "softmax divides by A, which is 0 for a mode of lin with Re(A) = 0",
            lambda c: c.real_zero and c.kernel == "softmax"),
    SSMRule(("real_zero", "c_tilde"), "C(1 - A_bar^L) is 0 for a mode with A_bar = 1, so C cannot be recovered",
            lambda c: c.real_zero and bool(c.c_tilde)),
    SSMRule(("discretization", "real_zero"), "the symplectic rule is for Re(A) = 0: it needs real_zero: true",
            lambda c: c.discretization == "symplectic" and not c.real_zero and not c.init_is_custom),
    SSMRule(("discretization", "dt_max", "imag_scale"),
            "the symplectic rule is unstable for dt |Im(A)| >= 2: lower ssm.imag_scale or ssm.dt_max",
            lambda c: c.discretization == "symplectic" and not slow_enough(c)),
    SSMRule(("re_constraint", "inverse_b", "init"),
            "the constraint inverse allows -Re(A) up to 1/b, and the init exceeds it: lower ssm.inverse_b",
            lambda c: c.re_constraint == "inverse" and 1 / _largest_decay(c) - c.inverse_b < 1e-6),
)


def without_effect(c: SSM) -> Iterator[SSMRule]:
    """Broken rules of the form: a field without effect must be at its default."""
    default = SSM().resolved()
    changed = [name for name in SSM.model_fields if getattr(c, name) != getattr(default, name)]
    for name in changed:
        for start, (field, value) in OWNED.items():
            if name.startswith(start) and getattr(c, field) != value:
                yield SSMRule((name, field), f"ssm.{name} has an effect only with ssm.{field}: {value}", lambda c: True)
    idle = [name for name in changed if name not in (*ALL, *STATELESS.get(c.kernel, ()))]
    if c.kernel in STATELESS and idle:
        at = ", ".join(f"ssm.{name} at {str(getattr(default, name)).lower()}" for name in idle)
        yield SSMRule(("kernel", *idle), f"a {c.kernel} kernel has no such choice: leave {at}", lambda c: True)


def broken(c: SSM) -> list[SSMRule]:
    """The rules that resolved settings break."""
    return [rule for rule in (*RULES, *without_effect(c)) if rule.broken(c)]
