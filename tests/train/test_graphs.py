"""Recorded steps, as far as a machine without a GPU can tell: what is kept in place, and what an error says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import FakeData, small, waves

from suite.config.run_config import RunConfig
from suite.data.prepared import Batch
from suite.errors import UserError
from suite.job.ending import failure
from suite.train import cuda_graphs, optim
from suite.train.mode import Mode, check_graphs
from suite.train.stack import Stack
from suite.train.trainer import Trainer

CPU = torch.device("cpu")
COUNTS = {"train": 18, "val": 7}


class Graph:
    """A graph that does its work again when it is replayed, on the batch and rates of the recording."""

    again: Any

    def register_generator_state(self, generator: torch.Generator) -> None:
        pass

    def replay(self) -> None:
        self.again()


class Stream:
    def __init__(self, device: torch.device | None = None) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        pass


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that do nothing, and graphs that do again what was called while they were recorded."""
    record = cuda_graphs.Recording._record

    def recorded(self: cuda_graphs.Recording, batch: Batch) -> tuple[Any, Batch]:
        work, done = self.work, []
        self.work = done.append
        graph, kept = record(self, batch)
        self.work = work

        def again() -> None:
            with self._rates():
                work(kept)

        graph.again = again
        return graph, kept

    monkeypatch.setattr(cuda_graphs.Recording, "_record", recorded)
    for name, fake in (("Stream", Stream), ("current_stream", Stream), ("CUDAGraph", Graph),
                       ("stream", lambda stream: nullcontext()), ("graph", lambda graph, stream: nullcontext())):
        monkeypatch.setattr(torch.cuda, name, fake)


def single(optimizer: torch.optim.Optimizer, value: float) -> None:
    """As `optim.set_factor` has it on a GPU."""
    for group in optimizer.param_groups:
        group["lr"] = float(np.float32(value * group["base_lr"]))


@pytest.mark.usefixtures("fake_gpu")
def test_batches_and_rates_reach_the_recorded_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optim, "set_factor", single)
    config, data = small(model__dropout=0.2), waves(COUNTS)
    plain, recorded = Trainer(config, data, CPU), Trainer(config, data, CPU, Mode.GRAPHS)
    while not plain.finished:
        plain.advance()
        recorded.advance()
        for group in recorded.optimizer.param_groups:
            assert isinstance(group["lr"], float) and group["capturable"] is False
    assert recorded.replay is not None and recorded.replay.recorded
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(recorded.model.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    recorded.restore(recorded.state())
    assert recorded.replay is None


@pytest.mark.usefixtures("fake_gpu", "one_thread")
def test_recorded_steps_of_a_stack_are_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a member ends, the step is another one, and is recorded again."""
    monkeypatch.setattr(optim, "set_factor", single)
    rows, data = [{"model__dropout": 0.3, "seed": seed} for seed in (1, 2)], waves({"train": 44, "val": 7})
    eager, recorded = (Stack([Trainer(small(**row), data, CPU) for row in rows], mode)
                       for mode in (Mode.EAGER, Mode.GRAPHS))
    for step in range(20):
        for stack in (eager, recorded):
            stack.step([True, step < 12])
            stack.members[0].end_step()
        for one, other in zip(eager.members, recorded.members, strict=True):
            torch.testing.assert_close(one.state()["model"], other.state()["model"], rtol=1e-5, atol=1e-6)
    assert recorded.replay is not None and recorded.replay.recorded and eager.replay is None
    assert all(member.replay is recorded.replay for member in recorded.members)


@pytest.mark.usefixtures("fake_gpu")
def test_a_batch_of_another_shape_is_an_error() -> None:
    recording = cuda_graphs.Recording(lambda batch: None, torch.optim.AdamW([torch.zeros(1, requires_grad=True)]), CPU)
    for _ in range(cuda_graphs.WARM + 2):
        recording.step(Batch(torch.zeros(4, 3), torch.zeros(4)))
    with pytest.raises(UserError, match=r"shape \(2, 3\) after one of \(4, 3\)"):
        recording.step(Batch(torch.zeros(2, 3), torch.zeros(2)))


@pytest.mark.parametrize(("text", "reason"), [("CUDA error: out of memory", "oom"), ("a number was read", "error")])
def test_what_a_recording_fails_of_is_told(monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    @contextmanager
    def fails_at_its_end(graph: Any, stream: Any) -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    def work(batch: Batch) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", fails_at_its_end)
    recording = cuda_graphs.Recording(work, torch.optim.AdamW([torch.zeros(1, requires_grad=True)]), CPU)
    recording.left = 0
    with pytest.raises(RuntimeError if reason == "oom" else UserError, match=text) as error:
        recording.step(Batch(torch.zeros(1), torch.zeros(1)))
    assert failure(error.value).reason == reason


def test_a_gpu_gets_learning_rates_that_a_graph_can_hold() -> None:
    class Elsewhere(torch.nn.Parameter):
        is_cuda = True

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    optimizer.param_groups[0]["base_lr"] = 0.1
    optim.set_factor(optimizer, 1 / 3)
    assert optimizer.param_groups[0]["lr"] == 0.1 / 3
    optimizer.param_groups[0]["params"] = [Elsewhere(torch.zeros(1))]
    optim.set_factor(optimizer, 1 / 3)
    assert optimizer.param_groups[0]["lr"] == float(np.float32(0.1 / 3)) != 0.1 / 3


@pytest.mark.usefixtures("fake_gpu")
def test_texts_that_differ_in_length_are_an_error_where_nobody_has_asked_before() -> None:
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(5, 31, 40))
    texts = torch.from_numpy(rng.integers(1, 9, (40, 30)))

    class Texts(FakeData):
        def batch(self, split: str, indices: np.ndarray, rate: int = 1, epoch: int = 0) -> Batch:
            chosen = torch.from_numpy(indices)
            return Batch(texts[chosen, : int(lengths[chosen].max())], lengths[chosen] % 2, lengths[chosen])

    data = Texts(task="text", length=30, channels=None, vocabulary=9, classes=2,
                 arrays={"train": (texts, lengths % 2, lengths)})
    config = small(task="text", train__epochs=1)
    trainer = Trainer(config, data, CPU, Mode.GRAPHS)
    with pytest.raises(UserError, match="a graph has one shape"):
        while not trainer.finished:
            trainer.advance()


def test_where_graphs_cannot_be_had_nothing_starts() -> None:
    pixels = [RunConfig.build({"task": "scifar"})]
    texts = [RunConfig.build({"task": "text"}), *pixels]
    check_graphs(pixels, Mode.GRAPHS, True, False)
    check_graphs(texts, Mode.COMPILED, False, True)
    for configs, gpus, again, words in ((pixels, False, False, "without a GPU"), (pixels, True, True, "recomputed"),
                                        (texts, True, False, "batches of text are as long")):
        with pytest.raises(UserError, match=words):
            check_graphs(configs, Mode.GRAPHS, gpus, again)
