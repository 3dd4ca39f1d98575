"""Starts that fail for a reason outside the run: the run stays as it was, and the store says why it did not start."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import fake_training
import pytest
import torch
from fake_runner import Ear, all_well, grid
from fake_training import training

from suite import machine
from suite.cli.main import main
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.launch import local
from suite.launch.local import launch
from suite.launch.options import Options
from suite.plan.decision import Selection, wanted
from suite.store import start_failure
from suite.store.state import RunState
from suite.store.store import Store
from suite.train.trajectory import Training


def unreadable(config: RunConfig) -> None:
    raise UserError("file data.bin is damaged", "dataset.yaml", "download it again")


def test_a_record_holds_until_the_next_attempt(store: Store) -> None:
    one, = grid(1)
    made = start_failure.record(store.root, one.run_id, "10 MB are free", 0)
    assert made.count == 1 and not made.waits and made.holder.startswith("process ")
    state = store.state(one.run_id)
    assert (state.name, state.label, state.ended_for) == ("todo", "todo: start failed", "start")
    assert state.detail == f"last start failed: 10 MB are free ({made.holder})"
    assert wanted(state, 3, Selection()) == "start"
    start_failure.record(store.root, one.run_id, "9 MB are free", 0, "job 7_3")
    state = store.states([one.run_id])[one.run_id]
    assert state.detail == ("last start failed, 2 times: 9 MB are free (job 7_3); it waits for `retry --reason start`")
    assert wanted(state, 3, Selection()) == "leave" and wanted(state, 3, Selection(retry=True)) == "start"
    assert start_failure.record(store.root, one.run_id, "no GPU", 0).count == 1, "it is another failure"
    (store.root / "starts" / f"{one.run_id}.json").write_text("{")
    assert store.state(one.run_id) == RunState("todo")
    start_failure.record(store.root, one.run_id, "no GPU", 3)
    assert store.state(one.run_id) == RunState("todo"), "an attempt came since, or was removed"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_data_that_cannot_be_read_are_no_failure_of_the_run(store: Store) -> None:
    one, = runs = grid(1)
    broken = Training(load=unreadable, make=fake_training.FakeTrainer, backend=fake_training.backend)
    for count in (1, 2):
        ear = Ear()
        state = launch(runs, Options(store.root), ear, broken)[one.run_id]
        assert (state.name, state.reason, state.label) == ("failed", "start", "start failed")
        stored = store.state(one.run_id)
        assert stored.name == "todo" and stored.start is not None and stored.start.count == count
        assert "dataset.yaml: file data.bin is damaged, download it again" in stored.detail
    ear = Ear()
    assert launch(runs, Options(store.root), ear, training())[one.run_id].name == "todo", "it waits"
    assert ("started", one.run_id) not in ear.heard
    launch(runs, Options(store.root, retry=True), Ear(), training())
    all_well(store, runs)
    assert store.state(one.run_id).start is None


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_kind_that_fails_is_stopped_and_its_canary_goes_alone(store: Store) -> None:
    runs, ear = grid(6), Ear()
    states = launch(runs, Options(store.root, jobs=3, canary=True, max_failures=2), ear, training(fault="error"))
    assert sorted(state.name for state in states.values()) == ["failed"] * 2 + ["todo"] * 4
    assert [what for what, _ in ear.heard if what == "started"] == ["started"] * 2
    assert ear.messages[0].startswith("1 run starts first, the cheapest of each task, model and kernel")
    assert ear.messages[1:] == ["4 more runs of scifar, ssm, vandermonde will not start: 2 have failed "
                                "(--max-failures sets the limit)"]
    launch(runs, Options(store.root, jobs=3, canary=True, max_failures=2, retry=True), Ear(), training())
    all_well(store, runs)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_run_goes_on_on_another_gpu_where_its_own_is_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("is_available", "get_device_name", "max_memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, getattr(torch.cuda, name))  # the import changes them, for this test only
    import fake_gpu

    runs, ear = grid(2), Ear()
    launch(runs, Options(store.root, gpus=("a", "b")), ear, fake_gpu.training(lost="a"))
    all_well(store, runs)
    assert len(ear.messages) == 1
    assert ear.messages[0].startswith("GPU a is lost: CUDA error: uncorrectable ECC error encountered; no more runs "
                                      "start on it. Run ")
    lost = next(one for one in runs if "GPU a" in store.log(one.run_id).read_text())
    assert "GPU b" in store.log(lost.run_id).read_text() and store.state(lost.run_id).attempts == 2
    one, = alone = grid(1, first=7)
    ear = Ear()
    state = launch(alone, Options(store.root, gpus=("a",)), ear, fake_gpu.training(lost="a"))[one.run_id]
    assert state.label == "start failed" and "it waits for another GPU" in ear.messages[0]
    stored = store.state(one.run_id)
    assert stored.label == "partial: start failed" and "no GPU of this model is left: GPU a is lost" in stored.detail
    launch(alone, Options(store.root, gpus=("b",)), Ear(), fake_gpu.training())
    all_well(store, alone)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_process_that_the_system_ends_for_lack_of_memory_is_out_of_memory(store: Store, ear: Ear,
                                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter(range(100))  # as /proc/vmstat counts
    monkeypatch.setattr(machine, "oom_kills", lambda: next(counts))
    one, = runs = grid(1)
    state = launch(runs, Options(store.root), ear, training(fault="suicide", at=5))[one.run_id]
    assert (state.reason, state.label, state.attempts) == ("oom", "failed: out of memory", 1)
    assert state.detail.startswith("the system killed its process for lack of memory: run fewer at a time (--jobs 1)")
    assert store.state(one.run_id) == state


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_the_command_line_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text("name: g\nbase: {task: scifar, data.variant: sample, train.epochs: 3}\nseeds: [0, 1]\n")
    broken = Training(load=unreadable, make=fake_training.FakeTrainer, backend=fake_training.backend)
    monkeypatch.setattr(local, "launch", partial(launch, training=broken))
    assert main(["g.yaml", "--gpus", "none", "--no-canary"]) == 1
    shown = capsys.readouterr()
    assert "todo: start failed: " in shown.out and " and 1 more: dataset.yaml: file data.bin is damaged" in shown.out
    assert "2 runs could not start, for reasons outside the runs" in shown.out and "runs failed" not in shown.out
    assert "on the CPU (--gpus none): " in shown.err
    for words in (["status", "g.yaml"], ["why", "g.yaml"], ["logs", "g.yaml"]):
        assert main(words) == 0
        assert "last start failed: dataset.yaml: file data.bin is damaged" in capsys.readouterr().out, words
    assert main(["g.yaml", "--gpus", "none"]) == 1
    capsys.readouterr()
    assert main(["g.yaml"]) == 1 and "it waits" not in (shown := capsys.readouterr().out) and "start failed" in shown
    assert main(["plan", "g.yaml"]) == 0 and "would run: 0" in capsys.readouterr().out
    monkeypatch.setattr(local, "launch", partial(launch, training=training()))
    assert main(["retry", "g.yaml", "--reason", "start"]) == 0
    assert main(["status", "g.yaml"]) == 0 and "2 done" in capsys.readouterr().out
