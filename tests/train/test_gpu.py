"""On a GPU: kernels, trajectories, launches and measurements, as on a CPU. `make gpu` runs these alone."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ssm_cases
import torch
from fake_data import FakeData, small, waves
from fake_runner import Ear
from fake_training import scores
from ssm_cases import Case, bounds
from test_train import COUNTS, DROPPED, KINDS, run, through_file, untimed

from suite import machine
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.job.ending import failure
from suite.launch.local import launch
from suite.launch.options import Options
from suite.ssm.conv import convolve
from suite.store.store import Store
from suite.train import cuda_graphs, device, measurement, step_bench
from suite.train.mode import Mode
from suite.train.stack import Stack
from suite.train.trainer import Trainer
from suite.train.trajectory import Training

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as `device.settle` has it
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS, but there was no current"),
              pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]
CPU, GPU = torch.device("cpu"), torch.device("cuda")
SAMPLE = [case for case in ssm_cases.covering() if case.length <= 4000 and case.size <= 64]
WHOLE = {"train__evaluate": ["val", "test"]}
S4 = {"ssm__structure": "dplr", "ssm__kernel": "cauchy"}
KINDS_HERE = KINDS | {"tf32": DROPPED | {"train__precision": "tf32"},
                      "softmax": {"ssm__kernel": "softmax", "ssm__discretization": "zoh"},
                      "growing": {"ssm__re_constraint": "none"}, "S4 of rank 3": S4 | {"ssm__rank": 3},
                      "S4 that keeps C": S4 | {"ssm__c_tilde": False}}


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """As `device.settle` has it; what has no deterministic form is an error here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_kernel_and_gradients_equal_the_twin(case: Case) -> None:
    for (_, precision), error in ssm_cases.compare(case, ["two-sided"], "cuda").items():
        kernel, gradient = bounds(case, precision)
        assert error.kernel <= kernel and error.gradient <= gradient, (precision, error)


@pytest.mark.parametrize("kernels", [1, 2])
@pytest.mark.parametrize("length", [1, 50, 1024])
def test_convolutions_equal_those_of_a_processor(kernels: int, length: int) -> None:
    noise = torch.Generator().manual_seed(length)
    u, k, d, grad = (torch.randn(shape, generator=noise, dtype=torch.float64) for shape in (
        (3, length, 5), (kernels, 5, length), (5,), (3, length, 5)))
    found = []
    for place, dtype in ((CPU, torch.float64), (GPU, torch.float64), (GPU, torch.float32)):
        leaves = [x.to(place, dtype).requires_grad_() for x in (u, k, d)]
        y = convolve(*leaves)
        found.append([x.detach().cpu().double() for x in (y, *torch.autograd.grad(y, leaves, grad.to(y)))])
    for near, true in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(near, true, rtol=0, atol=1e-12 * float(true.abs().max()))
    for near, true in zip(found[2], found[0], strict=True):
        torch.testing.assert_close(near, true, rtol=0, atol=2e-6 * float(true.abs().max()))


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_stopped_at_any_step_it_goes_on_with_the_same_bits(kind: str) -> None:
    config, data = small(**KINDS_HERE[kind], **WHOLE), waves(COUNTS)
    whole = run(Trainer(config, data, GPU))
    walker = Trainer(config, data, GPU)
    for _ in range(12):
        state = through_file(walker.state())
        torch.cuda.manual_seed(1)  # what else the process draws must not matter
        resumed = Trainer(config, data, GPU)
        resumed.restore(state)
        assert run(resumed) == whole
        walker.advance()


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_layers_computed_again_in_the_backward_pass_give_the_same_bits(kind: str) -> None:
    config, data = small(**KINDS_HERE[kind], **WHOLE), waves(COUNTS)
    results, peaks = [], []
    for again in (False, True):
        torch.cuda.reset_peak_memory_stats()
        results.append(run(Trainer(config, data, GPU, recompute=again)))
        peaks.append(torch.cuda.max_memory_allocated())
    assert results[0] == results[1] and len(set(peaks)) == 2


@pytest.mark.parametrize("kind", ["softmax", "dplr"])
def test_a_trajectory_goes_the_way_of_one_on_a_processor(kind: str) -> None:
    config = small(**(KINDS_HERE[kind] | {"model__dropout": 0.0, "train__evaluate": ["val"]}))  # which draws elsewhere
    data = waves({"train": 100, "val": 50})
    first, second = (run(Trainer(config, data, place)) for place in (CPU, GPU))
    assert len(first) == 3 and first[-1]["train/loss"] < first[0]["train/loss"]
    for mine, theirs in zip(first, second, strict=True):
        assert mine["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-4)
        assert mine["val/loss"] == pytest.approx(theirs["val/loss"], rel=1e-2)  # see test_train on compiled models
    assert first != second


TOKENS = {"task": "retrieval", "data.variant": "films", "model.layers": 2, "model.features": 8, "ssm.state_size": 4,
          "train.batch_size": 4, "train.epochs": 1, "model.dropout": 0.1}


def texts() -> FakeData:
    rng = np.random.default_rng(0)
    x, y = torch.from_numpy(rng.integers(1, 9, (40, 2, 30))), torch.from_numpy(rng.integers(0, 2, 40))
    lengths = torch.from_numpy(rng.integers(5, 31, (40, 2)))
    return FakeData(task="retrieval", length=30, channels=None, vocabulary=9, classes=2,
                    arrays={"train": (x, y, lengths), "val": (x, y, lengths)})


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("kind", [*KINDS_HERE, "tokens"])
def test_no_step_waits_for_the_gpu(kind: str) -> None:
    trainer = Trainer(RunConfig.build(TOKENS), texts(), GPU) if kind == "tokens" else \
        Trainer(small(**KINDS_HERE[kind], train__epochs=1), waves({"train": 40, "val": 4}), GPU)
    for _ in range(3):
        trainer.advance()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for _ in range(4):
            assert trainer.advance() is None
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.filterwarnings("ignore")  # which torch gives itself, in its compiler
def test_compiled_models_train_alike_and_go_on_with_the_same_bits() -> None:
    device.settle(1, "cuda", Mode.COMPILED)
    config, data = small(**DROPPED, **WHOLE), waves(COUNTS)
    first = Trainer(config, data, GPU, Mode.COMPILED)
    for _ in range(6):
        first.advance()
    again = Trainer(config, data, GPU, Mode.COMPILED)
    again.restore(through_file(first.state()))
    whole = run(first)
    assert run(again) == whole and torch._dynamo.utils.counters["frames"]["ok"] > 0
    for mine, theirs in zip(run(Trainer(config, data, GPU)), whole, strict=True):
        assert mine["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-3)


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_recorded_steps_have_the_bits_of_others(kind: str) -> None:
    config, data = small(**KINDS_HERE[kind], **WHOLE), waves(COUNTS)
    plain, walker = Trainer(config, data, GPU), Trainer(config, data, GPU, Mode.GRAPHS)
    whole, states = run(plain), []
    while not walker.finished:
        states.append(through_file(walker.state()))
        walker.advance()
    assert walker.rows[0]["train/loss"] != walker.rows[1]["train/loss"] and untimed(walker.rows) == whole
    for state in states[2:10:3]:
        resumed = Trainer(config, data, GPU, Mode.GRAPHS)
        for _ in range(cuda_graphs.WARM + 2):  # what it has recorded by then must not matter
            resumed.advance()
        resumed.restore(state)
        assert run(resumed) == whole
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, walker.model.state_dict()[name]), name


def test_precisions_change_the_result_a_little() -> None:
    config = {"model__features": 64, "ssm__state_size": 16, "train__batch_size": 8, "train__epochs": 1}
    data = waves({"train": 64, "val": 32}, length=256)
    exact, *rough = (run(Trainer(small(**config, train__precision=p), data, GPU))[-1]["val/loss"]
                     for p in ("float32", "tf32", "bf16"))
    assert len({exact, *rough}) == 3
    assert rough == pytest.approx([exact] * 2, rel=0.1)


def test_too_little_memory_is_named() -> None:
    with pytest.raises(torch.OutOfMemoryError) as error:
        torch.empty(2**50, dtype=torch.uint8, device=GPU)
    assert failure(error.value).reason == "oom"


def load(config: RunConfig) -> FakeData:
    return waves(COUNTS)


LAYER_NORM = {"model__norm": "layer", "model__prenorm": False}


@pytest.mark.parametrize("kind", ["tied", "dplr", "growing"])
def test_a_stack_loses_as_single_runs_do(kind: str) -> None:
    """With layer norms: a batch norm over batches of 4 makes much of last bits."""
    rows = [KINDS_HERE[kind] | LAYER_NORM | {"seed": seed} for seed in range(3)]
    alone, members = ([Trainer(small(**row), waves(COUNTS), GPU) for row in rows] for _ in range(2))
    stack = Stack(members)
    for _ in range(10):
        stack.step([True] * 3)
        for member, single in zip(members, alone, strict=True):
            member.end_step()
            single.advance()
        losses = [torch.stack([one.state()["loss"] for one in ones]) for ones in (members, alone)]
        torch.testing.assert_close(*losses, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["tied", "dplr", "growing", "tf32"])
def test_recorded_steps_of_a_stack_have_the_bits_of_others(kind: str) -> None:
    """Also if a member ends before the others, or is continued."""
    rows = [KINDS_HERE[kind] | {"seed": seed} for seed in range(3)]
    data = waves({"train": 44, "val": 7})  # 11 steps in each of 3 epochs
    eager, recorded = (Stack([Trainer(small(**row), data, GPU) for row in rows], mode)
                       for mode in (Mode.EAGER, Mode.GRAPHS))
    for step in range(24):
        if step == 8:
            members = [Trainer(small(**row), data, GPU) for row in rows]
            for member, before in zip(members, recorded.members, strict=True):
                member.restore(through_file(before.state()))
            recorded = Stack(members, Mode.GRAPHS)
        trained = [True, step < 16, True]
        for stack in (eager, recorded):
            stack.step(trained)
            for member, on in zip(stack.members, trained, strict=True):
                if on:
                    member.end_step()
        for one, other in zip(eager.members, recorded.members, strict=True):
            assert all(map(torch.equal, one._changing(), other._changing())), step
    assert recorded.replay is not None and recorded.replay.recorded


@pytest.mark.usefixtures("quick_looks")
def test_a_stack_on_a_gpu_goes_on_with_the_same_bits(store: Store, tmp_path: Path, ear: Ear) -> None:
    runs = [GridRun(one, one.run_id, {}) for one in (slot_config(seed) for seed in range(3))]
    whole, training = Store(tmp_path / "whole"), Training(load=load)
    states = launch(runs, Options(whole.root, stack=3, gpus=(0,)), ear, training)
    assert {state.label for state in states.values()} == {"done"}
    launch(runs, Options(store.root, Compute(checkpoint_s=0.0, until=1), stack=3, gpus=(0,)), Ear(), training)
    states = launch(runs, Options(store.root, stack=None, gpus=(0,)), Ear(), training)
    assert {state.label for state in states.values()} == {"done"}
    for one in runs:
        assert scores(store.rows(one.run_id)) == scores(whole.rows(one.run_id))
        found = store.provenance(one.run_id)
        assert found is not None and found.mixed == []
        assert found.environment["stack"] == " ".join(other.run_id for other in runs)


def slot_config(seed: int) -> RunConfig:
    return RunConfig.build({
        "task": "scifar", "seed": seed, "data.variant": "sample", "train.epochs": 3, "train.batch_size": 4,
        "model.layers": 2, "model.features": 8, "model.dropout": 0.1, "ssm.state_size": 4})


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("mode", [Mode.EAGER, Mode.GRAPHS])
def test_runs_in_slots_of_a_gpu_go_on_with_the_same_bits(mode: Mode, store: Store, tmp_path: Path, ear: Ear) -> None:
    runs = [GridRun(one, one.run_id, {}) for one in map(slot_config, (0, 1))]
    whole = Store(tmp_path / "whole")
    for place in (store, whole):
        for one in runs:
            place.add(one.config)
    training = Training(load=load)
    assert {state.name for state in launch(runs, Options(store.root, Compute(until=1, mode=mode), jobs=2, gpus=(0,)),
                                        ear, training).values()} == {"partial"}
    for place in (store, whole):
        states = launch(runs, Options(place.root, jobs=2, gpus=(0,)), Ear(), training)
        assert {(state.name, state.detail) for state in states.values()} == {("done", "")}
    for one in runs:
        assert scores(store.rows(one.run_id)) == scores(whole.rows(one.run_id))
        told = store.provenance(one.run_id)
        assert told is not None and told.mixed == []
        assert told.environment["device"] == torch.cuda.get_device_name()
        assert told.attempts[-1].peak_device_memory_mb > 0


@pytest.mark.parametrize("kernel", ["power_sum", "softmax", "dplr"])
def test_kernels_are_measured(kernel: str) -> None:
    row = measurement.Measurement(RunConfig.build({"kind": "bench", "bench.kernel": kernel, "bench.device": "cuda"}),
                            GPU).advance()
    assert min(row["blocked/ms"], row["naive/ms"], row["naive/mb"]) > 0
    assert torch.cuda.get_device_name() in machine.machine()


def test_a_step_is_measured_with_its_parts() -> None:
    config = RunConfig.build({"kind": "bench", "bench.subject": "step", "task": "scifar", "bench.device": "cuda"})
    row = measurement.Measurement(config, GPU).advance()
    parts = [row[f"{part}/ms"] for part in (*step_bench.PARTS, "loader", "other")]
    assert statistics.fsum(parts) == pytest.approx(row["step/ms"]) and min(parts[:-1]) > 0
    assert 1 < row["least/ratio"] < 100 and row["step/mb"] > 100


def test_what_cannot_be_recorded_is_an_error() -> None:
    trainer = Trainer(small(), waves(COUNTS), GPU, Mode.GRAPHS)
    trainer.model.register_forward_pre_hook(lambda model, args: None if float(args[0].sum()) else None)
    with pytest.raises(UserError, match="cannot be recorded") as error:
        run(trainer)
    assert "--cuda-graphs" in str(error.value)


def test_what_cannot_be_recorded_runs_eagerly_with_the_same_bits() -> None:
    whole = run(Trainer(small(**DROPPED), waves(COUNTS), GPU))
    trainer = Trainer(small(**DROPPED), waves(COUNTS), GPU, Mode.AUTO)
    trainer.model.register_forward_pre_hook(lambda model, args: None if float(args[0].sum()) else None)
    assert run(trainer) == whole
    assert trainer.replay is not None and not trainer.replay.recorded and "cannot be recorded" in trainer.replay.why


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.PROVED])
def test_steps_are_recorded_unasked_with_the_same_bits(mode: Mode) -> None:
    config = small(**DROPPED)
    recorded = Trainer(config, waves(COUNTS), GPU, mode)
    assert run(recorded) == run(Trainer(config, waves(COUNTS), GPU))
    assert recorded.replay is not None and recorded.replay.recorded and not recorded.replay.why
