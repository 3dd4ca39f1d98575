"""Figures 1 (right), 2, 3, 4 and 5 of the paper, computed from their formulas with NumPy in float64, without any runs.

The paper leaves some choices open. Here, panels 2b and 2c have N = 64 and 1024; figure 3 has N = 64; figure 4 has
N = 256, one draw of P for all panels, and the scales 0, 0.1, 0.5, 1 (below 0.1, no difference is visible).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.report.figures.plot import TEXT, canvas, look, saved, style
from suite.ssm import discretize, hippo, init

Array = NDArray[np.float64]
UNTIL, STEP, KEPT = 2.5, 0.002, 4  # from the authors' notebook: last time, step size, number of kernels
SIGMAS = (0.0, 0.1, 0.5, 1.0)
WIDTH = 5.5  # inches, the paper's column
FORMATS = ("pdf", "svg", "png")
SMALL = {"font.size": 8, "axes.titlesize": 8, "lines.linewidth": 1.1, "legend.fontsize": 8}
MARKS = "osD^v"
DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Kernels:
    """One panel: `values` (T, n) at times `t` (T,); column i is the kernel `names[i]`."""

    title: str
    names: tuple[str, ...]
    t: Array
    values: Array


def lin_basis(modes: int = KEPT, until: float = 2.0) -> Kernels:
    """Figure 1, right: Re exp(t A_n) of S4D-Lin, n = 1 … `modes`. Their envelope is ± exp(-t/2) (equation 9)."""
    t = _times(until)
    a = -0.5 + 1j * init.imaginary("lin", 2 * modes + 2)[1:]
    return Kernels("S4D-Lin", _names(range(1, modes + 1)), t, np.exp(np.outer(t, a)).real)


def legs_kernels(n_small: int = 64, n_large: int = 1024) -> list[Kernels]:
    """Figure 2: LegS (A, B), and its normal part (A + P P^T, B/2) for two N with ZOH, then with the bilinear rule.

    LegS is lower triangular, so its first kernels are the same for every N, and the smallest N is used. With the
    bilinear rule, the noise of ZOH disappears until the fast modes, all near the highest frequency, are in phase again
    after about N/2 steps. This is not a rounding error: a sum over the modes gives the same values.
    """
    exact = hippo.legs(KEPT)
    panels = [_kernels("(a) LegS (A, B)", exact.a, exact.b, "zoh")]
    for letter, n, rule, words in (("b", n_small, "zoh", ""), ("c", n_large, "zoh", ""),
                                   ("d", n_large, "bilinear", ", bilinear")):
        found = hippo.legs(n)
        panels.append(_kernels(f"({letter}) (A⁽ᴺ⁾, B/2), N = {n}{words}", found.normal, found.b / 2, rule))
    return panels


def frequencies(n: int = 64) -> dict[str, Array]:
    """Figure 3: Im(A_n) of five initializations in increasing order, (N/2,) each."""
    inits = {"S4D-LegS": "legs", "S4D-Inv": "inv", "S4D-Lin": "lin", "S4D-Inv2": "inv2", "S4D-Quad": "quad"}
    return {name: np.sort(init.imaginary(key, n)) for name, key in inits.items()}


def perturbed_kernels(n: int = 256, sigmas: tuple[float, ...] = SIGMAS, seed: int = 0) -> list[Kernels]:
    """Figure 4: LegS (A + P P^T, B), where P is sigma times a standard normal draw; one panel per sigma."""
    found, draw = hippo.legs(n), np.random.default_rng(seed).standard_normal(n)
    return [_kernels(f"({letter}) σ = {sigma:g}", found.a + sigma**2 * np.outer(draw, draw), found.b, "zoh")
            for letter, sigma in zip("abcdefgh", sigmas, strict=False)]


def fout_kernels(n: int = 1024) -> list[Kernels]:
    """Figure 5: FouT, whose kernels end at t = 2, and its skew part alone, whose kernels do not end."""
    found = hippo.fout(n)
    return [_kernels("(a) FouT (A, B)", found.a, found.b, "zoh"),
            _kernels("(b) its skew part (A + P Pᵀ, B)", found.normal, found.b, "zoh")]


def _times(until: float) -> Array:
    return np.asarray(STEP * np.arange(round(until / STEP) + 1), dtype=np.float64)


def _names(indices: range) -> tuple[str, ...]:
    return tuple(f"n = {i}" for i in indices)


def _kernels(title: str, a: Array, b: Array, rule: str) -> Kernels:
    t = _times(UNTIL)
    return Kernels(title, _names(range(KEPT)), t, discretize.basis(a, b, STEP, len(t), rule, keep=KEPT))


def figure_1() -> Any:
    """The basis functions of S4D-Lin with their envelope."""
    shown = lin_basis()
    figure = canvas(WIDTH * 0.62, 2.6)
    axes = figure.add_subplot()
    _lines(axes, shown)
    for sign, label in ((1, "± exp(−t/2)"), (-1, None)):
        axes.plot(shown.t, sign * np.exp(-shown.t / 2), color=TEXT, linestyle=(0, (4, 3)), linewidth=0.9,
                  label=label)
    axes.set_ylabel("Re exp(t Aₙ)")
    _legend(figure, axes, 3)
    return figure


def figure_2() -> Any:
    """LegS and its normal part."""
    return _grid(legs_kernels(), limits=(-1.6, 3.2), ticks=(-1, 0, 1, 2, 3))


def figure_3() -> Any:
    """The imaginary parts, on a linear and on a logarithmic axis."""
    figure = canvas(WIDTH, 2.6)
    both = figure.subplots(1, 2)
    order = (0, 4, 2, 3, 1)  # close to the paper's blue, orange, green, purple and red
    for axes, scale in zip(both, ("linear", "log"), strict=True):
        for i, (name, values) in enumerate(frequencies().items()):
            positive = np.where(values > 0, values, np.nan)  # S4D-Lin begins at 0, which has no logarithm
            axes.plot(np.arange(len(values)), values if scale == "linear" else positive, label=name,
                      marker=MARKS[i], markersize=2.4, linewidth=0.9, color=look(order[i])["color"])
        axes.set(yscale=scale, xlabel="n, sorted by frequency", ylabel="Im(Aₙ) (rad per unit time)")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    both[0].set_title("(a) linear axis, N = 64", loc="left")
    both[1].set_title("(b) log axis; S4D-Lin begins at 0", loc="left")
    both[1].minorticks_off()
    _legend(figure, both[0])
    return figure


def figure_4() -> Any:
    """LegS with a random low-rank perturbation; kernels that leave the axes are annotated."""
    return _grid(perturbed_kernels(), limits=(-3.2, 3.2), ticks=(-3, -2, -1, 0, 1, 2, 3))


def figure_5() -> Any:
    """FouT and its skew part."""
    return _grid(fout_kernels(), limits=(-2.2, 2.2), ticks=(-2, -1, 0, 1, 2), rows=1)


FIGURES: Mapping[str, Callable[[], Any]] = {"1": figure_1, "2": figure_2, "3": figure_3, "4": figure_4, "5": figure_5}


def _grid(panels: list[Kernels], limits: tuple[float, float], ticks: tuple[int, ...], rows: int = 2) -> Any:
    figure = canvas(WIDTH, 1.85 * rows + 0.35)
    axes = figure.subplots(rows, len(panels) // rows, sharex=True, sharey=True).flat
    for one, panel in zip(axes, panels, strict=True):
        _lines(one, panel, around=panels[0] if rows > 1 and panel is not panels[0] else None)
        one.set_ylim(*limits)
        one.set_yticks(ticks)
        one.label_outer()
        top = np.abs(panel.values).max()
        if top > 2 * limits[1]:
            one.annotate(f"reaches {_rounded(top)} at t = {UNTIL}", (0.98, 0.03), xycoords="axes fraction", ha="right",
                         fontsize=7, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    _legend(figure, axes[1])
    return figure


def _rounded(value: float) -> str:
    digits, _, power = f"{value:.0e}".partition("e+")
    raised = str(int(power)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:.0f}" if value < 1e4 else f"{digits} × 10{raised}"


def _lines(axes: Any, panel: Kernels, around: Kernels | None = None) -> None:
    """Draws kernels, each with its colour and dash. With `around`, the kernels of that panel are drawn on top."""
    shown = np.clip(panel.values, -1e3, 1e3)  # far outside the axes; large values cost precision
    for i, name in enumerate(panel.names):
        plain = {"linestyle": DASHES[i]} if around is None else {"linestyle": "-", "linewidth": 1.2, "alpha": 0.75}
        axes.plot(panel.t, shown[:, i], label=name, **look(i) | plain)
    for i, values in enumerate(around.values.T if around else ()):
        axes.plot(panel.t, values, color=TEXT, linewidth=0.7, linestyle="--", label=None if i else "panel (a)")
    axes.set_title(panel.title, loc="left")
    axes.set(xlabel="t (unit time)", ylabel="Kₙ(t)", xlim=(0, panel.t[-1]))


def _legend(figure: Any, axes: Any, across: int = 5) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=across, frameon=False,
                  handlelength=2.4, columnspacing=1.4)


def draw(number: str) -> dict[str, bytes]:
    """A figure of the paper in each of FORMATS, by format."""
    with style(**SMALL):
        figure = FIGURES[number]()
        return {kind: saved(figure, kind, f"Figure {number}") for kind in FORMATS}
