"""A slow float64 twin of every kernel, by dense powers of Abar, from the same stored parameters as the layer's.

Nothing here uses the suite's kernels: modes become real matrices of size N, Abar is formed densely, the states by
doubling ([X, Abar^m X] from X), and S4's C~ is undone with a dense solve. Softmax is normalised by an explicit sum.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from suite.config.fields import SSM
from suite.ssm.state_space import StateSpaceLayer

INPUTS = ("log_dt", "theta", "imag", "b", "p", "log_gamma", "c")


class System(NamedTuple):
    step: Tensor  # Abar (H, N, N)
    b: Tensor  # Bbar (H, N)
    c: Tensor  # rows (Ch, H, N)


def inputs(layer: StateSpaceLayer) -> dict[str, Tensor]:
    """The layer's stored values as float64 leaves."""
    return {name: getattr(layer, name).detach().double().requires_grad_() for name in INPUTS if hasattr(layer, name)}


def real_part(config: SSM, theta: Tensor) -> Tensor:
    if config.re_constraint == "exp":
        return -theta.exp()
    if config.re_constraint == "relu":
        return -theta.clamp(min=0) - (config.relu_floor if config.structure == "diagonal" else 0)
    if config.re_constraint == "softplus":
        return -torch.log1p(theta.exp())
    if config.re_constraint == "inverse":
        return -1 / (theta**2 + config.inverse_b)
    if config.re_constraint == "square":
        return -(theta**2)
    return -theta


def spread(layer: StateSpaceLayer, x: Tensor, axis: int = 0) -> Tensor:
    """Feature h takes copy h mod S."""
    return x.index_select(axis, torch.arange(layer.features) % layer.config.copies)


def eigenvalues(layer: StateSpaceLayer, x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    re = spread(layer, real_part(layer.config, x["theta"]))
    return re, spread(layer, x["imag"]) if "imag" in x else torch.zeros_like(re)


def rotations(re: Tensor, im: Tensor) -> Tensor:
    """Real (H, 2M, 2M) of complex diagonal entries."""
    r, i = torch.diag_embed(re), torch.diag_embed(im)
    return torch.cat([torch.cat([r, -i], 2), torch.cat([i, r], 2)], 1)


def held(re: Tensor, im: Tensor) -> tuple[Tensor, Tensor]:
    """(exp(s) - 1) / s as a real and an imaginary part, by halving s 40 times and doubling back."""
    s = torch.complex(re, im) / 2**40
    mean = 1 + s / 2
    for k in range(40):
        mean = mean * (torch.exp(torch.complex(re, im) / 2 ** (40 - k)) + 1) / 2
    return mean.real, mean.imag


def matrix(layer: StateSpaceLayer, x: dict[str, Tensor]) -> Tensor:
    """A (H, N, N)."""
    a = rotations(*eigenvalues(layer, x))
    if "p" in x:
        p = spread(layer, x["p"], 1)
        p = torch.cat([p[..., 0], p[..., 1]], -1)
        a = a - 2 * torch.einsum("rhi,rhj->hij", p, p)
    return a


Pair = tuple[Tensor, Tensor]  # Abar and what turns B into Bbar, (H, N, N) each


def bilinear(layer: StateSpaceLayer, x: dict[str, Tensor], dt: Tensor, rate: float) -> Pair:
    a = matrix(layer, x)
    eye = torch.eye(a.shape[-1], dtype=torch.float64)
    half = dt[..., None] * a / 2
    return torch.linalg.solve(eye - half, eye + half), torch.linalg.solve(eye - half, dt[..., None] * eye)


def backward(layer: StateSpaceLayer, x: dict[str, Tensor], dt: Tensor, rate: float) -> Pair:
    a = dt[..., None] * matrix(layer, x)
    inverse = torch.linalg.inv(torch.eye(a.shape[-1], dtype=torch.float64) - a)
    return inverse, dt[..., None] * inverse


def euler(layer: StateSpaceLayer, x: dict[str, Tensor], dt: Tensor, rate: float) -> Pair:
    re, im = eigenvalues(layer, x)
    step = exponential(dt * re, dt * im, dt)[0]
    return step, dt[..., None] * torch.eye(step.shape[-1], dtype=torch.float64)


def symplectic(layer: StateSpaceLayer, x: dict[str, Tensor], dt: Tensor, rate: float) -> Pair:
    """cos φ = 1 - s²/2: the trace of the scheme's matrix [[1, -w²dt], [dt, 1 - w²dt²]], which has these eigenvalues."""
    s = dt * eigenvalues(layer, x)[1]
    cosine, sine = 1 - s**2 / 2, s * torch.sqrt(1 - s**2 / 4)
    step = rotations(cosine, sine)
    return step, step * (dt / torch.sqrt(1 - s**2 / 4)).repeat(1, 2)[..., None, :]


def exponential(re: Tensor, im: Tensor, unit: Tensor) -> Pair:
    size = re.exp()
    return rotations(size * torch.cos(im), size * torch.sin(im)), unit[..., None] * rotations(*held(re, im))


RULES = {"bilinear": bilinear, "backward": backward, "euler_exp": euler, "symplectic": symplectic}


def system(layer: StateSpaceLayer, x: dict[str, Tensor], rate: float = 1.0) -> System:
    """Abar, Bbar and C as dense real arrays; C~ undone for `whole(rate)` steps."""
    config, dt = layer.config, (rate * x["log_dt"].exp())[:, None]
    re, im = eigenvalues(layer, x)
    b = spread(layer, x["b"])
    b = torch.cat([b[..., 0], b[..., 1] if layer.paired else torch.zeros_like(b[..., 0])], -1)
    eye = torch.eye(b.shape[-1], dtype=torch.float64)
    step, gain = RULES[config.discretization](layer, x, dt, rate) if config.discretization in RULES else \
        exponential(dt * re, (dt if config.dt_scope == "both" else rate) * im,
                    dt if config.dt_scope == "both" else torch.full_like(dt, rate))
    if config.gain == "dt":
        gain = dt[..., None] * eye
    elif config.gain == "one":
        gain = rate * eye.expand_as(step)
    elif config.gain == "gamma":
        gain = torch.diag_embed(rate * torch.cat([x["log_gamma"].exp()] * 2, -1))
    b = torch.einsum("hij,hj->hi", gain, b)
    c = x["c"]
    c = torch.cat([c[..., 0], -c[..., 1]], -1) * 2 if layer.paired else torch.cat([c[..., 0], 0 * c[..., 0]], -1)
    if layer.tilde:
        power = torch.linalg.matrix_power(step, layer.length_at(rate))
        c = torch.linalg.solve((eye - power).transpose(1, 2), c.permute(1, 2, 0)).permute(2, 0, 1)
    return System(step, b, c)


def states(step: Tensor, b: Tensor, length: int) -> Tensor:
    """Abar^l Bbar for l < length: (H, N, length)."""
    columns = b[..., None]
    while columns.shape[-1] < length:
        columns = torch.cat([columns, step @ columns], -1)[..., :length]
        step = step @ step
    return columns


def kernel(layer: StateSpaceLayer, x: dict[str, Tensor], length: int, rate: float = 1.0) -> Tensor:
    """(Ch, H, length) in float64."""
    if layer.config.kernel == "softmax":
        return softmax(layer, x, length, rate)
    found = system(layer, x, rate)
    return torch.einsum("khn,hnl->khl", found.c, states(found.step, found.b, length))


def softmax(layer: StateSpaceLayer, x: dict[str, Tensor], length: int, rate: float = 1.0) -> Tensor:
    """W / lam times the softmax over all steps of lam dt l, materialised."""
    re, im = eigenvalues(layer, x)
    dt = (rate * x["log_dt"].exp())[:, None]
    angle = (dt if layer.config.dt_scope == "both" else rate) * im
    ratio = torch.polar((-dt * re.abs()).exp(), torch.where(re > 0, -angle, angle))  # of modulus below 1
    rows = torch.ones_like(ratio)[..., None]
    power = ratio[..., None]
    while rows.shape[-1] < layer.length_at(rate):
        rows = torch.cat([rows, power * rows], -1)[..., : layer.length_at(rate)]
        power = power * power
    rows = torch.where((re > 0)[..., None], rows.flip(-1), rows)
    rows = (rows / rows.sum(-1, keepdim=True))[..., :length]
    b, c = spread(layer, x["b"]), x["c"]
    b, c = (torch.view_as_complex(z.contiguous()) if layer.paired else z[..., 0] + 0j for z in (b, c))
    k = torch.einsum("khn,hnl->khl", c * b / torch.complex(re, im), rows).real
    return k * layer.config.softmax_factor * (1.0 if layer.paired else 0.5)
