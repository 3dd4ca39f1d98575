"""Which steps are CUDA graphs, and what becomes of those that cannot be: on graphs that do their work again."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from fake_data import small, waves
from test_graphs import COUNTS, CPU, fake_gpu  # noqa: F401 (a fixture)

from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.train import cuda_graphs
from suite.train.mode import Mode, steps_of
from suite.train.replay import PROOFS
from suite.train.trainer import Trainer


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return list(trainer.model.state_dict().values())


def trained(mode: Mode) -> Trainer:
    trainer = Trainer(small(model__dropout=0.2), waves(COUNTS), CPU, mode)
    while not trainer.finished:
        trainer.advance()
    return trainer


def same(one: Trainer, other: Trainer) -> bool:
    """To the bit, but for the optimiser's arithmetic: it has learning rates as tensors where a step may be recorded."""
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.usefixtures("fake_gpu")
@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.PROVED])
def test_steps_are_recorded_unasked(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "suite"):
        recorded = trained(mode)
    assert recorded.replay is not None and recorded.replay.recorded and not recorded.replay.why
    assert same(recorded, trained(Mode.EAGER))
    assert (f"{PROOFS} replayed steps were equal to eager ones to the bit" in caplog.text) == (mode is Mode.PROVED)


@pytest.mark.usefixtures("fake_gpu")
@pytest.mark.parametrize(("error", "why"), [
    (UserError("a step of this model cannot be recorded: operation not permitted when stream is capturing"),
     "eager steps: a step of this model cannot be recorded: operation not permitted"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
     "eager steps: too little memory to record a step"),
])
def test_what_cannot_be_recorded_runs_eagerly_and_says_so(error: Exception, why: str, monkeypatch: pytest.MonkeyPatch,
                                                          caplog: pytest.LogCaptureFixture) -> None:
    def fails(self: Any, batch: Any) -> Any:
        raise error

    monkeypatch.setattr(cuda_graphs.Recording, "_record", fails)
    with caplog.at_level(logging.INFO, "suite"):
        trainer = trained(Mode.AUTO)
    assert trainer.replay is not None and trainer.replay.why.startswith(why) and why in caplog.text
    assert same(trainer, trained(Mode.EAGER))
    if isinstance(error, UserError):
        with pytest.raises(UserError, match="cannot be recorded"):
            trained(Mode.GRAPHS)


@pytest.mark.usefixtures("fake_gpu")
def test_a_replay_that_is_not_equal_to_the_eager_step_is_given_up(monkeypatch: pytest.MonkeyPatch,
                                                                  caplog: pytest.LogCaptureFixture) -> None:
    trainer = Trainer(small(model__dropout=0.2), waves(COUNTS), CPU, Mode.PROVED)
    record = cuda_graphs.Recording._record

    def other(self: Any, batch: Any) -> Any:
        graph, kept = record(self, batch)
        again = graph.again

        def work() -> None:
            again()
            next(trainer.model.parameters()).data += 1e-6

        graph.again = work
        return graph, kept

    monkeypatch.setattr(cuda_graphs.Recording, "_record", other)
    while not trainer.finished:
        trainer.advance()
    assert trainer.replay is not None and trainer.replay.why == "eager steps: a replayed step was not equal to an " \
        "eager one"
    monkeypatch.undo()
    assert same(trainer, trained(Mode.EAGER)), "what the replayed step had left is taken back"


@pytest.mark.parametrize(("fields", "mode", "device", "recompute", "steps", "why"), [
    ({}, Mode.AUTO, "cuda", False, Mode.AUTO, ""),
    ({}, Mode.AUTO, "cpu", False, Mode.EAGER, ""),
    ({}, Mode.EAGER, "cuda", False, Mode.EAGER, ""),
    ({}, Mode.AUTO, "cuda", True, Mode.EAGER, "--recompute cannot be recorded"),
    ({"task": "text"}, Mode.AUTO, "cuda", False, Mode.EAGER, "as long as their longest text"),
    ({}, Mode.GRAPHS, "cpu", False, Mode.EAGER, "only a GPU has CUDA graphs"),
])
def test_how_steps_are_computed_where_nobody_says(fields: dict[str, str], mode: Mode, device: str, recompute: bool,
                                                  steps: Mode, why: str) -> None:
    chosen = steps_of(RunConfig.build({"task": "scifar", **fields}), mode, device, recompute)
    assert chosen.mode is steps and why in chosen.why


def test_own_code_is_proved_first() -> None:
    config = RunConfig.build({"task": "scifar"})
    own = config.model_copy(update={"model": config.model.model_copy(update={"name": "mine:Layer"})})
    chosen = steps_of(own, Mode.AUTO, "cuda", False)
    assert chosen.mode is Mode.PROVED and "mine:Layer is your own code" in chosen.why
    assert steps_of(own, Mode.GRAPHS, "cuda", False).mode is Mode.GRAPHS
