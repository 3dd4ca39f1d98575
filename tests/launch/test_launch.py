"""The local executor and the one for debugging: slots, failures, time-outs, bad places."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_runner import Ear, all_well, grid
from fake_training import STEPS, training
from places import fill, read_only, small_disk

from suite.errors import UserError
from suite.job.compute import Compute
from suite.launch import debug, local, server
from suite.launch.local import launch
from suite.launch.options import Options
from suite.plan.decision import Selection, wanted
from suite.store.folder import checkpoints
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_looks")]


def test_runs_in_two_slots(store: Store, ear: Ear) -> None:
    runs = grid(5)
    states = launch([*runs, runs[0]], Options(store.root, jobs=2), ear, training(pause=0.01))
    all_well(store, runs)
    assert states == ear.states == {run.run_id: RunState("done", 3, attempts=1) for run in runs}
    assert Counter(ear.heard)["started", runs[0].run_id] == 1
    running = most = 0
    for what, _ in ear.heard:
        running += {"started": 1, "ended": -1}.get(what, 0)
        most = max(most, running)
    assert most == 2
    assert "epoch 3" in store.log(runs[0].run_id).read_text()
    ear = Ear()
    again = launch(runs, Options(store.root), ear, training(fault="error"))
    assert again == states and not any(what == "started" for what, _ in ear.heard)


def test_the_start_of_a_trivial_run_is_cheap(store: Store, ear: Ear,
                                             record_property: Callable[[str, Any], None]) -> None:
    runs = grid(12, epochs=1)
    launch(runs[:1], Options(store.root), ear, training())  # starts the server, if none is there yet
    times: list[float] = []
    ear.on_start = lambda run: times.append(time.monotonic())
    launch(runs[1:], Options(store.root), ear, training())
    cycle = statistics.median(b - a for a, b in zip(times, times[1:], strict=False))
    record_property("trivial_run_ms", round(1000 * cycle))
    print(f"a trivial run, from start to start: {1000 * cycle:.0f} ms")
    assert cycle < 1.0  # it is 0.1 s, and takes longer where a child has to import anything


def test_progress_is_heard(store: Store, ear: Ear) -> None:
    beats: list[Beat] = []
    ear.on_progress = lambda run, beat: beats.append(beat)
    launch(grid(1, epochs=2), Options(store.root, Compute(until=1)), ear, training(pause=0.2))
    steps = [beat.step for beat in beats if beat.step is not None]
    assert steps == sorted(steps) and 0 < steps[-1] <= STEPS
    assert beats[-1].epochs == 1 and beats[-1].steps_per_epoch == STEPS and beats[-1].seconds_per_step > 0.1


def test_failed_runs_stop_nobody_and_start_again_only_on_retry(store: Store, ear: Ear) -> None:
    runs = grid(3)
    store.add(runs[2].config)
    launch(runs[:2], Options(store.root), ear, training(fault="error", at=15))
    assert {state.reason for state in ear.states.values()} == {"error"}
    ear = Ear()
    states = launch(runs, Options(store.root), ear, training())
    assert [what for what, _ in ear.heard].count("started") == 1 and states[runs[2].run_id].name == "done"
    assert states[runs[0].run_id] == RunState(
        "failed", 1, "error", "ZeroDivisionError: division by zero in the tests", 1)
    assert "Traceback" in store.log(runs[0].run_id).read_text()
    launch(runs, Options(store.root, retry=True), Ear(), training())
    all_well(store, runs)


def test_a_run_that_leaves_without_a_word_is_an_error(store: Store, ear: Ear) -> None:
    run, = runs = grid(1)
    state = launch(runs, Options(store.root), ear, training(fault="exit", at=3))[run.run_id]
    assert (state.name, state.reason, state.detail) == ("failed", "error", "SystemExit: 7")
    assert store.state(run.run_id) == state


def test_a_run_that_is_always_killed_is_given_up(store: Store, ear: Ear) -> None:
    run, = runs = grid(1)
    options = Options(store.root, Compute(checkpoint_s=0))
    state = launch(runs, options, ear, training(fault="suicide", at=12))[run.run_id]
    # The first attempt got to step 12; three more in a row did not get any further.
    assert (state.name, state.reason, state.detail, state.attempts) == ("failed", "killed", "killed by SIGKILL", 4)
    assert store.state(run.run_id) == state and [s for s, _ in checkpoints(store.folder(run.run_id))][0] == 12
    launch(runs, Options(store.root), Ear(), training())
    all_well(store, runs)


def test_at_the_end_of_its_time_a_launch_stops_with_checkpoints_and_the_next_one_continues(
        store: Store, ear: Ear) -> None:
    runs = grid(3)
    states = launch(runs, Options(store.root, over_at=time.monotonic() + 2), ear, training(pause=0.3))
    assert [states[run.run_id].name for run in runs] == ["partial", "todo", "todo"]
    assert checkpoints(store.folder(runs[0].run_id))
    assert launch(runs, Options(store.root, over_at=time.monotonic()), Ear(), training()) == states
    assert debug.launch(runs[1:], Options(store.root, over_at=time.monotonic()), Ear(), training()) \
        == {run.run_id: states[run.run_id] for run in runs[1:]}
    launch(runs, Options(store.root, over_at=time.monotonic() + 600), Ear(), training())
    all_well(store, runs)


def test_time_outs(store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_S", 0.3)
    run, other = runs = grid(2)
    state = launch([run], Options(store.root, Compute(timeout_s=0.2)), ear, training(pause=0.02))[run.run_id]
    assert (state.name, state.reason) == ("failed", "timeout") and checkpoints(store.folder(run.run_id))
    state = launch([other], Options(store.root, Compute(timeout_s=0.2)), ear, training(fault="hang"))[other.run_id]
    assert (state.name, state.reason) == ("failed", "timeout") and "killed" in state.detail
    assert store.state(other.run_id) == state
    launch(runs, Options(store.root), Ear(), training())
    all_well(store, runs)


def test_bad_places(store: Store, ear: Ear, tmp_path: Path) -> None:
    link, good = runs = grid(2)
    store.root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    store.folder(link.run_id).symlink_to(tmp_path / "elsewhere")
    states = launch(runs, Options(store.root), ear, training())
    assert states[link.run_id].name == "failed" and "symbolic link" in states[link.run_id].detail
    assert states[good.run_id].name == "done" and not list((tmp_path / "elsewhere").iterdir())
    (store.root / "log").symlink_to(tmp_path / "stolen")
    other, = grid(1, first=9)
    (store.add(other.config) / "log.txt").symlink_to(tmp_path / "stolen")
    assert launch([other], Options(store.root), Ear(), training())[other.run_id].reason == "start"
    assert not (tmp_path / "stolen").exists()
    with pytest.raises(UserError, match="line break"):
        launch(runs, Options(tmp_path / "a\nb"), Ear(), training())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        launch(runs, Options(tmp_path / "file"), Ear(), training())


def test_a_disk_that_fills_up(store: Store, ear: Ear, tmp_path: Path) -> None:
    runs = grid(6)
    with small_disk(tmp_path / "disk"):
        store = Store(tmp_path / "disk" / "store")
        filler = fill(tmp_path / "disk", leave=60_000)
        states = launch(runs, Options(store.root, Compute(checkpoint_s=0), jobs=2), ear, training())
        out = [state.detail for state in states.values() if state.reason == "start" or state.name == "failed"]
        assert len(states) == 6 and out and all("the disk is full" in detail for detail in out)
        filler.unlink()
        launch(runs, Options(store.root, jobs=2, retry=True), Ear(), training())
        all_well(store, runs)


def test_a_store_that_is_read_only(store: Store, ear: Ear) -> None:
    runs = grid(2)
    launch(runs[:1], Options(store.root), Ear(), training())
    with read_only(store.root):
        states = launch(runs, Options(store.root), ear, training())
    assert states[runs[0].run_id].name == "done"
    assert "cannot be written: read-only" in states[runs[1].run_id].detail
    launch(runs, Options(store.root), Ear(), training())
    all_well(store, runs)


def test_a_gpu_slot_sees_its_gpu_only(store: Store, ear: Ear) -> None:
    run, = runs = grid(1)
    state = launch(runs, Options(store.root, gpus=(3,)), ear, training())[run.run_id]
    assert state.reason == "start" and "sees no GPU in slot '3'" in state.detail


def test_the_server_keeps_the_memory_that_a_run_frees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    code = ("import resource, torch\nfor _ in range(2):\n    torch.ones(2**25)\n"
            "    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)")
    with server._environment():
        first, second = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert int(second) - int(first) < 32  # pages: it was 64 large ones, or 32,768 small


def test_debug_runs_here(store: Store, ear: Ear, capsys: pytest.CaptureFixture[str]) -> None:
    runs = grid(2)
    assert {s.name for s in debug.launch(runs, Options(store.root), ear, training()).values()} == {"done"}
    all_well(store, runs)
    assert "epoch 3" in capsys.readouterr().out and [w for w, _ in ear.heard] == ["started", "ended"] * 2
    with pytest.raises(ZeroDivisionError):
        debug.launch(grid(1, first=5), Options(store.root), Ear(), training(fault="error"))


@pytest.mark.parametrize(("state", "until", "retry", "decision"), [
    (RunState("todo"), None, False, "start"), (RunState("done", 3), None, True, "leave"),
    (RunState("partial", 2), None, False, "start"), (RunState("partial", 2), 2, False, "leave"),
    (RunState("partial", 1), 2, False, "start"), (RunState("partial", 3), None, False, "start"),
    (RunState("lost", 2), 1, False, "start"), (RunState("claimed"), None, True, "wait"),
    (RunState("unknown"), None, True, "wait"), (RunState("failed", 0, "killed"), None, False, "start"),
    (RunState("failed", 0, "timeout"), None, False, "start"), (RunState("failed", 0, "oom"), None, False, "leave"),
    (RunState("failed", 0, "oom"), None, True, "start"), (RunState("cancelled"), None, False, "leave"),
    (RunState("cancelled"), None, True, "start")])
def test_which_runs_start(state: RunState, until: int | None, retry: bool, decision: str) -> None:
    assert wanted(state, 3, Selection(until, retry)) == decision
