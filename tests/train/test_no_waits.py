"""A step on a GPU takes nothing from the CPU: shown on the meta device, which has shapes and no values.

There a number that is read is an error, and an operation that mixes devices is seen; on a GPU either would wait.
What only a GPU shows (a number assigned to a single element, say) is left to `test_gpu.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_data import small, waves
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from suite import models

FORMS: dict[str, dict[str, Any]] = {
    "bilinear": {"ssm__discretization": "bilinear"}, "zoh": {"ssm__discretization": "zoh", "model__mixing": "glu"},
    "softmax": {"ssm__kernel": "softmax", "ssm__discretization": "zoh"}, "real": {"ssm__init": "real"},
    "growing": {"ssm__re_constraint": "none", "model__norm": "batch", "model__prenorm": True},
    "growing softmax": {"ssm__re_constraint": "none", "ssm__kernel": "softmax", "ssm__discretization": "zoh"},
    "S4": {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__init": "legs"},
    "S4, rank 2": {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__init": "legt", "ssm__rank": 2},
    "S4, growing": {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__re_constraint": "none"},
    "angles": {"ssm__init": "dfout", "ssm__dt_scope": "real", "ssm__discretization": "zoh", "ssm__gain": "gamma"},
    "backward": {"ssm__discretization": "backward", "ssm__sobolev": "trained", "ssm__kernel_length": 9},
    "symplectic": {"ssm__discretization": "symplectic", "ssm__init": "lin", "ssm__real_zero": True, "ssm__re_clamp": 0,
                   "ssm__re_constraint": "none", "ssm__dt_max": 0.01},
    "free": {"ssm__kernel": "free", "ssm__state_size": 64, "ssm__free_dropout": 0.1}, "rational": {
        "ssm__kernel": "rational"},
    "shared state": {"ssm__structure": "mimo", "ssm__blocks": 2}, "shared, growing": {
        "ssm__structure": "mimo", "ssm__re_constraint": "none", "ssm__dt_per": "one", "ssm__gain": "gamma"},
    "dropout": {"model__dropout": 0.1}, "ordinary dropout": {"model__dropout": 0.1, "model__tie_dropout": False}}


class Mixtures(TorchDispatchMode):
    """Notes each operation that takes tensors of the CPU beside others, or brings one from there."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        taken, made = ({x.device.type for x in tree_leaves(part) if isinstance(x, Tensor)}
                       for part in ((args, kwargs), result))
        if "cpu" in taken and "meta" in taken | made:
            self.seen.append(str(func))
        return result


@pytest.fixture(autouse=True)
def autocast_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device has no autocast of its own."""
    autocast, enabled = torch.autocast, torch.is_autocast_enabled
    monkeypatch.setattr(torch, "autocast", lambda kind, *args, **more: autocast("cpu", *args, **more))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda kind: enabled("cpu"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("length", [16, 101, 1024])
def test_forward_and_backward_stay_on_their_device(form: str, length: int) -> None:
    data = waves({"train": 4}, length=length)
    model = models.build(small(**FORMS[form], model__bidirectional=True), data).to("meta").train()
    x = data.arrays["train"][0].to("meta")
    with Mixtures() as mixtures:
        model(x).sum().backward()
    assert mixtures.seen == []
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in model.parameters())


def test_a_mixture_is_seen() -> None:
    with Mixtures() as mixtures:
        torch.zeros(3, device="meta").copy_(torch.ones(3))
    assert mixtures.seen == ["aten.copy_.default"]
