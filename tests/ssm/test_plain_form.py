"""Trainings in the fast form and in the plain one, written down without regard for time, go the same way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from fake_data import small, waves
from torch import Tensor
from torch.nn import functional as F

from suite import models
from suite.models import backbone
from suite.ssm import base, cauchy, direct, kernels
from suite.ssm.dplr import squaring
from suite.train import optim

STEPS = 50
FORMS: dict[str, dict[str, Any]] = {
    "diagonal, post-norm": {"ssm__init": "lin", "model__bidirectional": True},
    "softmax, pre-norm": {"ssm__kernel": "softmax", "ssm__discretization": "zoh", "model__prenorm": True},
    "DPLR, GLU": {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "model__mixing": "glu"},
    "DPLR, batch norm": {"ssm__structure": "dplr", "ssm__kernel": "cauchy", "ssm__state_size": 16,
                         "model__bidirectional": True, "model__norm": "batch"}}


def convolve(u: Tensor, kernel: Tensor, d: Tensor) -> Tensor:
    length = u.shape[1]
    wide = F.pad(kernel[0], (0, length)) if len(kernel) == 1 else torch.cat([kernel[0], kernel[1].flip(-1)], -1)
    y = torch.fft.irfft(torch.fft.rfft(u.transpose(1, 2), n=2 * length) * torch.fft.rfft(wide), n=2 * length)
    return y[..., :length].transpose(1, 2) + u * d


def losses(**fields: Any) -> Tensor:
    config, data = small(model__features=8, train__batch_size=8, **fields), waves({"train": 64}, length=200)
    torch.manual_seed(0)
    model = models.build(config, data)
    optimizer = optim.adamw(model, config.optim)
    found = []
    for step in range(STEPS):
        x, y, _ = (part if part is None else part[8 * step % 64 :][:8] for part in data.arrays["train"])
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
    return torch.stack(found)


@pytest.mark.parametrize("form", FORMS)
def test_losses_of_fifty_steps_are_equal(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(squaring, "is_better", lambda *_: form == "DPLR, batch norm")
    fast = losses(**FORMS[form])
    kernels.use_backend("naive")
    monkeypatch.setattr(base, "convolve", convolve)
    monkeypatch.setattr(cauchy, "dplr", direct.cauchy)
    monkeypatch.setattr(backbone.Linear, "forward", lambda self, x: F.linear(x, self.weight, self.bias))
    plain = losses(**FORMS[form])
    kernels.use_backend(None)
    assert fast[-8:].mean() < fast[:8].mean() - 0.05
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-4)
    assert not torch.equal(fast, plain)  # otherwise nothing was replaced
