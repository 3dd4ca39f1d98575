"""Jobs, fork servers and runners are killed, stopped and doubled: every run ends once, with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
from fake_runner import Ear, all_well, grid, owner
from fake_training import STEPS, training
from machines import environment
from places import tree
from soak import family

from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.launch.local import launch
from suite.launch.options import Options
from suite.store import attempt
from suite.store.folder import checkpoints
from suite.store.records import Beat
from suite.store.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_looks")]


def test_kills_of_jobs_and_of_the_fork_server(store: Store, ear: Ear) -> None:
    runs, rng, kills = grid(4, epochs=4), random.Random(5), Counter[str]()
    over = threading.Event()

    def kill() -> None:
        while not over.wait(rng.uniform(0.05, 0.4)):
            victim = owner(store, rng.choice(runs).run_id)
            if not kills["server"] and kills["job"] >= 4:
                os.kill(forkserver._forkserver._forkserver_pid or 0, signal.SIGKILL)
                kills["server"] += 1
            elif victim and kills["job"] < 14:
                os.kill(victim, signal.SIGKILL)
                kills["job"] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(10):  # a run that is killed three times before its first step is given up for this launch
            if {s.name for s in launch(runs, Options(store.root, Compute(checkpoint_s=0), jobs=2), Ear(),
                                       training(pause=0.04)).values()} == {"done"}:
                break
    finally:
        over.set()
        killer.join()
    assert kills["job"] >= 4 and kills["server"] >= 1
    all_well(store, runs)


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from suite.launch import local
from suite.job.compute import Compute
from suite.launch.options import Options
from fake_config import Later
from fake_runner import Ear, grid

# This script has no guard: a child that imported it would start everything once more.
local.LOOK_S = 0.2
ear = Ear()
ear.on_start = lambda run: print("started", run.run_id, flush=True)
try:
    compute = Compute(checkpoint_s={checkpoint})
    states = local.launch(grid({count}, {epochs}), Options(Path({store!r}), compute, jobs=2, patience_s={patience}),
                          ear, Later(pause={pause}, trace={trace!r}))
except KeyboardInterrupt:
    states = ear.states
    print("INTERRUPTED")
print("STATES", sorted(str(s.name) for s in states.values()), *ear.messages, flush=True)
"""


@pytest.fixture
def start(tmp_path: Path, store: Store) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts runners in processes of their own, in another folder, as a user would who has not installed the suite."""
    started = []

    def runner(count: int = 3, epochs: int = 3, pause: float = 0.03, checkpoint: float = 0.0, patience: float = 600,
               trace: str = "trace", env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        script = tmp_path / f"runner{len(started)}.py"
        root = Path(__file__).parents[2]
        script.write_text(SCRIPT.format(root=str(root), tests=str(root / "tests/support"), count=count, epochs=epochs,
                                        store=str(store.root), checkpoint=checkpoint, pause=pause, patience=patience,
                                        trace=str(tmp_path / trace)))
        with (tmp_path / f"errors{len(started)}").open("w") as errors:
            started.append(subprocess.Popen([sys.executable, script], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                                            stderr=errors, env=env))
        return started[-1]

    yield runner
    for process in started:
        process.kill()
        process.communicate()


def until_claimed(store: Store, runs: list[GridRun], process: subprocess.Popen[str]) -> list[int]:
    """Wait until jobs are at work; their process ids."""
    while not (pids := [pid for run in runs if (pid := owner(store, run.run_id))]):
        assert process.poll() is None
        time.sleep(0.01)
    return pids


def gone(pids: list[int]) -> bool:
    patience = time.monotonic() + 20
    while any(attempt.process_start(pid) for pid in pids) and time.monotonic() < patience:
        time.sleep(0.02)
    return not any(attempt.process_start(pid) for pid in pids)


def test_a_killed_runner_takes_its_jobs_along_and_the_next_one_goes_on(
        store: Store, start: Callable[..., subprocess.Popen[str]]) -> None:
    runs = grid(2)
    for wait_s in (0.0, 0.3):
        process = start(count=2, pause=0.1)
        pids = until_claimed(store, runs, process)
        time.sleep(wait_s)
        process.kill()
        assert gone(pids)
        assert gone([pid for run in runs if (pid := owner(store, run.run_id))])  # one that was just being started
        assert {store.state(run.run_id).name for run in runs} <= {"lost", "todo"}
    launch(runs, Options(store.root, jobs=2), Ear(), training())
    all_well(store, runs)


def test_ctrl_c_stops_cleanly_and_loses_nothing(store: Store, start: Callable[..., subprocess.Popen[str]],
                                                tmp_path: Path) -> None:
    runs = grid(3)
    process = start(count=3, pause=0.1, checkpoint=1000.0)
    pids = until_claimed(store, runs, process)
    while len((tmp_path / "trace").read_text().splitlines() if (tmp_path / "trace").exists() else ()) < 8:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert "INTERRUPTED" in out and "stopping: 2 runs have 20 s" in out and gone(pids)
    states = [store.state(run.run_id) for run in runs]
    assert [(s.name, s.reason) for s in states] == [("partial", "interrupted")] * 2 + [("todo", "")]
    trained = Counter((tmp_path / "trace").read_text().splitlines())
    for run in runs[:2]:
        steps = sum(run.run_id in line for line in trained)
        assert [step for step, _ in checkpoints(store.folder(run.run_id))] == [steps]
    launch(runs, Options(store.root, jobs=2), Ear(), training(trace=str(tmp_path / "trace")))
    all_well(store, runs)
    assert set(Counter((tmp_path / "trace").read_text().splitlines()).values()) == {1}  # no step twice
    assert (tmp_path / "errors0").read_text() == ""


def test_four_runners_at_once_share_the_work(store: Store, start: Callable[..., subprocess.Popen[str]],
                                             tmp_path: Path) -> None:
    runs = grid(10, epochs=2)
    places = (None, None, environment(tmp_path, "east", clock="1"), environment(tmp_path, "west", clock="jumps"))
    four = [start(count=10, epochs=2, env=env) for env in places]  # two here, one with a clock an hour off, one worse
    shown = [process.communicate(timeout=120)[0] for process in four]
    assert all(f"STATES {['done'] * 10}" in text for text in shown), shown
    all_well(store, runs)
    trained = Counter((tmp_path / "trace").read_text().splitlines())
    assert set(trained.values()) == {1} and len(trained) == 10 * 2 * STEPS  # no step twice
    for run in runs:
        record = store.provenance(run.run_id)
        assert attempt.numbers(store.folder(run.run_id)) == [1] and record is not None
        assert [(one.from_step, one.to_step) for one in record.attempts] == [(0, 2 * STEPS)]


def test_an_owner_stopped_past_its_heartbeat_goes_on_without_writing(
        store: Store, start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    runs = grid(2)
    east = start(count=2, pause=0.1, trace="east", env=environment(tmp_path, "east"))
    while not all(checkpoints(store.folder(run.run_id)) for run in runs if store.folder(run.run_id).exists()) \
            or len(store.run_ids()) < 2:
        assert east.poll() is None
        time.sleep(0.02)
    stopped = [pid for pids in family(east.pid).values() for pid in pids]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        steps = len((tmp_path / "east").read_text().splitlines())
        west = start(count=2, trace="west", patience=1.0, env=environment(tmp_path, "west", clock="1"))
        shown, _ = west.communicate(timeout=60)
        assert f"STATES {['done'] * 2}" in shown and "waiting for 2 runs of other processes" in shown
        before = tree(store.root)
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
    shown, _ = east.communicate(timeout=60)
    assert f"STATES {['done'] * 2}" in shown
    assert tree(store.root) == before
    all_well(store, runs)
    assert all(attempt.numbers(store.folder(run.run_id)) == [1, 2] for run in runs)
    # Each job was in the middle of a step; whatever that was is not in any file.
    assert len((tmp_path / "east").read_text().splitlines()) <= steps + 2 * len(runs)
    trained = Counter((tmp_path / "west").read_text().splitlines())
    assert set(trained.values()) == {1} and len(trained) < 2 * 3 * STEPS  # it went on from their checkpoints


def test_a_run_of_a_silent_owner_elsewhere_is_taken_over(store: Store, ear: Ear,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    run, = runs = grid(1)
    folder = store.add(run.config)
    with monkeypatch.context() as patch:
        patch.setattr(attempt, "here", lambda: ("far", "another boot"))
        silent = attempt.claim(folder)
    assert silent is not None and store.state(run.run_id).detail.endswith("on far")
    silent.beat(Beat(epoch=0, step=4))
    launch(runs, Options(store.root, patience_s=0.5), ear, training())
    all_well(store, runs)
    assert attempt.numbers(folder) == [1, 2] and "waiting for 1 run of other processes" in ear.messages[0]
    with pytest.raises(attempt.Overtaken):
        silent.beat(Beat())
