"""Cases of exactness: all combinations that the rules allow, a pairwise-covering sample, and the comparison."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import ssm_twin as twin
import torch

from suite.config.fields import SSM
from suite.ssm.layer import SSMLayer
from suite.ssm.state_space import StateSpaceLayer

LENGTHS = (1, 2, 3, 16, 1000, 1024, 4000, 16384)
SIZES = (2, 4, 64, 256)
CONSTRAINTS = ("exp", "relu", "none", "softplus")
FORMS = (("dplr", "cauchy", "bilinear"), ("diagonal", "vandermonde", "bilinear"), ("diagonal", "vandermonde", "zoh"),
         ("diagonal", "softmax", "zoh"))
INITS: dict[str, dict[str, dict[str, Any]]] = {
    "dplr": {"legs": {"rank": 1}, "legt": {"rank": 2}, "fout": {"rank": 1}, "legs+fout": {"rank": 1, "copies": 2}},
    "diagonal": {"legs": {}, "inv": {}, "lin": {}, "inv2": {}, "quad": {}, "random": {}, "real": {},
                 "spectrum": {"init": "real", "real_law": "spectrum"},
                 "lin x100": {"init": "lin", "imag_scale": 100.0}, "inv x100": {"init": "inv", "imag_scale": 100.0},
                 "inv x0.01": {"init": "inv", "imag_scale": 0.01},
                 "both random": {"init": "lin", "imag_random": True, "real_random": True}}}
ANGLES = {"dt_scope": "real"}
ZERO = {"init": "lin", "real_zero": True, "re_clamp": 0}
NEWER: dict[str, dict[str, Any]] = {  # initializations since 2022
    "dfout": ANGLES, "dfout_token": ANGLES | {"gain": "dt"}, "dfout_random": ANGLES, "dfout_batched": ANGLES,
    "dfout one": {"init": "dfout", "gain": "one", "copies": 4} | ANGLES,
    "dfout gamma": {"init": "dfout", "gain": "gamma", "copies": 2} | ANGLES,
    "ring": {"gain": "gamma", "dt_min": 1.0, "dt_max": 1.0, "copies": 4}, "ptd": {"b_init": "hippo", "ptd_eps": 3e-4},
    "zero": ZERO, "zero slow": ZERO | {"imag_scale": 0.04}, "lin dt": {"init": "lin", "gain": "dt"}}
BOUNDS = {("diagonal", "float64"): (1e-11, 1e-9), ("diagonal", "float32"): (1e-6, 1e-5),
          ("dplr", "float64"): (1e-11, 1e-6), ("dplr", "float32"): (1e-5, 1e-4)}  # kernel, gradient
# In a softmax, a mode is divided by its sum over all steps, (e^(xL) - 1) / (e^x - 1). Here one of 512 has Im(xL) = 679
# and |e^(xL) - 1| = 0.007: rounding x alone, at 1.1e-16, moves it by a 1e-11th, in this kernel and in its twin.
EXCEPTIONS = {"diagonal-softmax-zoh-relu-both_random-L1000-N256": 2e-11}  # kernel, float64


DIRECTIONS = ("two-sided", "causal")
DRAWN = 6  # random directions of the gradients


class Case(NamedTuple):
    form: tuple[str, str, str]
    constraint: str
    init: str
    length: int
    size: int

    def __str__(self) -> str:
        return f"{'-'.join(self.form)}-{self.constraint}-{self.init.replace(' ', '_')}-L{self.length}-N{self.size}"

    @property
    def config(self) -> SSM:
        structure, kernel, rule = self.form
        known = INITS[structure] | (NEWER if structure == "diagonal" else {})
        fields = {"init": self.init, "b_init": "hippo" if structure == "dplr" else "ones"} | known[self.init]
        return SSM(structure=structure, kernel=kernel, discretization=rule, re_constraint=self.constraint,
                   state_size=self.size, **fields)

    def layer(self, bidirectional: bool = False) -> StateSpaceLayer:
        """Four features; with the constraint `none`, one mode grows, by a factor of up to e³ over the length."""
        seed = [self.length, self.size, *map(ord, str(self))]
        layer = SSMLayer(self.config, 4, self.length, bidirectional, np.random.default_rng(seed))
        if self.constraint == "none" and self.length > 1 and self.form[2] != "symplectic":
            with torch.no_grad():
                layer.theta[:, 0] = -3.0 / (float(layer.log_dt.max().exp()) * self.length)
        return layer


def everything() -> Iterator[Case]:
    """All cases that the rules allow."""
    for form, constraint in itertools.product(FORMS, CONSTRAINTS):
        for init, length, size in itertools.product(INITS[form[0]], LENGTHS, SIZES):
            yield Case(form, constraint, init, length, size)
    for (form, constraint, init), length, size in itertools.product(newer(), LENGTHS, SIZES):
        yield Case(form, constraint, init, length, size)


def newer() -> Iterator[tuple[tuple[str, str, str], str, str]]:
    """Form, constraint and initialization of the cases with what came after S4D, beside the full product."""
    def rule(name: str) -> tuple[str, str, str]:
        return "diagonal", "vandermonde", name

    yield from itertools.product([rule("backward"), rule("euler_exp")], ["exp", "none"],
                                 ["legs", "inv", "lin", "spectrum", "both random"])
    yield rule("symplectic"), "none", "zero slow"
    yield from itertools.product([rule("bilinear"), rule("zoh"), rule("backward")], ["none"], ["zero"])
    yield from itertools.product(FORMS[:1], ["inverse", "square"], ["legs", "legt"])
    yield from itertools.product(FORMS[1:], ["inverse", "square"], ["inv", "lin", "both random"])
    yield from itertools.product([rule("zoh")], ["exp"], [name for name in NEWER if not name.startswith("zero")])
    yield from itertools.product([rule("bilinear")], ["exp"], ["ptd", "lin dt"])
    yield from itertools.product(FORMS[3:], ["exp"], ["dfout", "dfout_random"])


def covering() -> list[Case]:
    """A sample that has every pair of values of two axes that the rules allow together, chosen greedily.

    The next case has the most new pairs for its time, since the longest ones take as long as all others.
    """
    pool = list(everything())
    wanted = {pair for case in pool for pair in _pairs(case)}
    rng, chosen = np.random.default_rng(0), []
    while wanted:
        some = [pool[i] for i in rng.integers(0, len(pool), 300)]
        best = max(some, key=lambda case: len(wanted & {*_pairs(case)}) / (1 + 5e-7 * case.length * case.size))
        new = wanted & set(_pairs(best))
        if new:
            chosen.append(best)
            wanted -= new
    return sorted(chosen)


def _pairs(case: Case) -> list[tuple[Any, ...]]:
    return [(i, a, j, b) for (i, a), (j, b) in itertools.combinations(enumerate(case), 2)]


def bounds(case: Case, precision: str) -> tuple[float, float]:
    """Largest error of the kernel and of gradients."""
    kernel, gradient = BOUNDS[case.form[0], precision]
    return max(kernel, EXCEPTIONS.get(str(case), 0)), gradient


class Error(NamedTuple):
    kernel: float
    gradient: float
    where: str


def compare(case: Case, directions: Sequence[str] = DIRECTIONS, device: str = "cpu") -> dict[tuple[str, str], Error]:
    """Errors by direction (causal, two-sided) and precision, from the same float32 parameters as the twin's.

    Kernels relative to the largest value of the kernel; gradients, along random directions, relative to the largest of
    that parameter, or of all parameters where this one's is zero (as that of dt at length 1). A parameter may be a
    single number: along two directions it was found close to zero by chance, in five cases of ten thousand.
    """
    layer = case.layer(bidirectional=True)
    inputs = twin.inputs(layer)
    whole = twin.kernel(layer, inputs, case.length)
    generator = torch.Generator().manual_seed(case.length)
    found = {}
    for direction in directions:
        if direction == "causal":
            layer.bidirectional, layer.c = False, torch.nn.Parameter(layer.c[:1].detach().clone())
        reference = whole[: len(layer.c)]
        along = torch.randn(DRAWN, *reference.shape, generator=generator)
        slopes = _gradients(reference, list(inputs.values()), along.double())
        slopes = [x[:, : len(layer.c)] if name == "c" else x for name, x in zip(inputs, slopes, strict=True)]
        for precision in (torch.float64, torch.float32):
            layer = layer.to(device, precision)
            for key in inputs:  # also what is a buffer, as Re(A) under the symplectic rule
                getattr(layer, key).requires_grad_()
            kernel = layer.kernel(case.length)
            mine = _gradients(kernel, [getattr(layer, key) for key in inputs], along.to(kernel))
            pairs = zip([x.cpu() for x in mine], slopes, strict=True)
            found[direction, str(precision).split(".")[1]] = _error(
                kernel.cpu(), reference, dict(zip(inputs, pairs, strict=True)))
        layer = layer.cpu()
    return found


def _gradients(kernel: torch.Tensor, leaves: list[torch.Tensor], along: torch.Tensor) -> list[torch.Tensor]:
    rows = [torch.autograd.grad(kernel, leaves, w, retain_graph=True, allow_unused=True) for w in along]
    return [torch.stack([torch.zeros_like(leaf) if g is None else g for g in column]).detach()
            for leaf, column in zip(leaves, zip(*rows, strict=True), strict=True)]


def _error(kernel: torch.Tensor, reference: torch.Tensor,
           slopes: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Error:
    largest = max(float(true.abs().max()) for _, true in slopes.values())
    errors = {}
    for name, (mine, true) in slopes.items():
        scale = float(true.abs().max())
        errors[name] = float((mine - true).abs().max()) / (scale if scale > 1e-9 * largest else largest)
    where = max(errors, key=lambda name: errors[name])
    off = (kernel - reference).detach().abs().max() / reference.detach().abs().max()
    return Error(float(off), errors[where], where)
