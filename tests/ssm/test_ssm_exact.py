"""Every kernel against its slow float64 twin: a sample that covers all pairs of settings. The rest: exactness.py."""

from __future__ import annotations

import numpy as np
import pytest
import ssm_cases
import torch
from ssm_cases import Case, bounds

from suite.config.fields import SSM
from suite.ssm.conv import convolve
from suite.ssm.dplr import squaring
from suite.ssm.layer import SSMLayer

COVERING = ssm_cases.covering()


pytestmark = pytest.mark.usefixtures("one_thread")


def hold(case: Case, bidirectional: bool) -> None:
    for (_, precision), error in ssm_cases.compare(case, ["two-sided" if bidirectional else "causal"]).items():
        kernel, gradient = bounds(case, precision)
        assert error.kernel <= kernel, (precision, error)
        assert error.gradient <= gradient, (precision, error)


@pytest.mark.parametrize(("number", "case"), list(enumerate(COVERING)), ids=str)
def test_kernel_and_gradients_equal_the_twin(number: int, case: Case) -> None:
    hold(case, bidirectional=number % 3 == 0)


@pytest.mark.parametrize("init", ssm_cases.INITS["dplr"])
@pytest.mark.parametrize("constraint", ["exp", "none"])
@pytest.mark.parametrize(("length", "size"), [(1, 2), (2, 4), (3, 4), (7, 4), (16, 64), (1009, 16), (2000, 64)])
@pytest.mark.parametrize("way", ["squaring", "transforms"])
def test_either_way_of_dplr_equals_the_twin(monkeypatch: pytest.MonkeyPatch, way: str, length: int, size: int,
                                            constraint: str, init: str) -> None:
    monkeypatch.setattr(squaring, "is_better", lambda *_: way == "squaring")
    hold(Case(ssm_cases.FORMS[0], constraint, init, length, size), bidirectional=True)


@pytest.mark.parametrize("length", [*range(1, 200), 784, 1000, 4000, 16000, 16001, 16384, 65535])
def test_sizes_of_the_tables_of_powers(length: int) -> None:
    steps, doublings, q, rest = squaring.sizes(length)
    assert q * (steps << doublings) + rest == length
    assert 0 <= rest < steps and q >= 1
    assert length < 64 or q + (steps << doublings) <= 4 * length**0.5


def test_the_sample_covers_all_pairs() -> None:
    pairs = {pair for case in ssm_cases.everything() for pair in ssm_cases._pairs(case)}
    assert pairs == {pair for case in COVERING for pair in ssm_cases._pairs(case)}


@pytest.mark.parametrize("rule", ["bilinear", "zoh"])
def test_hundredfold_frequencies_at_length_16384(rule: str) -> None:
    """Where the phases of float32 would be lost: |dt Im A| up to 1e4, over 16384 steps."""
    hold(Case(("diagonal", "vandermonde", rule), "exp", "inv x100", 16384, 64), bidirectional=False)


GRADCHECKED = [(form, init, way) for form in ssm_cases.FORMS for init in ("legt", "inv", "spectrum")
               for way in ("squaring", "transforms")
               if init in ssm_cases.INITS[form[0]] and (form[0] == "dplr" or way == "transforms")]


@pytest.mark.parametrize(("form", "init", "way"), GRADCHECKED, ids=str)
@pytest.mark.parametrize("constraint", ["exp", "none"])
@pytest.mark.parametrize("length", [7, 50])
def test_gradcheck(monkeypatch: pytest.MonkeyPatch, form: tuple[str, str, str], init: str, constraint: str,
                   length: int, way: str) -> None:
    monkeypatch.setattr(squaring, "is_better", lambda *_: way == "squaring")
    layer = Case(form, constraint, init, length, 4).layer(bidirectional=True).double()
    leaves = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters() if name != "d"}

    def kernel(*values: torch.Tensor) -> torch.Tensor:
        named = {f"layer.{name}": value for name, value in zip(leaves, values, strict=True)}
        return torch.func.functional_call(_Kernel(layer), named, (length,))

    # Every entry of the Jacobian of a short kernel; of a longer one, which has many, a random combination of them.
    assert torch.autograd.gradcheck(kernel, tuple(leaves.values()), atol=1e-5, rtol=1e-4, nondet_tol=0.0,
                                    fast_mode=length > 7)


class _Kernel(torch.nn.Module):
    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, length: int) -> torch.Tensor:
        return self.layer.kernel(length)


@pytest.mark.parametrize("structure", ["plain C", "C~ on a diagonal", "rank 3"])
def test_gradcheck_of_options(structure: str) -> None:
    dplr = {"structure": "dplr", "kernel": "cauchy", "b_init": "hippo"}
    extra = {"plain C": dplr | {"rank": 1, "c_tilde": False}, "C~ on a diagonal": {"init": "inv", "c_tilde": True},
             "rank 3": dplr | {"init": "legt", "rank": 3}}[structure]
    layer = SSMLayer(SSM(state_size=4, **extra), 2, 9, False, np.random.default_rng(0)).double()
    if structure == "rank 3":
        with torch.no_grad():
            layer.p[2] = 0.3
    leaves = [p for name, p in layer.named_parameters() if name != "d"]
    assert torch.autograd.gradcheck(lambda *_: layer.kernel(9), leaves, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kernels", [1, 2])
@pytest.mark.parametrize(("length", "taps"), [(1, 1), (5, 5), (12, 7)])
def test_gradcheck_of_the_convolution(kernels: int, length: int, taps: int) -> None:
    g = torch.Generator().manual_seed(0)
    u, k, d = (torch.randn(*shape, dtype=torch.float64, generator=g).requires_grad_()
               for shape in ((2, length, 3), (kernels, 3, taps), (3,)))
    assert torch.autograd.gradcheck(convolve, (u, k, d))
