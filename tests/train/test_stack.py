"""Stacks of trainings: each member learns as it would alone, and to the same bits whatever becomes of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FakeData, small, waves

from suite.models.stacked import Stacked, why_not
from suite.train.stack import Stack
from suite.train.trainer import Trainer

CPU = torch.device("cpu")
COUNTS = {"train": 44, "val": 7}  # 11 steps of 4: 20 steps reach into the second epoch
PRENORM: dict[str, Any] = {"model__norm": "batch", "model__prenorm": True, "model__bidirectional": True}
ROWS: dict[str, list[dict[str, Any]]] = {
    "seeds": [{**PRENORM, "seed": seed} for seed in range(3)],
    "inits and rates": [{**PRENORM, "ssm__init": init, "optim__lr": lr, "optim__schedule": schedule}
                        for init, lr, schedule in (("lin", 0.01, "cosine"), ("inv", 0.003, "constant"),
                                                   ("real", 0.01, "cosine"))],
    "ways through the kernel": [{}, {"ssm__discretization": "zoh"}, {"ssm__re_constraint": "none"},
                                {"ssm__train_a": False, "ssm__train_b": False},
                                {"ssm__kernel": "softmax", "ssm__discretization": "zoh"}],
    "tied dropout, glu, after the sum": [{"model__dropout": 0.3, "model__mixing": "glu", "seed": n} for n in (1, 2)],
    "ordinary dropout, last step": [{"model__dropout": 0.3, "model__tie_dropout": False, "model__decoder": "last",
                                     "seed": n} for n in (1, 2)],
    "S4": [{**PRENORM, "ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__init": init} for init in
           ("legs", "fout")],
    "kernels that are cut": [{"ssm__kernel_length": 5, "seed": n} for n in (1, 2)],
    "S4D and S4": [{}, {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__init": "legs"}],
}

pytestmark = pytest.mark.usefixtures("one_thread")




def trainers(rows: list[dict[str, Any]], data: FakeData) -> list[Trainer]:
    return [Trainer(small(**row), data, CPU) for row in rows]


def losses(members: list[Trainer]) -> torch.Tensor:
    return torch.stack([member.state()["loss"] for member in members])


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def bits(member: Trainer) -> dict[str, Any]:
    """Its state without what times it took, which differ."""
    state = member.state()
    rows = [{key: value for key, value in row.items() if not key.startswith("time/")} for row in state["rows"]]
    return {**state, "rows": rows, "seconds": 0.0}


def advance(stack: Stack, trained: list[bool]) -> None:
    stack.step(trained)
    for member, on in zip(stack.members, trained, strict=True):
        if on:
            member.end_step()


def assert_buffers_close(one: Trainer, other: Trainer) -> None:
    values = dict(other.model.named_buffers())
    for name, value in one.model.named_buffers():
        torch.testing.assert_close(value, values[name], msg=name)


@pytest.mark.parametrize("kind", ROWS)
def test_the_losses_of_20_steps_are_those_of_single_runs(kind: str) -> None:
    data = waves(COUNTS)
    alone, stack = trainers(ROWS[kind], data), Stack(trainers(ROWS[kind], data))
    everyone = [True] * len(alone)
    for step in range(20):
        for member in alone:
            member.advance()
        advance(stack, everyone)
        torch.testing.assert_close(losses(stack.members), losses(alone), rtol=1e-5, atol=1e-5)
        for member, single in zip(stack.members, alone, strict=True):
            if step == 0:  # running statistics of norms, which no loss shows
                assert_buffers_close(member, single)
    assert [member.step for member in stack.members] == [20] * len(alone)
    for member, single in zip(stack.members, alone, strict=True):
        # A bias before a batch norm has no gradient but rounding, which Adam makes large: only an evaluation sees it.
        assert member.rows[0]["val/loss"] == pytest.approx(single.rows[0]["val/loss"], abs=0.01)


def test_a_regression_is_stacked_too() -> None:
    data, rows = waves(COUNTS, classes=None), [{"task": "bidmc_hr", "seed": seed} for seed in (3, 4)]
    alone, stack = trainers(rows, data), Stack(trainers(rows, data))
    for _ in range(20):
        for member in alone:
            member.advance()
        advance(stack, [True, True])
        torch.testing.assert_close(losses(stack.members), losses(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["inits and rates", "tied dropout, glu, after the sum", "S4D and S4"])
def test_a_member_has_the_same_bits_whatever_becomes_of_the_others(kind: str) -> None:
    """The first member ends, diverges or is replaced: nothing of that reaches the last one."""
    data, rows = waves(COUNTS), ROWS[kind]
    whole = Stack(trainers(rows, data))
    everyone = [True] * len(rows)
    for _ in range(20):
        advance(whole, everyone)
    halted = Stack(trainers(rows, data))
    for _ in range(7):
        advance(halted, everyone)
    with torch.no_grad():
        for parameter in halted.members[0].model.parameters():
            parameter.fill_(np.nan)
    rest = [False, *everyone[1:]]
    for _ in range(5):
        advance(halted, rest)
    resumed = Stack(trainers(rows, data))
    for member, before in zip(resumed.members[1:], halted.members[1:], strict=True):
        member.restore(before.state())
    resumed = Stack(resumed.members)
    for _ in range(8):
        advance(resumed, rest)
    assert resumed.members[0].step == 0 and halted.members[0].step == 7
    for member, undisturbed in zip(resumed.members[1:], whole.members[1:], strict=True):
        assert same(bits(member), bits(undisturbed))


def test_members_that_are_steps_apart_go_on_as_before() -> None:
    data, rows = waves(COUNTS), ROWS["seeds"]
    alone, stack = trainers(rows, data), Stack(trainers(rows, data))
    for step in range(12):
        advance(stack, [True, step >= 4, step % 2 == 0])
    for member, steps in zip(alone, (12, 8, 6), strict=True):
        for _ in range(steps):
            member.advance()
    torch.testing.assert_close(losses(stack.members), losses(alone), rtol=1e-5, atol=1e-5)


def test_what_cannot_be_stacked_is_said() -> None:
    data = waves(COUNTS)
    several = trainers([{}, {"model__features": 8}], data)
    with pytest.raises(ValueError, match="several shapes"):
        Stack(several)
    mimo, lstm, filtered = trainers([{"ssm__structure": "mimo", "ssm__copies": 1}, {"model__name": "lstm"},
                                     {"ssm__sobolev": "trained", "model__bidirectional": True}], data)
    assert why_not(mimo.model) == "only S4D and S4 layers can be stacked"
    assert why_not(lstm.model) == "only networks of state space layers can be stacked"
    assert why_not(filtered.model).startswith("a layer with ssm.sobolev")
    with pytest.raises(ValueError, match="only S4D and S4"):
        Stacked([mimo.model])
