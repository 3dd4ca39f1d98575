"""The paper's theory as executable checks: theorem 3, proposition 4, conjecture 5, FouT's window, the equivalences."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from suite.cli.main import main
from suite.config.fields import SSM
from suite.ssm import constraints, discretize, hippo, kernels
from suite.ssm.layer import SSMLayer
from suite.ssm.state_space import StateSpaceLayer
from suite.theory import numbers
from suite.theory import section as section

pytestmark = pytest.mark.usefixtures("one_thread")


def test_theorem_3_the_bases_approach_each_other() -> None:
    """In the answers to a step. Pointwise they do not: an ever faster oscillation of constant size remains."""
    sizes = [16, 64, 256, 1024]
    pointwise, summed = zip(*(numbers.basis_distance(n) for n in sizes), strict=True)
    assert all(rate > 1 for rate in section.rates(list(summed)))
    assert summed[-1] < 2e-4
    assert all(0.5 < value < 0.7 for value in pointwise)


@pytest.mark.parametrize("n", [16, 64, 256])
def test_proposition_4_the_real_part_is_one_half(n: int) -> None:
    assert numbers.real_part_deviation(n) < 1e-10


def test_conjecture_5_with_the_corrected_constant() -> None:
    gaps = [numbers.largest_frequency_gap(n) for n in (16, 64, 256, 1024)]
    assert np.allclose(gaps, [0.5213, 0.5235, 0.5236, 0.5236], atol=1e-4)
    assert abs(gaps[-1] - np.pi / 6) < 1e-5


@pytest.mark.parametrize("name", ["fout", "legt"])
def test_the_window_of_the_finite_bases_ends_at_two(name: str) -> None:
    assert numbers.after_window(name, 256) < 0.05


@pytest.mark.parametrize("name", hippo.HIPPOS)
def test_a_constant_input_ends_in_a_unit_state(name: str) -> None:
    assert numbers.constant_answer(name, 64) == pytest.approx(1.0, abs=1e-9)


def test_the_section_of_the_report_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theory", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "theory.md").read_text()
    assert capsys.readouterr().out.startswith(text)
    for line in ("| 16 | 4.75e-02 |", "| 1024 | 1.36e-04 |", "| 256 | 0.5235", "| FouT | 1.0000 |"):
        assert line in re.sub(" +", " ", text)
    (tmp_path / "file").write_text("")
    assert main(["theory", "--out", str(tmp_path / "file")]) == 2


def test_the_skew_part_of_fout_alone_never_decays() -> None:
    found = hippo.fout(16)
    rows = discretize.basis(found.a + found.p.T @ found.p, found.b, 0.01, 2000, "zoh", keep=4)
    assert np.abs(rows[1800:]).max() == pytest.approx(np.abs(rows[:200]).max(), rel=1e-6)


def test_legs_basis_has_its_closed_form() -> None:
    found = hippo.legs(32)
    t = 0.002 * np.arange(1000)
    rows = discretize.basis(found.a, found.b, 0.002, 1000, "zoh", keep=3)
    for n in range(3):
        # The discrete kernel over dt is the mean of K over one step, which begins at t.
        exact = np.sqrt(2 * n + 1) * np.polynomial.Legendre.basis(n)(2 * np.exp(-t - 0.001) - 1) * np.exp(-t - 0.001)
        assert np.abs(rows[:, n] - exact).max() < 1e-4


@pytest.mark.parametrize("name", ["legs", "legt", "fout"])
def test_modes_are_the_real_system(name: str) -> None:
    """A = diag(lam) - P P* on modes and conjugates, turned back by V, is the HiPPO matrix; so are B and P."""
    n, found, m = 64, hippo.HIPPOS[name](64), hippo.modes(name, 64)
    v = np.concatenate([m.v, m.v.conj()], axis=1)
    lam, b, p = (np.concatenate([x, x.conj()], axis=-1) for x in (m.a, m.b, m.p))
    assert np.abs(v @ v.conj().T - np.eye(n)).max() < 1e-12
    a = v @ (np.diag(lam) - p.T @ p.conj()) @ v.conj().T
    assert np.abs(a - found.a).max() < 1e-9 * np.abs(found.a).max()
    assert np.abs(v @ b - found.b).max() < 1e-11


def _layer(**fields: object) -> StateSpaceLayer:
    return SSMLayer(SSM(**fields), 8, 200, False, np.random.default_rng(3)).double()  # type: ignore[arg-type]


def test_s4d_is_s4_without_its_low_rank_term() -> None:
    shared = {"init": "legs", "re_clamp": 1e-4, "c_tilde": False, "b_init": "hippo"}
    diagonal = _layer(**shared).kernel(200)
    dplr = _layer(structure="dplr", kernel="cauchy", rank=0, **shared).kernel(200)
    assert (diagonal - dplr).abs().max() < 1e-12 * diagonal.abs().max()


def test_softmax_is_vandermonde_with_other_coefficients() -> None:
    """Each mode of the softmax kernel is the ZOH Vandermonde's, over exp(lam dt L) - 1."""
    layer = _layer(init="inv", kernel="softmax", discretization="zoh")
    found = layer.discrete()
    weight = torch.view_as_complex(layer.c) * layer._B()
    scaled, _ = kernels.vandermonde_weights(weight / (torch.exp(found.lam * found.dt * 200) - 1), found)
    expected = kernels.power_sum(scaled, found.log_A_bar, 200)
    assert (layer.kernel(200) - expected).abs().max() < 1e-12 * expected.abs().max()


@pytest.mark.parametrize(("init", "rank"), [("legs", 1), ("legt", 2), ("fout", 1)])
def test_unit_variance_of_the_output_at_init(init: str, rank: int) -> None:
    """A constant input of 1 is a unit vector in a HiPPO state, so that C gives an output of variance 1."""
    config = SSM(structure="dplr", kernel="cauchy", init=init, rank=rank, b_init="hippo", state_size=16, dt_min=0.01)
    layer = SSMLayer(config, 3000, 2000, False, np.random.default_rng(0))
    with torch.no_grad():
        out = layer.kernel(2000).double().sum(-1)
    assert float(out.square().mean()) == pytest.approx(1.0, abs=0.1)


SC, SCIFAR, BIDMC, PATHX = 256 + 35 * 129, 512 + 10 * 129, 384 + 129, 512 + 2 * 257
TEXT, RETRIEVAL = 135 * 256 + 2 * 257, 98 * 256 + 4 * 256 * 256 + 256 + 2 * 257
# Layers, H, N, kernels a feature, S, rank of P, what of A and B is trained, mixing (1 linear, 2 GLU), a final norm,
# encoder and decoder, and the total that the paper's models have.
ROWS = [
    (6, 128, 64, 2, 2, 0, "ab", 2, True, SC, 306_083), (6, 128, 64, 2, 2, 1, "ab", 2, True, SC, 306_851),
    (6, 128, 64, 2, 1, 0, "ab", 2, True, SC, 305_315), (6, 128, 64, 2, 1, 1, "ab", 2, True, SC, 305_699),
    (6, 128, 64, 2, 128, 0, "ab", 2, True, SC, 402_851), (4, 96, 64, 2, 96, 0, "ab", 2, True, 386, 174_914),
    (4, 96, 64, 2, 96, 0, "a", 2, True, 386, 150_338), (4, 128, 64, 1, 1, 0, "ab", 1, True, SC, 106_403),
    (4, 128, 64, 1, 2, 0, "ab", 1, True, SC, 106_915), (4, 128, 64, 1, 1, 1, "ab", 1, True, SC, 106_659),
    (4, 128, 64, 1, 2, 1, "ab", 1, True, SC, 107_427), (4, 128, 64, 1, 1, 0, "", 1, True, SC, 105_891),
    (4, 128, 64, 1, 1, 1, "", 1, True, SC, 105_891), (4, 128, 64, 2, 1, 0, "ab", 1, False, SCIFAR, 135_946),
    (4, 128, 64, 2, 2, 0, "ab", 1, False, SCIFAR, 136_458), (4, 128, 256, 2, 1, 0, "ab", 1, True, BIDMC, 333_057),
    (4, 128, 256, 2, 2, 0, "ab", 1, True, BIDMC, 335_105), (4, 128, 64, 2, 1, 0, "ab", 1, True, BIDMC, 134_913),
    (4, 128, 64, 2, 2, 0, "ab", 1, True, BIDMC, 135_425), (6, 512, 64, 2, 2, 0, "ab", 2, False, 7178, 3_566_090),
    (6, 512, 64, 2, 2, 1, "ab", 2, False, 7178, 3_566_858), (6, 128, 256, 2, 1, 0, "ab", 2, True, BIDMC, 598_273),
    (6, 128, 256, 2, 2, 0, "ab", 2, True, BIDMC, 601_345), (6, 128, 256, 2, 1, 1, "ab", 2, True, BIDMC, 599_809),
    (6, 256, 64, 2, 256, 0, "ab", 2, True, PATHX, 1_190_402), (6, 256, 64, 2, 256, 1, "ab", 2, True, PATHX, 1_288_706),
    (8, 128, 64, 2, 128, 0, "ab", 2, False, 18 * 128 + 1290, 534_026),
    (6, 256, 64, 2, 256, 0, "ab", 2, True, TEXT, 1_224_450),
    (6, 256, 64, 2, 256, 0, "ab", 2, True, RETRIEVAL, 1_477_378),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[-1]}-S{row[4]}-r{row[5]}")
def test_parameter_counts_of_the_paper(row: tuple) -> None:
    layers, features, n, kernels_, copies, rank, trained, mixing, final, rest, total = row
    dplr = {"structure": "dplr", "kernel": "cauchy", "b_init": "hippo", "rank": rank} if rank else {}
    config = SSM(state_size=n, copies=copies, train_a="a" in trained, train_b="b" in trained, **dplr)
    layer = SSMLayer(config, features, 4, kernels_ == 2, np.random.default_rng(0))
    mine = sum(p.numel() for p in layer.parameters())
    block = mine + mixing * (features**2 + features) + 2 * features
    assert layers * block + 2 * features * final + rest == total


def test_constraints_agree_at_init() -> None:
    a = -np.array([1e-6, 0.1, 0.5, 30.0])
    for rule in ("exp", "relu", "none", "softplus"):
        theta = torch.from_numpy(constraints.unconstrain(a, rule, 1e-4))
        back = constraints.constrain(theta, rule).numpy()
        assert np.allclose(back, np.minimum(a, -1e-4), rtol=1e-12, atol=0), rule
