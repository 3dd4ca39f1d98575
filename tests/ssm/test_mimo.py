"""One state for all features: both routes against the float64 recurrence, counts, S5 and LRU at init, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FakeData
from torch import Tensor

from suite import models
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.models.backbone import count_parameters
from suite.ssm import S4D, SharedState, hippo, mimo_scan
from suite.ssm.stored import complex_of

pytestmark = pytest.mark.usefixtures("one_thread")
ZOH: dict[str, Any] = {"discretization": "zoh"}
OSCILLATOR: dict[str, Any] = {"init": "lin", "imag_scale": 0.02, "real_zero": True, "re_constraint": "none",
                              "re_clamp": 0.0, "dt_min": 0.5, "dt_max": 0.73, "dt_per": "one"}
SETTINGS: dict[str, dict[str, Any]] = {
    "S5": ZOH | {"init": "legs", "blocks": 4},
    "LRU": ZOH | {"init": "ring", "gain": "gamma", "dt_min": 1.0, "dt_max": 1.0, "train_dt": False},
    "LinOSS-IM": OSCILLATOR | {"discretization": "backward"},
    "LinOSS-IMEX": OSCILLATOR | {"discretization": "symplectic"},
    "angles": ZOH | {"init": "dfout", "dt_scope": "real", "gain": "dt", "blocks": 2},
    "growing": {"init": "lin", "re_constraint": "none"},
    "real modes": {"init": "real", "real_law": "spectrum", "dt_per": "one", "blocks": 2}}
ROUTES = sorted(mimo_scan.ROUTES)
BOUNDS = {torch.float64: (1e-11, 1e-9), torch.float32: (1e-6, 1e-5)}  # output, gradient: those of the other layers


def made(name: str = "S5", features: int = 3, **more: Any) -> SharedState:
    given = {"length": 1100, "state_size": 32, "seed": 0, "dtype": torch.float64} | SETTINGS[name] | more
    layer = SharedState(features, **given)
    if name == "growing":
        with torch.no_grad():
            layer.theta[0, 0] = -0.01
    return layer


def signal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def stepped(layer: SharedState, u: Tensor, rate: float = 1.0) -> Tensor:
    """The layer's output by the recurrence, one step at a time, in float64."""
    d = layer.discrete(rate)
    A, B, C = torch.exp(d.log_A_bar[:, 0]), d.B_gain * complex_of(layer.b), complex_of(layer.c)
    u = u.double()

    def states(v: Tensor) -> Tensor:
        x, found = torch.zeros_like(v[:, 0]), []
        for t in range(v.shape[1]):
            x = A * x + v[:, t]
            found.append(x)
        return torch.stack(found, 1)

    v, factor = u.to(B.dtype) @ B.T, 2 if layer.paired else 1
    y = layer.d.double() * u + factor * (states(v) @ C[0].T).real
    return y + factor * (states(v.flip(1)).flip(1) @ C[1].T).real if layer.bidirectional else y


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).detach().abs().max() / expected.detach().abs().max().clamp(min=1e-30))


@pytest.mark.parametrize("precision", list(BOUNDS), ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_both_routes_equal_the_recurrence(monkeypatch: pytest.MonkeyPatch, name: str, bidirectional: bool,
                                          precision: torch.dtype) -> None:
    monkeypatch.setattr(mimo_scan, "CHUNK", 8)
    layer = made(name, bidirectional=bidirectional).to(precision)
    most, most_of_gradient = BOUNDS[precision]
    for length in (1, 8, 300):  # 300 steps are chunks at three levels
        u = signal(2, length, 3).to(precision).requires_grad_()
        leaves = [u] + [p for p in layer.parameters() if p.numel() > 1]
        expected = stepped(layer, u)
        weights = signal(*expected.shape)
        slopes = torch.autograd.grad((expected * weights).sum(), leaves, retain_graph=True)
        for layer.route in ROUTES:
            found = layer(u)
            assert found.dtype == precision and off(found, expected) <= most, (length, layer.route)
            for one, other in zip(torch.autograd.grad((found * weights).sum(), leaves), slopes, strict=True):
                assert off(one, other) <= most_of_gradient or float(other.abs().max()) < 1e-9, (length, layer.route)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("name", "bidirectional"), [("S5", False), ("LRU", True), ("LinOSS-IMEX", True)])
def test_gradients(monkeypatch: pytest.MonkeyPatch, name: str, bidirectional: bool, route: str) -> None:
    monkeypatch.setattr(mimo_scan, "CHUNK", 3)  # 7 steps are chunks at two levels
    layer = made(name, 2, state_size=8, bidirectional=bidirectional, route=route)
    u = signal(1, 7, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda u, *_: layer(u), (u, *layer.parameters()), atol=1e-6, rtol=1e-5)


def test_long_sequences_keep_their_phases() -> None:
    layer = made("LRU", 1, state_size=8, ring_min=0.999, ring_max=0.9999).float()
    u = signal(1, 16384, 1).float()
    with torch.no_grad():
        expected = stepped(layer, u)
        for layer.route in ROUTES:
            assert off(layer(u), expected) <= 1e-6, layer.route


@pytest.mark.parametrize("name", ["S5", "LRU", "LinOSS-IM"])
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_the_step_mode(name: str, rate: float) -> None:
    layer, u = made(name), signal(2, 50, 3)
    model, rows = layer.recurrence(rate), []
    state = model.start(2)
    with torch.no_grad():
        for t in range(50):
            y, state = model.step(u[:, t], state)
            rows.append(y)
        assert off(torch.stack(rows, 1), layer(u, rate)) < 1e-13
        assert off(layer(u, rate), stepped(layer, u, rate)) < 1e-13


def test_twice_the_rate_squares_a() -> None:
    for name in ("S5", "LRU"):
        one, two = (torch.exp(made(name).discrete(rate).log_A_bar) for rate in (1.0, 2.0))
        assert torch.allclose(one**2, two, atol=1e-14)


def test_with_one_feature_it_is_s4d() -> None:
    other = S4D(1, init="lin", state_size=16, seed=3, dtype=torch.float64)
    layer = made(features=1, init="lin", blocks=1, state_size=16, discretization="bilinear", dt_per="one")
    with torch.no_grad():
        for name in ("theta", "imag", "log_dt", "d", "c"):
            getattr(layer, name).copy_(getattr(other, name))
        layer.b.copy_(other.b[0, :, None])
        u = signal(2, 300, 1)
        assert off(layer(u), other(u)) < 1e-12


def test_zeros_at_the_end_change_nothing_before_them() -> None:
    layer, u = made(bidirectional=True), signal(2, 40, 3)
    with torch.no_grad():
        assert off(layer(torch.nn.functional.pad(u, (0, 0, 0, 30)))[:, :40], layer(u)) < 1e-14


@pytest.mark.parametrize("route", ROUTES)
def test_it_keeps_the_states_and_no_more(route: str) -> None:
    layer, u = made(route=route, bidirectional=True), signal(2, 1024, 3).requires_grad_()
    kept: dict[int, int] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.update({x.data_ptr(): x.numel()}) or x, lambda x: x):
        layer(u)
    states = 2 * 2 * 1024 * 32  # two directions, two examples, N real numbers a step
    assert states <= sum(kept.values()) < states + u.numel() + 5000


@pytest.mark.parametrize("bidirectional", [False, True])
def test_counts_of_a_layer(bidirectional: bool) -> None:
    H, M, Ch = 6, 16, 1 + bidirectional
    s5 = 2 * M + M + 2 * M * H + 2 * Ch * M * H + H
    lru = 3 * M + 2 * M * H + 2 * Ch * M * H + H
    linoss = 2 * M + 1 + 2 * M * H + 2 * Ch * M * H + H
    for name, count in (("S5", s5), ("LRU", lru), ("LinOSS-IM", linoss), ("LinOSS-IMEX", linoss - M)):
        assert count_parameters(made(name, H, bidirectional=bidirectional)) == count


def test_the_count_of_s5_on_speech_commands() -> None:
    """S5's published sizes (its scripts) give 283,523; with pre-norm, our backbone has a norm at its end, too."""
    sizes = {"model.layers": 6, "model.features": 96, "model.norm": "batch", "model.bidirectional": True,
             "ssm.structure": "mimo", "ssm.blocks": 16, "ssm.state_size": 128, "ssm.discretization": "zoh"}
    data = FakeData(task="sc_bi", length=16000, channels=1, classes=35)
    for prenorm, count in ((False, 283_523), (True, 283_523 + 2 * 96)):
        run = RunConfig.build({"task": "sc_bi", "model.prenorm": prenorm} | sizes)
        assert models.build(run, data).parameters_count == count


def test_s5_at_init() -> None:
    layer = made("S5", 400, state_size=32, blocks=2)
    modes = hippo.modes("legs", 16)
    A = layer.discrete().lam.detach().numpy()[:, 0]
    assert np.allclose(A, np.tile(modes.a, 2), atol=1e-12)
    assert layer.log_dt.shape == (16,) and len(set(layer.log_dt.tolist())) == 16
    B = complex_of(layer.b).detach().numpy().reshape(2, 8, 400)
    drawn = 2 * (modes.v @ B).real  # V V* is the identity, with the conjugates
    assert drawn.std() * np.sqrt(32) == pytest.approx(1, abs=0.03)
    assert np.allclose(modes.v.conj().T @ drawn, B, atol=1e-12)
    assert float(complex_of(layer.c).detach().abs().square().mean()) * 32 == pytest.approx(1, abs=0.05)


def test_the_lru_at_init() -> None:
    """Under gamma, white inputs of variance 1 give every mode the variance of B u, which is 1."""
    layer = made("LRU", 400)
    d = layer.discrete()
    A = torch.exp(d.log_A_bar).abs().detach()
    assert float(A.min()) > 0.9 and float(A.max()) < 0.999
    assert torch.allclose(d.B_gain.abs() ** 2 / (1 - A**2), torch.ones_like(A), rtol=1e-12)
    assert float(complex_of(layer.b).detach().abs().square().sum(1).mean()) == pytest.approx(1, abs=0.05)
    assert "log_gamma" in dict(layer.named_parameters()) and "log_dt" in dict(layer.named_buffers())


def test_the_same_seed_is_the_same_layer() -> None:
    one, two, other = made(), made(), made(seed=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.b, other.b)


REFUSED = [
    ("kernel: softmax, discretization: zoh", "leave ssm.kernel at vandermonde"), ("copies: 2", "leave out ssm.copies"),
    ("kernel: free", "leave ssm.kernel at vandermonde"), ("kernel_length: 9", "leave out ssm.kernel_length"),
    ("rank: 1", "leave out ssm.rank"), ("c_tilde: true", "leave out ssm.c_tilde"), ("b_init: ones", "the same column"),
    ("init: ptd", "need the eigenvectors"), ("init: legt", "needs legs, or a formula"),
    ("kernel: cauchy", "leave ssm.kernel at vandermonde"),
    ("sobolev: trained", "mimo has none"), ("blocks: 3", "each block is of conjugate pairs"),
    ("init: lin, discretization: symplectic", "it needs real_zero: true"),
    ("structure: diagonal, blocks: 2", "ssm.blocks has an effect only with ssm.structure: mimo"),
    ("structure: diagonal, dt_per: one", "ssm.dt_per has an effect only with ssm.structure: mimo"),
    ("structure: diagonal, b_init: lecun", "which only mimo has"), ("blocks: 0", "greater than or equal to 1")]


@pytest.mark.parametrize(("settings", "reason"), REFUSED, ids=[text for text, _ in REFUSED])
def test_a_grid_refuses_it_with_the_reason_and_the_place(tmp_path: Path, settings: str, reason: str) -> None:
    path, form = tmp_path / "g.yaml", "" if "structure" in settings else "structure: mimo, "
    path.write_text("name: g\nbase: {task: scifar, data.variant: sample, model.bidirectional: true}\naxes:\n"
                    f"  method:\n    plain: {{}}\n    X: {{ssm: {{{form}{settings}}}}}\n")
    with pytest.raises(UserError) as caught:
        load_grid(path)
    assert reason in str(caught.value) and "g.yaml:6" in str(caught.value)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_a_run_of_its_own(name: str) -> None:
    run = RunConfig.build({"task": "scifar", "ssm.structure": "mimo"}
                              | {f"ssm.{key}": value for key, value in SETTINGS[name].items()})
    layer = models.build(run, FakeData(length=30)).blocks[0].sequence
    assert isinstance(layer, SharedState) and run.ssm.b_init == "lecun"


def test_new_fields_are_not_in_the_identity_of_other_runs() -> None:
    plain = RunConfig.build({"task": "scifar"})
    assert "blocks" not in plain.ssm.canonical and "dt_per" not in plain.ssm.canonical
    with_blocks = RunConfig.build({"task": "scifar", "ssm.structure": "mimo", "ssm.blocks": 4})
    assert '"blocks":4' in with_blocks.ssm.canonical.replace(" ", "")


def test_an_init_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared_inits.py").write_text(
        "import numpy as np\n\ndef spread(state_size, copies, rng):\n"
        "    return -0.5 + 1j * np.arange(copies * (state_size // 2)).reshape(copies, -1)\n\n"
        "def with_b(state_size, copies, rng):\n"
        "    return {'a': spread(state_size, copies, rng), 'b': np.full((copies, state_size // 2), 2.0 + 0j)}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    layer = made(init="shared_inits:spread", blocks=2, state_size=16)
    assert layer.imag[0].tolist() == list(range(8))
    with pytest.raises(UserError, match="the B of mimo is dense"):
        made(init="shared_inits:with_b", blocks=2, state_size=16)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: made().kernel(9), "a kernel for each pair"), (lambda: made(route="scan"), "unknown route 'scan'"),
    (lambda: made(bidirectional=True).recurrence(), "no step mode"),
    (lambda: made()(torch.zeros(1, 9, 4)), "an input of"),
    (lambda: made()(torch.zeros(1, 9, 3), rate=0.0), "the rate is 0.0"),
    (lambda: made(copies=3), "leave out ssm.copies"),
    (lambda: made("LinOSS-IM", length=None), "length is needed, since the bound"),
    (lambda: made(kernel="free"), "have one kernel each"), (lambda: S4D(4, structure="mimo"), "SharedState is mimo"),
    (lambda: SharedState(4, structure="diagonal"), "structure diagonal for SharedState")])
def test_what_has_no_meaning_is_refused(call: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()
