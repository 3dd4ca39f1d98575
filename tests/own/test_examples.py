"""The examples: a selective layer that is run as a user's own method, and its oracles."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from suite import models
from suite.config.run_config import RunConfig
from suite.data.prepared import load
from suite.errors import UserError
from suite.grid.expand import load_grid
from suite.models.backbone import Backbone
from suite.models.mixer import Mixer
from suite.ssm import S4D
from suite.train.optim import parameter_groups
from suite.train.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[2]
SMALL = {"model.name": "mamba:S6", "model.layers": 1, "model.features": 4, "model.decoder": "last"}
RECALL = {"task": "mqar1", "data.length": 12, "data.pairs": 2, "data.vocabulary": 8, "data.train_count": 100,
          "data.test_count": 20, "train.batch_size": 10, "train.epochs": 1}


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))


def made(features: int = 4, **arguments: int) -> torch.nn.Module:
    import mamba

    torch.manual_seed(0)
    layer: torch.nn.Module = mamba.S6(features, **arguments).double()
    return layer


def signal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_with_constants_it_is_s4d_with_real_modes() -> None:
    """K_l = dt sum of C_n B_n exp(dt A_n l): the suite's real modes, all N of them, by the rule euler_exp."""
    other = S4D(8, length=60, init="real", real_law="spectrum", state_size=16, discretization="euler_exp", seed=0,
                dtype=torch.float64)
    layer, u = made(), signal(2, 60, 8)
    A = -torch.exp(layer.A_log)
    assert torch.allclose(A, torch.arange(-1.0, -17, -1).double().expand(8, 16), atol=1e-6)
    B, C, dt = signal(16), signal(16), torch.exp(other.log_dt)
    with torch.no_grad():
        lam = other.discrete().lam.real
        other.b.copy_(B[None, :, None])
        other.c.copy_(C[:, None].expand_as(other.c))
        other.d.zero_()
        y = layer.selective(u, dt.expand(2, 60, 8), lam, B.expand(2, 60, 16), C.expand(2, 60, 16))
        assert float((y - other(u)).abs().max()) < 1e-10 * float(y.abs().max())


def test_it_is_the_recurrence_of_the_paper() -> None:
    layer, u = made(), signal(1, 9, 4)
    x, z = layer.in_proj(u).chunk(2, dim=-1)
    taps = layer.conv.weight[:, 0]  # (E, 4)
    h = torch.zeros(8, 16, dtype=torch.float64)
    for t in range(9):
        past = [x[0, t - 3 + k] if t - 3 + k >= 0 else torch.zeros(8).double() for k in range(4)]
        v = F.silu(sum(taps[:, k] * past[k] for k in range(4)) + layer.conv.bias)
        parts = layer.x_proj(v)
        dt, B, C = F.softplus(layer.dt_proj(parts[:1])), parts[1:17], parts[17:]
        h = torch.exp(dt[:, None] * -torch.exp(layer.A_log)) * h + (dt * v)[:, None] * B
        y = layer.out_proj((h @ C + layer.D * v) * F.silu(z[0, t]))
        assert torch.allclose(layer(u, torch.ones(1, 9, 1))[0, t], y, rtol=1e-10, atol=1e-12)


def test_it_looks_back_only_and_says_so() -> None:
    layer, u = made(), signal(1, 20, 4).requires_grad_()
    layer(u, torch.ones(1, 20, 1))[:, 7].sum().backward()
    assert bool((u.grad[:, 8:] == 0).all()) and bool((u.grad[:, :8] != 0).all())
    dt = F.softplus(layer.dt_proj.bias.detach())
    assert float(dt.min()) >= 1e-3 * 0.999 and float(dt.max()) <= 0.1 * 1.001
    with pytest.raises(UserError, match="looks back only"):
        made(bidirectional=True)


def test_gradients() -> None:
    layer = made(2, state=3)
    leaves = dict(layer.named_parameters())
    assert torch.autograd.gradcheck(
        lambda u, *ps: torch.func.functional_call(layer, dict(zip(leaves, ps, strict=True)), (u, torch.ones(1, 5, 1))),
        (signal(1, 5, 2).requires_grad_(), *leaves.values()))


def test_it_is_run_as_a_method_of_ones_own() -> None:
    config = RunConfig.build(RECALL | SMALL | {"model.args.state": 3})
    assert config.model.name_source.startswith("files:mamba=")
    data = load(config.data, "mqar1")
    model = models.build(config, data)
    assert isinstance(model, Backbone) and isinstance(model.blocks[0].sequence, Mixer)
    trainer = Trainer(config, data, torch.device("cpu"))
    while not trainer.finished:
        row = trainer.advance()
    assert row is not None and np.isfinite(row["train/loss"])


def test_without_its_package_the_other_one_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mamba_ssm", None)
    config = RunConfig.build(RECALL | SMALL | {"model.name": "mamba_cuda:S6"})
    with pytest.raises(UserError, match="pip install mamba-ssm"):
        models.build(config, load(config.data, "mqar1"))


def selective_scan_fn(u: torch.Tensor, delta: torch.Tensor, A: torch.Tensor, B: torch.Tensor, C: torch.Tensor,
                      D: Any = None, z: Any = None, delta_bias: Any = None, delta_softplus: bool = False,
                      return_last_state: bool = False, cu_seqlens: Any = None) -> torch.Tensor:
    """What the function of this name in state-spaces/mamba (mamba_ssm/ops/selective_scan_interface.py) is called with
    and returns, for real A and B, C that depend on time: u, delta (B, E, L); A (E, N); B, C (B, N, L); y as u."""
    batch, inner, length = u.shape
    assert delta.shape == u.shape and A.shape[0] == inner and B.shape == C.shape == (batch, A.shape[1], length)
    assert all(part.stride(-1) == 1 for part in (u, delta, B, C))  # the kernel reads along time
    assert u.dtype == delta.dtype == B.dtype == C.dtype == A.dtype == torch.float32
    assert D is z is delta_bias is cu_seqlens is None and not delta_softplus and not return_last_state
    h, y = torch.zeros(batch, *A.shape), []
    for t in range(length):
        h = torch.exp(delta[:, :, t, None] * A) * h + (delta * u)[:, :, t, None] * B[:, None, :, t]
        y.append((h * C[:, None, :, t]).sum(-1))
    return torch.stack(y, dim=-1)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package `mamba_ssm` with that function alone."""
    module = ModuleType("mamba_ssm.ops.selective_scan_interface")
    module.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("stand_in")
def test_the_kernel_of_mamba_ssm_is_called_as_its_signature_says() -> None:
    import mamba_cuda

    torch.manual_seed(0)
    layer = mamba_cuda.S6(4, dt_max=0.05)
    parts = [torch.randn(2, 9, 8), torch.rand(2, 9, 8), -torch.exp(layer.A_log), torch.randn(2, 9, 16),
             torch.randn(2, 9, 16)]
    both = [[part.detach().clone().requires_grad_() for part in parts] for _ in range(2)]
    found, plain = layer.scanned(*both[0]), layer.selective(*both[1])  # on a CPU that is the plain recurrence
    assert found.shape == (2, 9, 8) and torch.allclose(found, plain, atol=1e-5)
    found.square().sum().backward()
    plain.square().sum().backward()
    assert all(torch.allclose(a.grad, b.grad, atol=1e-3) for a, b in zip(*both, strict=True))


@pytest.mark.usefixtures("stand_in")
def test_a_model_of_it_is_built_and_has_the_parameters_of_the_plain_one() -> None:
    data = load(RunConfig.build(RECALL | SMALL).data, "mqar1")
    names = ("mamba:S6", "mamba_cuda:S6")
    one, other = (models.build(RunConfig.build(RECALL | SMALL | {"model.name": name}), data) for name in names)
    assert {k: v.shape for k, v in one.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}
    batch = data.batch("train", np.arange(3))
    assert other(batch.x, batch.lengths).shape == (3, 4)


@pytest.mark.parametrize(("file", "words"), [
    ("docs/successors.md", "It has not been run with the real package"),
    ("examples/README.md", "Not run here against the real package"),
    ("examples/mamba_cuda.py", "Not run here against the real package")])
def test_pages_say_that_the_real_package_was_not_run(file: str, words: str) -> None:
    assert words in " ".join((ROOT / file).read_text().split())


def test_A_and_D_have_no_decay() -> None:
    config = RunConfig.build(RECALL | SMALL)
    model = models.build(config, load(config.data, "mqar1"))
    free = next(group for group in parameter_groups(model, config.optim) if group["name"] == "no_decay")
    mixer = model.blocks[0].sequence.module
    assert {id(one) for one in free["params"]} == {id(mixer.A_log), id(mixer.D)}
    assert (free["weight_decay"], free["lr"]) == (0.0, config.optim.lr)


def test_the_suites_grid_and_the_examples_own_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(ROOT / "examples")])
    own = load_grid(ROOT / "examples/grids/mamba.yaml")
    suites = load_grid(ROOT / "grids/synthetic.yaml", only=["method=S6"])
    sources = {run.config.model.name_source for grid in (own, suites) for run in grid.runs} - {""}
    assert len(sources) == 1 and {run.labels["method"] for run in suites.runs} == {"S6"}


def test_a_grid_elsewhere_may_name_the_methods_of_the_grid_that_it_extends(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(ROOT / "examples")])
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: suite:synthetic.yaml\nseeds: [7]\n")
    grid = load_grid(tmp_path / "mine.yaml", only=["method=S6"])
    assert [run.labels["task"] for run in grid.runs] == ["Recall", "Copying"] and grid.seeds == (7,)
