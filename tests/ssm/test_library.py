"""`suite.ssm` as a library: one resolver of defaults, the layers by hand, and what people do with modules."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from suite.config.fields import SSM
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.ssm import S4, S4D, hippo, init, s4d
from suite.ssm.layer import SSMLayer
from suite.ssm.state_space import StateSpaceLayer

S4_FIELDS = {"structure": "dplr", "kernel": "cauchy"}
SOFTMAX = {"kernel": "softmax", "discretization": "zoh"}
KINDS: dict[str, tuple[type[StateSpaceLayer], dict[str, Any]]] = {
    "s4d": (S4D, {"init": "lin"}), "zoh": (S4D, {"init": "inv", "discretization": "zoh", "copies": 2}),
    "softmax": (S4D, SOFTMAX), "s4": (S4, {}), "legt": (S4, {"init": "legt"}), "C": (S4, {"c_tilde": False}),
    "frozen": (S4D, {"train_a": False, "train_b": False})}
FREE = ["s4d", "zoh", "C", "frozen"]  # any length of input has a meaning


def made(kind: str, **more: Any) -> StateSpaceLayer:
    cls, fields = KINDS[kind]
    return cls(**{"features": 4, "state_size": 16, "length": 40, "seed": 3} | fields | more)


def signal(length: int = 40, features: int = 4, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, length, features, generator=torch.Generator().manual_seed(0)).to(dtype)


def pickled(layer: StateSpaceLayer) -> Any:
    return pickle.loads(pickle.dumps(layer))  # noqa: S301 - it is the test's own


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(("name", "rank"), [("legs", 1), ("legt", 2), ("fout", 1)])
def test_a_layer_made_by_hand_with_dplr_is_real_s4(name: str, rank: int) -> None:
    layer = SSMLayer(SSM(structure="dplr", kernel="cauchy", init=name), 4, 16, False, np.random.default_rng(0))
    assert isinstance(layer, S4)
    assert layer.p.shape == (rank, 1, 32, 2) and layer.p.any()
    b = layer.b.detach().double().numpy()
    assert np.allclose(b[0, :, 0] + 1j * b[0, :, 1], hippo.modes(name, 64).b)
    assert layer.tilde and layer.config.re_clamp == 1e-3


def test_a_dplr_layer_without_a_hippo_matrix_is_refused() -> None:
    with pytest.raises(UserError, match=r"ssm\.b_init"):
        SSMLayer(SSM(structure="dplr", kernel="cauchy", init="lin"), 4, 16, False, np.random.default_rng(0))


@pytest.mark.parametrize("given", [{}, {"structure": "dplr"}, {"structure": "dplr", "init": "legt"}, {"b_init": "half"},
                                   {"structure": "dplr", "rank": 0, "c_tilde": False}, {"re_clamp": 0.0}])
def test_runs_and_layers_share_one_resolver(given: dict[str, Any]) -> None:
    run = RunConfig.build({"task": "scifar"} | {f"ssm.{key}": value for key, value in given.items()}).ssm
    resolved = SSM(**given).resolved()
    assert resolved.model_dump() == run.model_dump() == run.resolved().model_dump()
    assert resolved.canonical == run.canonical
    assert resolved.resolved() is resolved
    assert [name for name, value in resolved.model_dump().items() if value is None] == ["kernel_length"]  # the whole


@pytest.mark.parametrize("rule", ["bilinear", "zoh"])
@pytest.mark.parametrize("name", ["lin", "inv"])
def test_the_layer_equals_the_papers_listing(name: str, rule: str) -> None:
    layer = S4D(6, init=name, discretization=rule, copies=2, seed=0, dtype=torch.float64).requires_grad_(False)
    A = torch.complex(-layer.theta.exp(), layer.imag)
    formula = {"lin": s4d.s4d_lin, "inv": s4d.s4d_inv}[name](64)
    assert torch.allclose(A[0], formula, rtol=1e-14) and A.shape == (2, 32)
    A, B = A.repeat(3, 1), torch.view_as_complex(layer.b).repeat(3, 1)
    C, dt = torch.view_as_complex(layer.c)[0], layer.log_dt.exp()
    K = s4d.kernel(A, B, C, dt, 300, rule)
    assert (layer.kernel(300)[0] - K).abs().max() < 1e-10 * K.abs().max()
    y = s4d.s4d(signal(300, 6, torch.float64), A, B, C, layer.d, dt, rule)
    assert (layer(signal(300, 6, torch.float64)) - y).abs().max() < 1e-10 * y.abs().max()
    assert (layer.float()(signal(300, 6)) - y).abs().max() < 1e-4 * y.abs().max()


def test_the_listing_can_be_read_at_a_glance() -> None:
    lines = inspect.getsource(s4d).splitlines()
    assert len([line for line in lines if line.strip()]) < 50
    assert np.allclose(s4d.s4d_lin(64).imag, init.imaginary("lin", 64))
    with pytest.raises(KeyError):
        s4d.discretize(torch.zeros(1), torch.zeros(1), torch.ones(1), "euler")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_layers_by_hand_have_the_bits_of_a_runs(kind: str, bidirectional: bool) -> None:
    cls, fields = KINDS[kind]
    chosen = (S4_FIELDS if cls is S4 else {}) | fields | {"state_size": 16}
    run = RunConfig.build({"task": "scifar", "seed": 7} | {f"ssm.{key}": value for key, value in chosen.items()})
    theirs = SSMLayer(run.ssm, 4, 40, bidirectional, np.random.default_rng([run.seed, 1]))
    for mine in (made(kind, bidirectional=bidirectional, seed=[7, 1]),
                 made(kind, bidirectional=bidirectional, seed=None, rng=np.random.default_rng([7, 1])),
                 cls(4, length=40, bidirectional=bidirectional, seed=[7, 1], config=run.ssm)):
        assert type(mine) is type(theirs) is cls
        assert same(mine, theirs)
        assert torch.equal(mine(signal()), theirs(signal()))


def test_without_a_seed_torch_decides() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        first, second = S4D(4, state_size=8), S4D(4, state_size=8)
        torch.manual_seed(5)
        assert same(first, S4D(4, state_size=8)) and not same(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_pickled_copied_saved_and_loaded(kind: str) -> None:
    layer, file = made(kind, bidirectional=True), io.BytesIO()
    expected = layer(signal())
    torch.save(layer, file)
    file.seek(0)
    fresh = made(kind, bidirectional=True, seed=4)
    assert not same(fresh, layer)
    assert fresh.load_state_dict(layer.state_dict()).missing_keys == []
    for other in (pickled(layer), copy.deepcopy(layer), fresh,
                  torch.load(file, weights_only=False)):
        assert torch.equal(other(signal()), expected)
        assert other.config == layer.config and str(other) == str(layer)
        broken = {key: torch.full_like(value, torch.nan) for key, value in other.state_dict().items()}
        with pytest.raises(UserError, match="not finite"):  # the check after loading survives all of them
            other.load_state_dict(broken)


@pytest.mark.parametrize("kind", KINDS)
def test_conversions_between_dtypes_and_devices(kind: str) -> None:
    layer = made(kind)
    y = layer(signal())
    assert y.dtype == torch.float32 == layer(signal().double()).dtype
    wide = made(kind, dtype=torch.float64)
    assert {value.dtype for value in wide.state_dict().values()} == {torch.float64}
    assert torch.allclose(wide(signal()), y.double(), atol=1e-4 * float(y.detach().abs().max()))
    widened = copy.deepcopy(layer).to(torch.float64)(signal())
    assert torch.allclose(widened, y.double(), atol=1e-5 * float(y.detach().abs().max()))
    assert layer.to("cpu") is layer and layer(signal(9)).shape == (2, 9, 4)
    assert {value.device.type for value in made(kind, device="meta").state_dict().values()} == {"meta"}
    for bad in (torch.float16, torch.bfloat16, torch.int64):
        with pytest.raises(UserError, match="dtype"):
            made(kind, dtype=bad)
    with pytest.raises(UserError, match=r"parameters in torch\.bfloat16"):
        layer.to(torch.bfloat16)(signal())


@pytest.mark.parametrize("kind", FREE)
def test_an_input_longer_than_the_layer_is_computed(kind: str) -> None:
    long, none, short = (made(kind, length=length) for length in (90, None, 40))
    y = long(signal(90))
    for layer in (none, short):
        assert torch.allclose(layer(signal(90)), y, atol=1e-5 * float(y.detach().abs().max()))
        assert layer.kernel(90).shape[-1] == 90
        assert layer.recurrence().start(2).shape == (2, 4, 8)
    assert torch.allclose(short(signal(60), 2.0), none(signal(60), 2.0), atol=1e-5 * float(y.detach().abs().max()))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(FREE)))
def test_an_input_longer_than_the_parameters_know_is_refused(kind: str) -> None:
    with pytest.raises(UserError, match="u: an input of 41 steps, for a layer of length 40"):
        made(kind)(signal(41))
    with pytest.raises(UserError, match="an input of 21 steps at rate 2"):
        made(kind)(signal(21), rate=2.0)
    with pytest.raises(UserError, match=r"length: length is needed"):
        made(kind, length=None)
    odd = made(kind, length=41)
    assert odd.kernel(21, rate=2.0).shape[-1] == 21  # every second of 41 samples; 41 / 2 rounds to 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_changes_the_outputs_after_it(kind: str) -> None:
    """No kernel is cut: the first input reaches the last output, at either rate, of even and odd length."""
    for length in (40, 41):
        layer = made(kind, length=length, dt_min=0.001, dt_max=0.01)
        for rate, steps in ((1.0, length), (2.0, -(-length // 2))):
            u = signal(steps).requires_grad_()
            layer(u, rate)[0, -1].sum().backward()
            assert u.grad is not None and (u.grad[0, 0] != 0).all()


BAD: list[tuple[type[StateSpaceLayer], dict[str, Any], str]] = [
    (S4D, {"sate_size": 4}, "did you mean 'state_size'"), (S4D, {"state_size": 7}, "ssm.state_size"),
    (S4D, {"init": "lim"}, "ssm.init"), (S4D, {"structure": "dplr"}, "ssm.structure"),
    (S4D, {"kernel": "cauchy"}, "ssm.kernel"), (S4D, {"kernel": "softmax", "length": 9}, "ssm.discretization"),
    (S4, {"init": "lin", "length": 9}, "ssm.b_init"), (S4, {"structure": "diagonal"}, "ssm.structure"),
    (S4, {"config": SSM()}, "ssm.structure"), (S4, {"init": "legt", "rank": 1, "length": 9}, "ssm.rank"),
    (S4D, {"config": SSM(), "init": "lin"}, "config"), (S4D, {"copies": 3}, "ssm.copies"),
    (S4D, {"length": 0}, "length"),
    (S4D, {"seed": 1, "rng": np.random.default_rng(0)}, "seed")]


@pytest.mark.parametrize(("cls", "fields", "words"), BAD, ids=[words for _, _, words in BAD])
def test_bad_arguments_are_named(cls: type[StateSpaceLayer], fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        cls(4, **fields)
    assert words in str(caught.value)


def test_the_package_is_imported_without_torch() -> None:
    code = ("import sys, suite.ssm; assert 'torch' not in sys.modules; assert 'S4D' in dir(suite.ssm)\n"
            "from suite.ssm import S4D; assert 'torch' in sys.modules and S4D is suite.ssm.S4D\n"
            "try: suite.ssm.S5\nexcept AttributeError: sys.exit(0)\nsys.exit(1)")
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_layer_learns_beside_torchs_own() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), made("s4d"), torch.nn.GELU(), made("s4"), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    u = signal(40, 3)
    losses = []
    for _ in range(20):
        loss = (model(u) - u[..., :1].cumsum(1) / 5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_gives_the_same_numbers(kind: str) -> None:
    there, here = made(kind, device="cuda"), made(kind)
    assert same(copy.deepcopy(there).to("cpu"), here)
    y = here(signal())
    for layer in (there, here.to("cuda"), pickled(there), copy.deepcopy(there)):
        found = layer(signal().cuda())
        assert found.device.type == "cuda"
        assert torch.allclose(found.cpu(), y, atol=1e-4 * float(y.detach().abs().max()))
