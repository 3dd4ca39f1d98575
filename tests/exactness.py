"""Every combination that the rules allow against its float64 twin: `pytest tests/exactness.py`, never by default.

Prints, at the end, the worst case of each kernel and precision. Takes tens of minutes on one thread.
"""

from __future__ import annotations

import warnings

import pytest
import ssm_cases
import torch
from ssm_cases import BOUNDS, Case

WORST: dict[tuple[str, str, str], tuple[float, str]] = {}


@pytest.fixture(scope="module", autouse=True)
def table():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    for (form, precision, what), (value, case) in sorted(WORST.items()):
        print(f"\n{form:32s} {precision} {what:8s} {value:.1e}  {case}", end="")
    print()


@pytest.mark.parametrize("case", list(ssm_cases.everything()), ids=str)
@pytest.mark.parametrize("direction", ["causal", "two-sided"])
def test_everything(case: Case, direction: str) -> None:
    for precision, error in ssm_cases.compare(case, direction == "two-sided").items():
        kernel, gradient = BOUNDS[case.form[0], precision]
        for what, value in (("kernel", error.kernel), ("gradient", error.gradient)):
            key = ("-".join(case.form), precision, what)
            WORST[key] = max(WORST.get(key, (0.0, "")), (value, f"{case} {error.where}"))
        assert error.kernel <= kernel, (precision, error)
        assert error.gradient <= gradient, (precision, error)


@pytest.mark.parametrize("length", [1, 16, 1000])
def test_keops_equals_blocked(length: int) -> None:
    """Compiles on the first use, which takes a minute."""
    from suite.ssm import kernels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        g = torch.Generator().manual_seed(0)
        c = torch.randn(2, 3, 8, dtype=torch.complex128, generator=g).requires_grad_()
        x = (-torch.rand(3, 8, dtype=torch.complex128, generator=g)).requires_grad_()
        results = []
        for backend in kernels.BACKENDS:
            k = kernels.power_sum(c, x, length, backend)
            results.append((k, *torch.autograd.grad(k.cos().sum(), (c, x))))
    for other in results[1:]:
        for mine, first in zip(other, results[0], strict=True):
            assert (mine - first).abs().max() <= 1e-11 * first.abs().max() + 1e-13
