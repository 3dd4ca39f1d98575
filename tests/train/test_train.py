"""Trajectories: same seed, same bits, whether or not they stop on the way; rows, metrics, rates and bad input."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FakeData, RunningMean, small, waves

from suite import models
from suite.errors import UserError
from suite.models.backbone import Backbone
from suite.train import device
from suite.train.mode import Mode
from suite.train.trainer import Diverged, Trainer, allow_tf32

CPU = torch.device("cpu")
COUNTS = {"train": 18, "val": 7, "test": 6}  # 4 steps of 4, and 2 examples left over


pytestmark = pytest.mark.usefixtures("one_thread")


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def through_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def run(trainer: Trainer) -> list[dict[str, Any]]:
    while not trainer.finished:
        trainer.advance()
    return untimed(trainer.rows)


DROPPED = {"model__dropout": 0.3, "model__norm": "batch", "model__prenorm": True}
KINDS = {"tied": DROPPED, "ordinary": DROPPED | {"model__tie_dropout": False, "model__mixing": "glu"},
         "dplr": DROPPED | {"ssm__structure": "dplr", "ssm__kernel": "cauchy"},
         "bf16": DROPPED | {"train__precision": "bf16"}}


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_any_step_it_goes_on_with_the_same_bits(kind: str) -> None:
    config, data = small(**KINDS[kind], train__evaluate=["val", "test"]), waves(COUNTS)
    whole = run(Trainer(config, data, CPU))
    assert len(whole) == 3
    walker = Trainer(config, data, CPU)
    for step in range(12):
        state = through_file(walker.state())
        torch.manual_seed(step)  # what else the process draws must not matter
        resumed = Trainer(config, data, CPU)
        resumed.restore(state)
        assert (resumed.step, resumed.epoch) == (step, step // 4)
        assert run(resumed) == whole
        for name, value in resumed.model.state_dict().items():
            assert value.isfinite().all(), name
        walker.advance()
    assert untimed(walker.rows) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_layers_computed_again_in_the_backward_pass_give_the_same_bits(kind: str) -> None:
    config, data = small(**KINDS[kind], train__evaluate=["val", "test"]), waves(COUNTS)
    results = []
    for again in (False, True):
        trainer, kept = Trainer(config, data, CPU, recompute=again), {}
        def keep(t: torch.Tensor, kept: dict[int, torch.Tensor] = kept) -> torch.Tensor:
            kept[t.untyped_storage().data_ptr()] = t
            return t

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            trainer.advance()
        rows = run(trainer)
        results.append((sum(t.numel() for t in kept.values()), rows, trainer.model.state_dict()))
    (much, rows, one), (little, same, two) = results
    assert little < much and rows == same and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # which torch gives itself, in its compiler
def test_compiled_models_train_alike_and_go_on_with_the_same_bits() -> None:
    device.settle(1, "cpu", Mode.COMPILED)
    config, data = small(**DROPPED, train__evaluate=["val"]), waves(COUNTS)
    try:
        plain, compiled = run(Trainer(config, data, CPU)), Trainer(config, data, CPU, Mode.COMPILED)
        for _ in range(5):
            compiled.advance()
        resumed = Trainer(config, data, CPU, Mode.COMPILED)
        resumed.restore(through_file(compiled.state()))
        whole = run(compiled)
        assert run(resumed) == whole and torch._dynamo.utils.counters["frames"]["ok"] > 0
        # The same dropout, too. A bias before a batch norm has no gradient but rounding, which Adam makes large; the
        # batch's mean takes it away in training, and the running mean only in part.
        for one, other in zip(plain, whole, strict=True):
            assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)
            assert one["val/loss"] == pytest.approx(other["val/loss"], rel=1e-2)
    finally:
        torch.use_deterministic_algorithms(False)


def test_state_is_a_copy_and_restore_leaves_it_alone() -> None:
    config, data = small(**DROPPED), waves(COUNTS)
    trainer = Trainer(config, data, CPU)
    for _ in range(3):
        trainer.advance()
    state, twin = trainer.state(), trainer.state()
    run(trainer)
    for _ in range(2):
        resumed = Trainer(config, data, CPU)
        resumed.restore(state)
        assert run(resumed) == untimed(trainer.rows)
    assert state["step"] == 3
    flat, other = (torch.cat([v.flatten().double() for v in s["model"].values()]) for s in (state, twin))
    assert torch.equal(flat, other)
    moments, others = ([v["exp_avg"] for v in s["optimizer"]["state"].values()] for s in (state, twin))
    assert all(torch.equal(a, b) for a, b in zip(moments, others, strict=True))


def test_seed_decides_the_trajectory() -> None:
    data = waves(COUNTS)
    first, again, other = (run(Trainer(small(**DROPPED, seed=s), data, CPU)) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_it_learns_and_reports_the_schedule_of_rows() -> None:
    config = small(model__norm="batch", model__features=16, model__bidirectional=True, ssm__state_size=8,
                   optim__lr=0.02, train__epochs=10, train__batch_size=16)
    trainer = Trainer(config, waves({"train": 128, "val": 32}), CPU)
    assert (trainer.steps_per_epoch, trainer.parameters) == (8, models.count_parameters(trainer.model))
    returned = [trainer.advance() for _ in range(80)]
    assert [row is not None for row in returned] == ([False] * 7 + [True]) * 10
    assert [row for row in returned if row] == trainer.rows
    assert [(row["epoch"], row["step"]) for row in trainer.rows] == [(e, 8 * e) for e in range(1, 11)]
    keys = ["epoch", "step", "train/loss", "val/accuracy", "val/loss", "time/train", "time/eval"]
    assert list(trainer.rows[0]) == keys
    assert trainer.rows[-1]["val/accuracy"] > 0.9  # chance is 1/4
    assert trainer.rows[-1]["train/loss"] < 0.5 * trainer.rows[0]["train/loss"]
    assert all(row["time/train"] > 0 and row["time/eval"] > 0 for row in trainer.rows)
    with pytest.raises(RuntimeError, match="ends with epoch 10"):
        trainer.advance()


class Spy(FakeData):
    """Remembers which examples were asked for."""

    def batch(self, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0) -> Any:
        self.arrays.setdefault("asked", []).append((split, indices.tolist(), rate))  # type: ignore[arg-type]
        return super().batch(split, indices, rate, epoch)


def test_training_drops_the_last_batch_and_evaluation_none() -> None:
    data = Spy(arrays=waves(COUNTS).arrays, length=16)
    trainer = Trainer(small(train__epochs=2), data, CPU)
    run(trainer)
    asked: list[tuple[str, list[int], int]] = data.arrays["asked"]  # type: ignore[assignment]
    train = [indices for split, indices, _ in asked if split == "train"]
    assert [len(indices) for indices in train] == [4] * 8
    epochs = [sum(train[:4], []), sum(train[4:], [])]
    assert [len(set(epoch)) for epoch in epochs] == [16, 16]
    assert epochs[0] != epochs[1]
    val = sum((indices for split, indices, _ in asked if split == "val"), [])
    assert val == [*range(7)] * 2


def scored(data: FakeData, **changes: Any) -> tuple[Trainer, dict[str, Any], torch.Tensor]:
    """A trainer after one epoch, its row, and the outputs of its model for the validation examples, one by one."""
    trainer = Trainer(small(train__epochs=1, **changes), data, CPU)
    run(trainer)
    trainer.model.eval()
    with torch.no_grad():
        outputs = torch.cat([trainer.model(x[None]) for x in data.arrays["val"][0]])
    return trainer, trainer.rows[0], outputs.double()


def test_accuracy_and_loss_are_means_over_all_examples() -> None:
    data = waves(COUNTS)
    _, row, outputs = scored(data, **DROPPED)
    y = data.arrays["val"][1]
    assert row["val/accuracy"] == (outputs.argmax(1) == y).double().mean().item()
    assert row["val/loss"] == pytest.approx(torch.nn.functional.cross_entropy(outputs, y).item(), rel=1e-5)


def test_rmse_is_over_the_split_in_raw_units() -> None:
    data = waves(COUNTS, classes=None)
    _, row, outputs = scored(data, task="bidmc_hr", **DROPPED)
    squared = (outputs[:, 0] - data.arrays["val"][1].double()).square().mean().item()
    assert row["val/rmse"] == pytest.approx(math.sqrt(squared), rel=1e-6)
    assert row["val/loss"] == pytest.approx(squared, rel=1e-5)
    assert row["val/rmse"] > 50  # targets are near 97 and are not normalised


def test_train_loss_is_the_mean_over_the_epochs_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    trainer = Trainer(small(), waves(COUNTS), CPU)
    criterion = trainer._criterion

    def spy(*args: Any) -> torch.Tensor:
        loss = criterion(*args)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(trainer, "_criterion", spy)
    row = next(row for _ in range(4) if (row := trainer.advance()))
    assert row["train/loss"] == pytest.approx(np.mean(losses[:4]), rel=1e-12)


def test_other_sampling_rates_decimate_and_rescale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.MODELS, "ssm", lambda config, data: Backbone(config, data, layer=RunningMean))
    data = waves(COUNTS, rate_hz=16000.0)
    trainer = Trainer(small(train__epochs=1, train__evaluate=["val", "test", "test@8000", "test@4000"]), data, CPU)
    run(trainer)
    calls = trainer.model.blocks[0].sequence.calls
    assert {(u.shape[1], rate) for u, rate in calls} == {(16, 1.0), (8, 2.0), (4, 4.0)}
    row = trainer.rows[0]
    for name in ("val", "test", "test@8000", "test@4000"):
        assert 0 <= row[f"{name}/accuracy"] <= 1
        assert row[f"{name}/loss"] > 0
    assert row["test/loss"] != row["test@8000/loss"]


@pytest.mark.parametrize(("rate", "entry", "what"), [
    (None, "test@8000", "the data of scifar have none"), (16000.0, "test@7000", "not the data's 16000 Hz divided"),
    (16000.0, "test@0", "not the data's"), (16000.0, "val@32000", "not the data's")])
def test_a_rate_that_the_data_cannot_give_is_an_error(rate: float | None, entry: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as error:
        Trainer(small(train__evaluate=["val", entry]), waves(COUNTS, rate_hz=rate), CPU)
    assert "train.evaluate" in str(error.value)


def test_too_few_examples_for_a_batch_is_an_error() -> None:
    with pytest.raises(UserError, match=r"train\.batch_size: a batch of 4 .* 3 training examples"):
        Trainer(small(), waves({"train": 3, "val": 3}), CPU)
    assert Trainer(small(), waves({"train": 4, "val": 1}), CPU).steps_per_epoch == 1


def test_tf32_on_a_cpu_is_an_error() -> None:
    with pytest.raises(UserError, match=r"train\.precision: tf32 needs a CUDA device"):
        Trainer(small(train__precision="tf32"), waves(COUNTS), CPU)


def test_tf32_is_allowed_on_a_gpu_only_where_the_precision_says_so() -> None:
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    try:
        for allowed in (True, False):
            allow_tf32(torch.device("cuda"), allowed)
            allow_tf32(CPU, not allowed)
            assert [flag.allow_tf32 for flag in flags] == [allowed, allowed]
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.allow_tf32 = value


def test_bf16_changes_the_result_a_little() -> None:
    exact, rough = (run(Trainer(small(train__precision=p), waves(COUNTS), CPU)) for p in ("float32", "bf16"))
    assert exact != rough
    assert rough[-1]["val/loss"] == pytest.approx(exact[-1]["val/loss"], rel=0.1)


def test_divergence_is_named_at_the_end_of_the_epoch_and_stays() -> None:
    data = waves(COUNTS)
    trainer = Trainer(small(), data, CPU)
    with torch.no_grad():
        trainer.model.head.bias[0] = math.nan
    assert [trainer.advance() for _ in range(3)] == [None] * 3
    for _ in range(2):
        with pytest.raises(Diverged, match="training loss of epoch 1 is nan"):
            trainer.advance()
    assert (trainer.epoch, trainer.rows) == (0, [])


def test_divergence_in_evaluation_is_named_too() -> None:
    data = waves(COUNTS)
    data.arrays["val"][0][3, 2, 1] = math.inf
    trainer = Trainer(small(train__epochs=1), data, CPU)
    with pytest.raises(Diverged, match="loss of val after epoch 1 is nan"):
        run(trainer)


def test_an_interrupted_evaluation_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    config, data = small(**DROPPED), waves(COUNTS)
    whole = run(Trainer(config, data, CPU))
    trainer = Trainer(config, data, CPU)
    for _ in range(3):
        trainer.advance()
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_evaluate", lambda entry, outcomes: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trainer.advance()
    resumed = Trainer(config, data, CPU)
    resumed.restore(through_file(trainer.state()))
    assert run(resumed) == run(trainer) == whole
