"""The paper's theory in numbers, as a section in Markdown, for the command `theory`. It needs no runs and no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from suite.theory import numbers

SIZES = (16, 64, 256, 1024)
EIGEN_SIZES = (16, 64, 256)  # beyond these a general eigensolver takes seconds
NAME = "theory.md"


def section() -> str:
    """The section in Markdown. Computing it takes about a second."""
    return "\n\n".join(["# The theory in numbers", _theorem_3(), _real_parts(), _frequencies(), _windows(),
                        _sizes()]) + "\n"


def rates(distances: list[float], sizes: tuple[int, ...] = SIZES) -> list[float]:
    """The order p in N^-p between each distance and the one before."""
    return [float(np.log(a / b) / np.log(m / n))
            for a, b, m, n in zip(distances, distances[1:], sizes[1:], sizes, strict=False)]


def _theorem_3() -> str:
    pointwise, summed = zip(*(numbers.basis_distance(n) for n in SIZES), strict=True)
    shown = ["", *(f"{rate:.2f}" for rate in rates(list(summed)))]
    rows = [[n, f"{a:.2e}", rate, f"{b:.2f}"] for n, a, rate, b in zip(SIZES, summed, shown, pointwise, strict=True)]
    return _part("Theorem 3: the normal part alone, (A + PPᵀ, B/2), has the bases of LegS as N grows",
                 ["N", "step responses, max. difference", "order p in N^−p", "bases, RMS difference"],
                 rows, "First four bases, t from 0 to 2.5. The step responses converge. The bases do not converge "
                 "pointwise: an oscillation of constant amplitude remains. Its frequency grows with N, so a smooth "
                 "input averages it out.")


def _real_parts() -> str:
    rows = [[n, f"{numbers.real_part_deviation(n):.1e}"] for n in EIGEN_SIZES]
    return _part("Proposition 4: all eigenvalues of A + PPᵀ have the real part −1/2", ["N", "largest deviation"], rows,
                 "From a solver that does not use the symmetry of the matrix.")


def _frequencies() -> str:
    rows = [[n, f"{numbers.largest_frequency_gap(n):.6f}"] for n in SIZES]
    return _part("Conjecture 5: the largest frequency is N²/π − c", ["N", "N²/π − max Im"], rows,
                 "The paper has N²/π + c with c ≈ 0.5236. The sign must be minus, and c converges to "
                 f"π/6 = {np.pi / 6:.6f}.")


def _windows() -> str:
    rows = [[name, f"{numbers.constant_answer(key, 64):.4f}",
             f"{numbers.after_window(key, 256):.3f}" if key != "legs" else "decays as exp(−t)"]
            for name, key in (("LegS", "legs"), ("LegT", "legt"), ("FouT", "fout"))]
    heads = ["HiPPO", "norm of the state for a constant input 1", "RMS of bases after t = 2, relative to before"]
    return _part("Scale and window", heads, rows,
                 "A unit state and E|C|² = 1 give outputs of variance 1 at init (N = 64). The bases of LegT and "
                 "FouT end at t = 2 (N = 256).")


def _sizes() -> str:
    sizes = numbers.kernel_sizes()
    lin = sizes["lin"]
    rows = [[name, f"{size:.2f}", f"{size / lin:.1f}{' †' if not 0.1 <= size / lin <= 10 else ''}"]
            for name, size in sizes.items()]
    return _part("Size of kernels at init", ["settings (with ZOH)", "√E‖K‖²", "relative to S4D-Lin"], rows,
                 f"N = 64, {numbers.SIZE_LENGTH} steps, dt from 0.001 to 0.1, E|C|² = 1. † More than a factor of 10: "
                 "such an initialization also changes the scale of a layer's output, which normalization may hide.")


def _part(title: str, heads: list[str], rows: Sequence[Sequence[object]], words: str) -> str:
    return f"## {title}\n\n{tabulate(rows, heads, tablefmt='github', disable_numparse=True)}\n\n{words}"
