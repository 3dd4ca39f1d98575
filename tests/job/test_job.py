"""One attempt at a run: that it continues from anywhere with the same bits, and says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_training import STEPS, break_down, scores, training
from one_run import OFTEN, ROWS, RUN, break_at, ends_well, names

from suite import machine
from suite.config.run_config import RunConfig
from suite.job.compute import Compute
from suite.job.ending import failure
from suite.job.job import run
from suite.job.order import Order
from suite.job.stop import Stop
from suite.store import attempt
from suite.store.folder import checkpoints
from suite.store.migrate import SCHEMA
from suite.store.records import Code, DataRecord, Origin
from suite.store.state import RunState
from suite.store.store import Store
from suite.train import device
from suite.train.mode import Mode
from suite.train.trainer import Diverged, Trainer
from suite.train.trajectory import Training


def test_a_whole_run(folder: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    result = ends_well(folder, Order(launch=Origin(git=Code(commit="c" * 40, patch=None), command=["x"])))
    assert {k: v for k, v in result.content().items() if k != "rows"} == {
        "id": RUN.run_id, "epochs": 3, "steps": 3 * STEPS, "parameters": 3, "shape": RUN.shape, "attempts": 1,
        "threads": 1, "device": device.model("cpu"), "mixed": [], "schema": SCHEMA,
        "seconds_per_epoch": sorted(r["time/train"] for r in result.rows)[1] + 0.25}
    assert store.prices() == {RUN.shape: result.seconds_per_epoch} and store.rows(RUN.run_id) == result.rows
    assert names(folder) == {"config.json", "metrics.jsonl", "result.json", "provenance.json", "attempts",
                             checkpoints(folder)[0][1]}
    told = store.provenance(RUN.run_id)
    assert told is not None and told.code == "c" * 40 and told.mixed == [] and told.parameters == 3
    assert told.environment["torch"] == version("torch") and told.environment["kernel_backend"] == "fake"
    assert told.data == DataRecord(variant="toy", fingerprint="f" * 64)
    one, = told.attempts
    assert (one.number, one.from_step, one.to_step, one.ended, one.command) == (1, 0, 30, "done", ["x"])
    assert one.peak_memory_mb > 10 and one.wall_s > 0 and one.host == os.uname().nodename
    assert "epoch 3" in caplog.text
    before = (folder / "result.json").stat().st_mtime_ns
    assert run(folder, OFTEN, training()).name == "done"
    assert (folder / "result.json").stat().st_mtime_ns == before and attempt.numbers(folder) == [1]


@pytest.mark.parametrize("step", [0, 1, 9, 10, 11, 25, 29])
@pytest.mark.parametrize("order", [OFTEN, Order()], ids=["from its checkpoint", "from the start"])
def test_a_broken_run_goes_on_with_the_same_bits(folder: Path, step: int, order: Order) -> None:
    state = break_at(folder, step, order)
    assert state == RunState("failed", step // STEPS, "error", "ZeroDivisionError: division by zero in the tests", 1)
    assert [s for s, _ in checkpoints(folder)][:1] == ([step] if order == OFTEN and step else [])
    assert ends_well(folder).attempts == 2


def test_a_budget_ends_partial_and_later_calls_go_on(folder: Path, store: Store) -> None:
    for until, epochs in ((1, 1), (1, 1), (2, 2)):
        state = run(folder, Order(compute=Compute(until=until)), training())
        assert (state.name, state.reason, state.epochs) == ("partial", "budget", epochs)
        assert scores(store.rows(RUN.run_id)) == ROWS[:epochs] and store.result(RUN.run_id) is None
    assert ends_well(folder, Order(compute=Compute(until=99))).attempts == 4


def test_rows_without_a_checkpoint_are_not_lost(folder: Path) -> None:
    """Kept results that were brought into a store have none: the run begins again, and keeps their rows in a file."""
    run(folder, Order(compute=Compute(until=2)), training())
    told = (folder / "metrics.jsonl").read_bytes()
    for _, name in checkpoints(folder):
        (folder / name).unlink()
    break_at(folder, 1, OFTEN)
    kept, = names(folder) - {"config.json", "metrics.jsonl", "provenance.json", "attempts",
                             *(name for _, name in checkpoints(folder))}
    assert kept == "metrics.jsonl.earlier-1" and (folder / kept).read_bytes() == told
    ends_well(folder)


@pytest.mark.parametrize(("fault", "reason", "detail"), [
    ("diverged", "diverged", "the training loss of epoch 1 is nan"),
    ("oom", "oom", "there was not enough memory (no room for the kernel): write a smaller train.batch_size, add "
     "--recompute, or run fewer at a time (--jobs 1)"),
    ("user", "error", "train.batch_size: a batch of 50 is more than 3, at most 3"),
    ("error", "error", "ZeroDivisionError: division by zero in the tests")])
def test_failures_have_a_reason_and_one_line(folder: Path, store: Store, fault: str, reason: str, detail: str,
                                             caplog: pytest.LogCaptureFixture) -> None:
    state = break_at(folder, 4, fault=fault)
    assert state == store.state(RUN.run_id) == RunState("failed", 0, reason, detail, 1)
    assert ("Traceback" in caplog.text) == (fault != "user")
    ends_well(folder)


def test_failure_knows_every_kind_of_no_memory() -> None:
    for error in (torch.OutOfMemoryError("CUDA out of memory."), MemoryError(),
                  RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")):
        assert failure(error).reason == "oom" and failure(error).detail
    assert failure(RuntimeError("shapes differ")).reason == "error" and failure(Diverged("nan")).reason == "diverged"


def test_debug_raises_and_still_records(folder: Path, store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        run(folder, OFTEN, training(fault="error", at=3), debug=True)
    assert store.state(RUN.run_id).reason == "error"


def test_a_signal_stops_between_steps_with_a_checkpoint(folder: Path) -> None:
    with Stop(signal.SIGUSR2) as stop:
        signal.raise_signal(signal.SIGUSR2)
        state = run(folder, Order(), training(), stop)
    assert (state.name, state.reason) == ("partial", "interrupted") and "SIGUSR2" in state.detail
    assert [step for step, _ in checkpoints(folder)] == [0]
    ends_well(folder)


def test_a_time_out_keeps_what_was_computed(folder: Path) -> None:
    state = run(folder, Order(compute=Compute(timeout_s=0.05)), training(pause=0.01))
    assert (state.name, state.reason) == ("failed", "timeout")
    (step, _), = checkpoints(folder)
    assert 0 < step < 30
    ends_well(folder)


def test_threads_are_those_of_the_first_attempt(folder: Path, store: Store) -> None:
    torch.set_num_threads(1)
    run(folder, Order(compute=Compute(threads=2, until=1)), training())
    assert torch.get_num_threads() == 2
    assert ends_well(folder, Order(compute=Compute(threads=1))).threads == 2
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_a_trajectory_that_changes_its_environment_is_recorded(folder: Path, store: Store,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, Order(compute=Compute(until=1)), training())
    with monkeypatch.context() as patch:
        patch.setattr(machine, "versions", lambda: {"torch": "9.9", "numpy": "1.0"})
        run(folder, Order(compute=Compute(until=2)), training())
    result = ends_well(folder)  # back where it began, but the bits in between were made elsewhere
    assert result.mixed == [f"torch: {version('torch')}, then 9.9",
                               f"numpy: {machine.versions()['numpy']}, then 1.0"]
    told = store.provenance(RUN.run_id)
    assert told is not None and told.mixed == result.mixed and len(told.attempts) == 3


def test_a_gpu_that_is_not_there_is_named(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    state = run(folder, Order(device="cuda"), training())
    assert (state.name, state.reason) == ("todo", "start")
    assert "sees no GPU" in state.detail and "--gpus" in state.detail


SCRIPT = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from fake_training import training
from pathlib import Path
from suite.store import attempt
from suite.job import job
from suite.job.compute import Compute
from suite.job.order import Order
{before}
state = job.run(Path({folder!r}), Order(compute=Compute(checkpoint_s={checkpoint})), training(pause={pause}))
print("STATE", state.name, state.reason, state.detail)
"""


def script(folder: Path, before: str = "", pause: float = 0.0, checkpoint: float = 0.0) -> subprocess.Popen[str]:
    tests = Path(__file__).parents[1] / "support"
    code = textwrap.dedent(SCRIPT).format(tests=str(tests), folder=str(folder), before=before, pause=pause,
                                          checkpoint=checkpoint)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    return next(line for line in out.splitlines() if line.startswith("STATE"))


def test_a_full_disk_by_a_limit_on_files(folder: Path, store: Store) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"  # a checkpoint is larger, all else is smaller
    told = outcome(script(folder, limit))
    assert told.startswith("STATE partial start") and "checkpoint-" in told and "the disk is full" in told
    assert store.state(RUN.run_id).reason == "start" and not [n for n in names(folder) if n.endswith(".tmp")]
    ends_well(folder)


def test_an_owner_that_was_stopped_and_overtaken_stops_without_writing(folder: Path, store: Store) -> None:
    elsewhere = "attempt.here = lambda: ('far', 'another boot')"
    owner = script(folder, elsewhere, pause=0.02)
    while not checkpoints(folder):
        assert owner.poll() is None
        time.sleep(0.01)
    owner.send_signal(signal.SIGSTOP)
    try:
        assert attempt.claim(folder) is None and store.state(RUN.run_id).name == "claimed"
        tenure = attempt.latest(folder)
        assert tenure is not None and tenure.status == "elsewhere"
        assert run(folder, Order(still=tenure.pulse), training()).name == "done"
        before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    finally:
        owner.send_signal(signal.SIGCONT)
    assert outcome(owner).startswith("STATE claimed")
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert scores(store.rows(RUN.run_id)) == ROWS


def test_killed_at_any_moment(folder: Path, store: Store) -> None:
    for number, wait_s in enumerate((0.0, 0.15), 1):
        process = script(folder, pause=0.1)
        while number not in attempt.numbers(folder):
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(wait_s)
        process.kill()
        process.communicate()
        assert store.state(RUN.run_id).name == "lost"
    ends_well(folder)


def test_real_training_goes_on_with_the_same_bits(store: Store, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_CACHE", str(tmp_path / "cache"))
    small = RunConfig.build({"task": "scifar", "data.variant": "sample", "data.pool": 4, "data.train_count": 100,
                             "train.batch_size": 20, "train.epochs": 2, "model.layers": 2, "model.features": 8,
                             "model.dropout": 0.1, "ssm.state_size": 4})

    def breaks_at_7(*parts: Any) -> Trainer:
        trainer = Trainer(*parts[:4])
        advance = trainer.advance

        def advance_or_break() -> dict[str, Any] | None:
            return advance() if trainer.step != 7 else break_down("error")

        setattr(trainer, "advance", advance_or_break)  # noqa: B010 - mypy refuses a method that is assigned to
        return trainer

    whole = run(Store(tmp_path / "undisturbed").add(small), Order())
    assert (whole.name, whole.detail) == ("done", "")
    folder = store.add(small)
    assert run(folder, OFTEN, Training(make=breaks_at_7)).reason == "error"
    assert [step for step, _ in checkpoints(folder)] == [7, 6]
    assert run(folder, Order()).name == "done"
    rows = scores(store.rows(small.run_id))
    assert rows == scores(Store(tmp_path / "undisturbed").rows(small.run_id)) and len(rows) == 2
    told = store.provenance(small.run_id)
    assert told is not None and told.mixed == [] and told.data.variant == "sample"
    assert told.attempts[-1].kernel_backend == told.environment["kernel_backend"]


def test_an_order_travels_as_text() -> None:
    order = Order(compute=Compute(threads=3, until=2, timeout_s=1.5, checkpoint_s=9.0, mode=Mode.COMPILED,
                                  recompute=True), device="cuda", still=attempt.Pulse(2, 77),
                  launch=Origin(git=Code(commit=None)))
    assert Order.from_json(order.to_json()) == order and Order.from_json(Order().to_json()) == Order()
    assert json.loads(order.to_json())["still"] == {"attempt": 2, "beats": 77}
