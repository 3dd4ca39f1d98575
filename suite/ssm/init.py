"""Initialization of A, B, P and dt (paper sections 3.4 and 4, appendix A). NumPy, float64, no torch.

Real parts are returned without constraint. The layer applies the constraint and its clamp.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from suite.config import plugin, ssm_rules
from suite.config.fields import SSM, InitName, ResolvedSSM
from suite.errors import UserError, nearest
from suite.ssm import circle, hippo, perturbed, user

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
MODIFIED = ("lin", "inv")
FORMULAS: dict[str, Callable[[int, Array], Array]] = {
    "lin": lambda n, k: np.pi * k,
    "inv": lambda n, k: n / np.pi * (n / (2 * k + 1) - 1),
    "inv2": lambda n, k: n / np.pi * (n / (k + 1) - 1),
    "quad": lambda n, k: (1 + 2 * k) ** 2 / np.pi,
}


@dataclass(frozen=True)
class Initialization:
    """Initial values of S copies: `A` (the diagonal Λ) and `B` (S, M) complex, `P` (r, S, M) complex.

    M = N/2 modes whose conjugates are implied. If `paired` is false the modes are real and have no conjugates: M = N,
    and every imaginary part is 0.
    """

    A: Complex
    B: Complex
    P: Complex
    paired: bool = True


def imaginary(name: str, n: int, k: Array | None = None) -> Array:
    """Im(A) of `lin`, `inv`, `inv2` or `quad` (equations 9, 8, 12, 13) for state size N = `n`, or of `legs`.

    `k`: mode numbers, default 0 … N/2-1. Returns an array of the same shape or, for `legs`, the positive member of each
    pair, largest first, (N/2,). Raises KeyError for other names.
    """
    if name == "legs":
        return np.asarray(-hippo.modes("legs", n).a.imag)
    return FORMULAS[name](n, np.arange(n // 2, dtype=np.float64) if k is None else k)


def initialize(config: SSM, rng: np.random.Generator) -> Initialization:
    """A, B and P of a configuration, after its defaults are resolved. Random values are drawn for each copy.

    Raises UserError, with the field's name, for bad input.
    """
    config = config.resolved()
    check(config)
    if ":" in config.init:
        found = _of_user(config, rng)
    elif config.init in hippo.RANK:
        found = _of_hippo(config)
    elif config.init == "real" and config.real_law == "spectrum":
        A = np.broadcast_to(-np.arange(1.0, config.state_size + 1), (config.copies, config.state_size)) + 0j
        found = Initialization(A, np.ones_like(A), _no_rank(A), paired=False)
    elif config.init == "ptd":
        A, B = perturbed.modes(config, rng)
        found = Initialization(A, B, _no_rank(A))
    else:
        A = circle.INITS[config.init](config, rng) if config.init in circle.INITS else _of_formula(config, rng)
        found = Initialization(A, np.ones_like(A), _no_rank(A))
    A = found.A.real + 1j * (found.A.imag * config.imag_scale)
    return Initialization(A, _b(config, found), _p(config, found), found.paired)


def log_dt(config: SSM, features: int, rng: np.random.Generator, length: int | None = None) -> Array:
    """log dt, (H,): one for each feature, uniform between log dt_min and log dt_max.

    With `dt_law: length` both are multiplied by sqrt(1024/L), L = `length`.
    """
    drawn = rng.uniform(np.log(config.dt_min), np.log(config.dt_max), features)
    return drawn + 0.5 * np.log(1024 / length) if config.dt_law == "length" and length else drawn


def _no_rank(A: Complex) -> Complex:
    return np.zeros((0, *A.shape), dtype=np.complex128)


def _of_formula(config: SSM, rng: np.random.Generator) -> Complex:
    n, shape = config.state_size, (config.copies, config.state_size // 2)
    real = np.full(shape, -0.5)
    if config.init == "random":
        imag = rng.standard_normal(shape)
        if config.random_law == "v4":
            imag = np.exp(imag)
        elif config.random_law == "re":
            real = -rng.uniform(0, 1, shape)
    elif config.init == "real":
        imag, real = np.zeros(shape), np.broadcast_to(-np.arange(1.0, shape[1] + 1), shape)
    else:
        places = rng.uniform(0, n / 2, shape) if config.imag_random else np.arange(n / 2)
        imag = np.broadcast_to(FORMULAS[config.init](n, places), shape)
        if config.init == "lin" and config.lin_law == "prose":  # even steps up to pi N, as the text says
            imag = imag * (n / max(n / 2 - 1, 1))
    if config.real_zero:
        real = np.zeros(shape)
    if config.real_random:
        real = -rng.uniform(0, 1, shape)
    return np.asarray(real + 1j * imag)


def _of_hippo(config: SSM) -> Initialization:
    names = [config.init] * config.copies
    if config.init == "legs+fout":  # copies are interleaved: with two, even features are LegS, odd ones FouT
        names = ["legs"] * (config.copies // 2) + ["fout"] * (config.copies // 2)
    found = {name: hippo.modes(name, config.state_size) for name in sorted(set(names))}
    each = [found[name] for name in names]
    return Initialization(np.stack([m.a for m in each]), np.stack([m.b for m in each]),
                          np.stack([m.p for m in each], axis=1))


def _of_user(config: ResolvedSSM, rng: np.random.Generator) -> Initialization:
    plugin.check(config.init, "ssm.init", config.init_source)
    parts = user.call(config.init, config.state_size, config.copies, rng, config.init_args)
    A = parts["a"]
    if config.structure == "dplr" and config.rank and "p" not in parts:
        raise UserError(f"{config.init} gives no low-rank p", "ssm.init", "return p as well, or use structure diagonal")
    return Initialization(A, parts.get("b", np.ones_like(A)), parts.get("p", _no_rank(A)))


def _b(config: ResolvedSSM, found: Initialization) -> Complex:
    """B by `b_init`. The formulas give no B; a user's function may."""
    if config.b_init == "hippo":
        return found.B
    if config.b_init == "half":
        return found.B / 2
    return found.B if ":" in config.init else np.ones_like(found.B)


def _p(config: ResolvedSSM, found: Initialization) -> Complex:
    """P of the requested rank: the rows of the initialization, then rows of zeros."""
    if config.structure == "diagonal" or config.rank == 0:
        return found.P[:0]
    if config.rank < len(found.P):
        raise UserError(f"init {config.init} needs rank {len(found.P)}, not {config.rank}", "ssm.rank")
    return np.concatenate([found.P, np.zeros((config.rank - len(found.P), *found.P.shape[1:]))])


def check(config: SSM) -> None:
    """Check the settings and their combination (paper section 3.4). Raises UserError with the field's name."""
    config = config.resolved()
    n = config.state_size
    if n < 2 or n % 2:
        raise UserError(f"the state size is {n}", "ssm.state_size", "give an even number, at least 2")
    if config.copies < 1:
        raise UserError(f"there are {config.copies} copies", "ssm.copies", "give at least 1")
    if config.dt_min <= 0:
        raise UserError(f"the minimum step size is {config.dt_min}", "ssm.dt_min", "give a positive number")
    known = get_args(InitName)
    if ":" not in config.init and config.init not in known:
        raise UserError(f"unknown init {config.init!r}", "ssm.init", nearest(config.init, known))
    if config.init == "legs+fout" and config.copies % 2:
        raise UserError(f"legs+fout with {config.copies} copies", "ssm.copies", "give an even number: half of each")
    for field in ("imag_random", "real_random"):
        if getattr(config, field) and config.init not in MODIFIED:
            raise UserError(f"{field} with init {config.init}", f"ssm.{field}", "it is defined for lin and inv")
    for rule in ssm_rules.broken(config):
        names = [f"ssm.{name}" for name in rule.fields]
        raise UserError(rule.because, names[0], f"fields: {', '.join(names)}")
    _check_combination(config)


def _check_combination(config: ResolvedSSM) -> None:
    dplr = config.structure == "dplr"
    if (config.kernel == "cauchy") != dplr:
        raise UserError(f"kernel {config.kernel} with structure {config.structure}", "ssm.kernel",
                        "cauchy is the only kernel of dplr, and for dplr only")
    if dplr and config.discretization != "bilinear":
        raise UserError("structure dplr needs the bilinear rule", "ssm.discretization", "use bilinear")
    if config.kernel == "softmax" and config.discretization != "zoh":
        raise UserError("kernel softmax needs zero-order hold", "ssm.discretization", "use zoh")
    if config.kernel == "softmax" and config.c_tilde:
        raise UserError("c_tilde with kernel softmax, which already divides by the sum over the length", "ssm.c_tilde",
                        "leave it out")
    if ":" in config.kernel and config.c_tilde:
        raise UserError("c_tilde with your own kernel", "ssm.c_tilde", "leave it out")
    own_b = config.init in hippo.RANK or config.init == "ptd" or ":" in config.init
    if config.b_init in ("hippo", "half") and not own_b:
        raise UserError(f"init {config.init} has no HiPPO B", "ssm.b_init", "use ones")
    if dplr and config.rank and config.init not in hippo.RANK and ":" not in config.init:
        raise UserError(f"init {config.init} has no low-rank part", "ssm.init",
                        "use structure: diagonal, or rank: 0 for a P of zero")
    if not dplr and config.rank:
        raise UserError(f"structure {config.structure} with rank {config.rank}", "ssm.rank", "leave it out")
    if config.init == "real" and config.real_law == "spectrum" and dplr:
        raise UserError("the N real modes of real_law spectrum have no dplr form", "ssm.real_law", "use modes")
