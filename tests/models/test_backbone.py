"""The backbone: parameter counts of the paper, norms, dropout, masks, heads, and draws of the seed alone."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FakeData, RunningMean, small
from torch.nn import functional as F

from suite import models
from suite.errors import UserError
from suite.models.backbone import Backbone, Block, FeatureBatchNorm, LastStep, MeanPool, PairHead, TiedDropout

RGB, WAVE, VITALS = (FakeData(length=2, channels=c, classes=k) for c, k in ((3, 10), (1, 35), (2, None)))
GRAY = FakeData(length=2, channels=1, classes=2)


def tokens(vocabulary: int, classes: int) -> FakeData:
    return FakeData(length=2, channels=None, vocabulary=vocabulary, classes=classes)


def fields(task: str, layers: int, features: int, state: int, **more: Any) -> dict[str, Any]:
    return {"task": task, "model__layers": layers, "model__features": features, "ssm__state_size": state} | more


BI, GLU = {"model__bidirectional": True}, {"model__mixing": "glu"}
BN_PRE, LN_PRE = {"model__norm": "batch", "model__prenorm": True}, {"model__prenorm": True}
FROZEN_B, FROZEN = {"ssm__train_b": False}, {"ssm__train_b": False, "ssm__train_a": False}
DPLR = {"ssm__structure": "dplr", "ssm__kernel": "cauchy"}
SC = fields("sc_bi", 6, 128, 64, **BI, **GLU, **BN_PRE)
PATHX = fields("pathx", 4, 96, 64, **BI, **GLU, **BN_PRE, ssm__copies=96)
SC_AR = fields("sc_ar", 4, 128, 64, **BN_PRE, model__decoder="last")
SCIFAR = fields("scifar", 4, 128, 64, **BI)
SPO2 = fields("bidmc_spo2", 4, 128, 256, **BI, **LN_PRE)
BIG_SCIFAR = fields("scifar", 6, 512, 64, **BI, **GLU)
BIG_BIDMC = fields("bidmc_hr", 6, 128, 256, **BI, **GLU, **LN_PRE)
FULL_PATHX = fields("pathx", 6, 256, 64, **BI, **GLU, **BN_PRE, ssm__copies=256)
LRA = {"listops": fields("listops", 8, 128, 64, **BI, **GLU, model__norm="batch", ssm__copies=128),
       "text": fields("text", 6, 256, 64, **BI, **GLU, **BN_PRE, ssm__copies=256),
       "retrieval": fields("retrieval", 6, 256, 64, **BI, **GLU, **BN_PRE, ssm__copies=256)}

COUNTS = [  # model, copies, S4D, and S4 of rank 1 where it is known
    (SC, WAVE, 2, 306_083, 306_851), (SC, WAVE, 1, 305_315, 305_699), (SC, WAVE, 128, 402_851, None),
    (PATHX, GRAY, 96, 174_914, None), (PATHX | FROZEN_B, GRAY, 96, 150_338, None),
    (SC_AR, WAVE, 1, 106_403, 106_659), (SC_AR, WAVE, 2, 106_915, 107_427), (SC_AR | FROZEN, WAVE, 1, 105_891, 105_891),
    (SCIFAR, RGB, 1, 135_946, None), (SCIFAR, RGB, 2, 136_458, None),
    (SPO2, VITALS, 1, 333_057, None), (SPO2, VITALS, 2, 335_105, None),
    (SPO2 | {"ssm__state_size": 64}, VITALS, 1, 134_913, None),
    (SPO2 | {"ssm__state_size": 64}, VITALS, 2, 135_425, None),
    (BIG_SCIFAR, RGB, 2, 3_566_090, 3_566_858), (BIG_BIDMC, VITALS, 1, 598_273, 599_809),
    (BIG_BIDMC, VITALS, 2, 601_345, None), (FULL_PATHX, GRAY, 256, 1_190_402, 1_288_706),
    (LRA["listops"], tokens(18, 10), 128, 534_026, None), (LRA["text"], tokens(135, 2), 256, 1_224_450, None),
    (LRA["retrieval"], tokens(98, 2), 256, 1_477_378, None)]
CASES = [(row | {"ssm__copies": s}, data, n) for row, data, s, n, _ in COUNTS]
CASES += [(row | DPLR | {"ssm__copies": s}, data, n) for row, data, s, _, n in COUNTS if n is not None]


@pytest.mark.parametrize(("row", "data", "expected"), CASES, ids=lambda value: str(value) if type(value) is int else "")
def test_parameter_count_is_the_papers(row: dict[str, Any], data: FakeData, expected: int) -> None:
    model = models.build(small(**row), data)
    assert model.parameters_count == models.count_parameters(model) == expected


def recorded(config: Any, data: FakeData) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Backbone(config, data, layer=RunningMean)


@pytest.mark.parametrize("prenorm", [True, False])
@pytest.mark.parametrize("mixing", ["linear", "glu"])
def test_block_is_the_papers_formula(prenorm: bool, mixing: str) -> None:
    config = small(model__prenorm=prenorm, model__mixing=mixing, model__features=5, model__layers=1)
    model = recorded(config, FakeData(channels=2)).double()
    x, block = torch.randn(3, 16, 2, dtype=torch.float64), model.blocks[0]
    e = x @ model.encoder.weight.T + model.encoder.bias

    def norm(z: torch.Tensor) -> torch.Tensor:
        return (z - z.mean(-1, keepdim=True)) / (z.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()

    y = block.sequence(norm(e) if prenorm else e)
    y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
    y = y @ block.mix.weight.T + block.mix.bias
    y = y[..., :5] * torch.sigmoid(y[..., 5:]) if mixing == "glu" else y
    last = norm(e + y)  # pre-norm: the final norm, post-norm: the block's own
    expected = last.mean(1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


def test_sequence_layers_get_size_direction_rate_and_their_own_draws() -> None:
    model = recorded(small(model__bidirectional=True), FakeData(length=20))
    model(torch.randn(2, 10, 3), rate=2.0)
    first, second = (block.sequence for block in model.blocks)
    assert first.made == second.made == (6, 20, True)
    assert [rate for _, rate in first.calls + second.calls] == [2.0, 2.0]
    assert first.calls[0][0].shape == (2, 10, 6)
    assert not torch.equal(first.weight, second.weight)
    expected = np.random.default_rng([0, 1]).standard_normal(6)
    np.testing.assert_allclose(second.weight.detach(), expected, rtol=1e-6)


def test_regression_has_one_output() -> None:
    assert recorded(small(task="bidmc_hr"), FakeData(classes=None))(torch.randn(5, 16, 3)).shape == (5, 1)


@pytest.mark.parametrize("decoder", ["pool", "last"])
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_padding_changes_nothing_but_batch_statistics(decoder: str, norm: str) -> None:
    config = small(task="listops", model__decoder=decoder, model__norm=norm, model__bidirectional=True)
    model = models.build(config, tokens(9, 4))
    x, lengths = torch.randint(1, 9, (3, 12)), torch.tensor([12, 7, 1])
    other, padding = x.clone(), torch.arange(12) >= lengths[:, None]
    other[padding] = (other[padding] + 3) % 9
    same = torch.equal(model(x, lengths), model(other, lengths))
    assert same == (norm == "layer")  # in training, statistics of BN include the padding
    model.eval()
    torch.testing.assert_close(model(x, lengths), model(other, lengths), rtol=0, atol=0)
    alone = torch.cat([model(x[i:i + 1, :n]) for i, n in enumerate(lengths)])
    torch.testing.assert_close(model(x, lengths), alone, rtol=1e-4, atol=1e-5)


def test_each_layers_input_is_zero_beyond_the_length() -> None:
    model = recorded(small(task="listops", model__norm="batch", model__prenorm=True), tokens(9, 4))
    model(torch.randint(0, 9, (2, 6)), torch.tensor([6, 2]))
    for block in model.blocks:
        u, _ = block.sequence.calls[0]
        assert (u[1, 2:] == 0).all()
        assert (u[1, :2] != 0).all()
        assert (u[0] != 0).all()


def test_pool_and_last_of_valid_tokens() -> None:
    x = torch.randn(2, 4, 3)
    lengths, valid = torch.tensor([4, 2]), torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]]).unsqueeze(-1)
    torch.testing.assert_close(MeanPool()(x, lengths, valid), torch.stack([x[0].mean(0), x[1, :2].mean(0)]))
    torch.testing.assert_close(MeanPool()(x, None, None), x.mean(1))
    assert torch.equal(LastStep()(x, lengths, valid), torch.stack([x[0, 3], x[1, 1]]))
    assert torch.equal(LastStep()(x, None, None), x[:, 3])


def test_pairs_go_through_one_network_and_are_compared() -> None:
    model = models.build(small(task="retrieval", model__mixing="glu"), tokens(9, 2)).eval()
    x, lengths = torch.randint(0, 9, (3, 2, 12)), torch.tensor([[12, 5], [1, 12], [7, 7]])
    e1, e2 = (model.embed(x[:, i], lengths[:, i], 1.0) for i in (0, 1))
    joint = torch.cat([e1, e2, e1 - e2, e1 * e2], dim=1)
    assert isinstance(model.head, PairHead)
    torch.testing.assert_close(model(x, lengths), model.head.out(F.gelu(model.head.hidden(joint))))
    assert model(x, lengths).shape == (3, 2)
    assert model(x).shape == (3, 2)


def test_batch_norm_is_over_batch_and_time() -> None:
    norm, x = FeatureBatchNorm(5), 3 + 2 * torch.randn(4, 7, 5)
    rows = x.reshape(28, 5)
    torch.testing.assert_close(norm(x), ((x - rows.mean(0)) / (rows.var(0, correction=0) + 1e-5).sqrt()))
    torch.testing.assert_close(norm.running_mean, 0.1 * rows.mean(0))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * rows.var(0))


def test_tied_dropout_has_one_mask_for_each_example_and_feature() -> None:
    torch.manual_seed(0)
    drop, x = TiedDropout(0.25), torch.ones(200, 3, 50)
    y = drop(x)
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert torch.equal(y.unique(), torch.tensor([0.0, 4 / 3]))
    assert abs((y > 0).float().mean() - 0.75) < 0.02  # 10,000 draws: 4.6 standard deviations
    assert not torch.equal(y, drop(x))
    assert drop.eval()(x) is x


@pytest.mark.parametrize(("tied", "kind"), [(True, TiedDropout), (False, torch.nn.Dropout)])
def test_dropout_is_at_two_places_of_a_block(tied: bool, kind: type) -> None:
    block = Block(small(model__dropout=0.5, model__tie_dropout=tied).model, RunningMean(None, 6, 4, False, rng()))
    assert type(block.drop) is kind
    seen: list[torch.Tensor] = []
    block.drop.register_forward_hook(lambda module, args, output: seen.append(output))
    x = torch.randn(8, 4, 6)
    block(x)
    assert len(seen) == 2
    for y in seen:
        gone = (y == 0).float().mean()
        assert 0.25 < gone < 0.75
        assert torch.equal((y == 0).all(dim=1), (y == 0).any(dim=1)) == tied


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_bf16_reaches_the_mixing_and_neither_the_sequence_layer_nor_the_residual_stream() -> None:
    model = recorded(small(model__prenorm=True, model__mixing="glu"), FakeData())
    mixed, cast, stream = [], [], []
    for block in model.blocks:
        block.mix.register_forward_hook(lambda module, args, output: mixed.append(output.dtype))
        block.sequence.register_forward_hook(lambda module, args, y: cast.append(torch.is_autocast_enabled("cpu")))
        block.register_forward_hook(lambda module, args, output: stream.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(2, 16, 3))
    assert (mixed, cast, stream) == ([torch.bfloat16] * 2, [False] * 2, [torch.float32] * 2)
    assert {u.dtype for block in model.blocks for u, _ in block.sequence.calls} == {torch.float32}


def test_parameters_depend_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    one, other = models.build(small(seed=1), FakeData()), models.build(small(seed=2), FakeData())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again = models.build(small(seed=1), FakeData())
    for name, value in one.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not torch.equal(one.encoder.weight, other.encoder.weight)
    assert not torch.equal(one.blocks[0].sequence.c, other.blocks[0].sequence.c)
    assert not torch.equal(one.blocks[0].sequence.c, one.blocks[1].sequence.c)


def test_mixing_starts_uniform_within_one_over_root_h() -> None:
    mix = models.build(small(model__features=64), FakeData()).blocks[0].mix
    for value in (mix.weight, mix.bias):
        assert value.abs().max() <= 1 / 8
        assert value.abs().max() > 0.9 / 8


def test_a_model_of_ones_own_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "her_module.py").write_text(
        "from fake_data import RunningMean\nfrom suite.models.backbone import Backbone\nnumber = 3\n"
        "def MyModel(config, data):\n    return Backbone(config, data, layer=RunningMean)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "her_module", raising=False)
    model = models.build(small(model__name="her_module:MyModel"), FakeData())
    assert isinstance(model.blocks[0].sequence, RunningMean)
    for name, what in (("no_such_module:X", "cannot import 'no_such_module'"), ("her_module:Other", "has no .Other."),
                       ("her_module:number", "neither a function nor a class"), ("ssn", "no model is called 'ssn'")):
        with pytest.raises(UserError, match=what) as error:
            models.find(name)
        assert "model.name" in str(error.value)
