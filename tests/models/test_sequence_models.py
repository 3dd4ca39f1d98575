"""LSTM, Transformer and a user's own mixer: padding does not matter, every parameter learns, errors name the field."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from fake_data import FakeData, small, waves
from torch import nn

from suite import models
from suite.errors import UserError
from suite.models.transformer import no_fast_path
from suite.train.trainer import Trainer

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NAMES = ["lstm", "transformer", "her_module:GatedConv"]
TEXT = FakeData(task="text", length=12, channels=None, vocabulary=9, classes=2)


@pytest.fixture
def her_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The README's example, in a file, with models that are wrong beside it."""
    found = re.search(r"```python\n(.*?class GatedConv.*?)```", README, re.DOTALL)
    assert found is not None and len(found.group(1).splitlines()) < 30
    (tmp_path / "her_module.py").write_text(found.group(1) + WRONG, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "her_module", raising=False)
    import her_module

    monkeypatch.setitem(sys.modules, "her_module", her_module)
    return her_module


WRONG = """

class Base(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.linear = nn.Linear(features, features)

class Narrow(Base):
    def forward(self, x, mask):
        return self.linear(x)[..., :-1]

class Unmasked(Base):
    def forward(self, x, mask):
        return self.linear(x) + x.mean(dim=1, keepdim=True)

class Empty(nn.Module):
    def __init__(self, features):
        super().__init__()
    def forward(self, x, mask):
        return x

class Raises(Base):
    def forward(self, x, mask):
        return x + missing

def three(one, two, three):
    return None

def nothing(config, data):
    return nn.Identity()

def text(config, data):
    return "no module"

def broken(config, data):
    raise ValueError("not today")

class Flat(nn.Module):
    def __init__(self, config, data):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x, lengths=None, rate=1.0):
        return self.linear(x).mean(1)
"""


def build(name: str, data: Any, **more: Any) -> nn.Module:
    return models.build(small(task=data.task, model__name=name, **more), data)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("decoder", ["pool", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name: str, decoder: str, bidirectional: bool, her_module: ModuleType) -> None:
    model = build(name, TEXT, model__bidirectional=bidirectional, model__decoder=decoder).eval()
    x = torch.randint(1, 9, (3, 12))
    lengths = torch.tensor([12, 5, 1])
    whole = model(x, lengths)
    assert whole.shape == (3, 2)
    for row, length in enumerate(lengths):
        alone = model(x[row:row + 1, :length], None)
        torch.testing.assert_close(whole[row:row + 1], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(torch.where(torch.arange(12) < lengths[:, None], x, 0), lengths), whole)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_direction_is_as_asked(name: str) -> None:
    """One block's outputs at a step depend on later steps where it is bidirectional, and not otherwise."""
    for both in (False, True):
        model = build(name, FakeData(), model__bidirectional=both, model__layers=1).eval()
        x = torch.randn(1, 10, 3)
        later = x.clone()
        later[:, 7:] += 1
        one, two = x, later
        one, two = model.encoder(one), model.encoder(two)
        for block in model.blocks:
            one, two = block(one, None, 1.0), block(two, None, 1.0)
        assert torch.allclose(one[:, :7], two[:, :7], atol=1e-6) is not both


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task, classes", [("scifar", 4), ("bidmc_hr", None)])
def test_it_trains_to_the_same_bits_again(name: str, task: str, classes: int | None, her_module: ModuleType) -> None:
    data = waves({"train": 32, "val": 8}, classes=classes, task=task)
    config = small(task=task, model__name=name, model__features=8, model__dropout=0.1, train__epochs=2, optim__lr=0.01)
    losses = []
    for _ in range(2):
        trainer = Trainer(config, data, torch.device("cpu"))
        before = {key: value.clone() for key, value in trainer.model.named_parameters()}
        while not trainer.finished:
            trainer.advance()
        assert all(not torch.equal(before[k], v) for k, v in trainer.model.named_parameters() if "bias" not in k)
        losses.append([row["val/loss"] for row in trainer.rows])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_documents(name: str, her_module: ModuleType) -> None:
    data = FakeData(task="retrieval", length=12, channels=None, vocabulary=9, classes=2)
    model = build(name, data)
    assert model(torch.randint(1, 9, (3, 2, 12)), torch.tensor([[12, 3], [1, 12], [4, 4]])).shape == (3, 2)


@pytest.mark.parametrize("name, what", [
    ("Narrow", r"returns \(2, 24, 5\) for \(2, 24, 6\)"), ("Unmasked", "ignores the mask"),
    ("Empty", "has no parameters to train"), ("Raises", "raises NameError: name 'missing' is not defined"),
    ("three", "needs 3 arguments"), ("nothing", "has no parameters to train"), ("Absent", "has no 'Absent'"),
    ("text", "returned a str, not a torch module"), ("broken", "raised ValueError: not today")])
def test_a_model_that_is_wrong_is_a_clear_error(name: str, what: str, her_module: ModuleType) -> None:
    with pytest.raises(UserError, match=what) as error:
        build(f"her_module:{name}", FakeData())
    assert str(error.value).startswith("model.name: ")


def test_an_output_of_another_shape_is_a_clear_error(her_module: ModuleType) -> None:
    trainer = Trainer(small(model__name="her_module:Flat"), waves({"train": 8, "val": 4}), torch.device("cpu"))
    with pytest.raises(UserError, match=r"^model.name: her_module:Flat returned \(4, 2\), not \(4, 4\)"):
        trainer.advance()


def test_a_module_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="^model.name: cannot import 'no_such_module'"):
        build("no_such_module:X", FakeData())


def test_features_that_two_directions_cannot_share() -> None:
    with pytest.raises(UserError, match="^model.features: 5 features cannot be divided between two directions"):
        build("lstm", FakeData(), model__features=5, model__bidirectional=True)


def test_importing_the_models_changes_no_global_setting() -> None:
    code = ("import torch\ndef now():\n"
            "    return (torch.backends.mha.get_fastpath_enabled(), torch.get_num_threads(),\n"
            "            torch.get_default_dtype(), torch.get_float32_matmul_precision(), torch.is_grad_enabled(),\n"
            "            torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.allow_tf32,\n"
            "            torch.backends.cudnn.benchmark, torch.get_rng_state().sum())\n"
            "before = now()\nimport suite.models, suite.ssm.layer, suite.train.trainer\n"
            "assert now() == before and before[0], (before, now())")
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.filterwarnings("ignore")  # which torch gives itself, in its compiler
@pytest.mark.parametrize("compiled", [False, True])
def test_a_transformer_never_takes_the_fast_path(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    config, data = small(model__name="transformer", model__features=32), waves({"train": 4}, length=20)
    model, x = models.build(config, data), data.arrays["train"][0]
    expected = model.eval()(x)  # where gradients are asked for there is no fast path
    fast = []
    for name in ("_transformer_encoder_layer_fwd", "_native_multi_head_attention"):
        monkeypatch.setattr(torch, name, lambda *_, name=name, **__: fast.append(name))
    call = torch.compile(model, backend="eager") if compiled else model
    with torch.no_grad():
        found = call(x)
    assert fast == [] and torch.allclose(found, expected, atol=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()
    call(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_flag_comes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), no_fast_path():
        assert not torch.backends.mha.get_fastpath_enabled()
        raise ZeroDivisionError
    assert torch.backends.mha.get_fastpath_enabled()


def test_recomputing_is_a_setting_of_one_model() -> None:
    data = waves({"train": 4}, length=20)
    first, second = models.build(small(), data, recompute=True), models.build(small(), data)
    assert [block.recompute for block in first.blocks] == [True] * len(first.blocks)
    assert not any(block.recompute for block in second.blocks) and len(second.blocks) > 0
    assert list(first.state_dict()) == list(second.state_dict())
