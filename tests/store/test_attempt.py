"""Who owns a run: one of many claimants, dead owners, silent ones, and those that were overtaken."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from one_run import ROWS, RUN
from places import claim_of, tree

from suite.files import atomic
from suite.store import attempt
from suite.store.attempt import Attempt, Overtaken, Watch
from suite.store.folder import encode_rows
from suite.store.records import Beat
from suite.store.state import RunState
from suite.store.store import Store


def test_states_of_an_attempt(store: Store) -> None:
    folder = store.add(RUN)
    assert store.state(RUN.run_id).name == "todo"
    own = attempt.claim(folder)
    assert own is not None
    own.beat(Beat(epoch=0, step=3))
    state = store.state(RUN.run_id)
    assert state.name == "claimed" and state.progress == Beat(count=1, epoch=0, step=3)
    assert state.detail == f"held by process {os.getpid()} on {os.uname().nodename}"
    own.write("metrics.jsonl", encode_rows(ROWS[:2]))
    own.end("failed", "oom", "no room")
    assert store.state(RUN.run_id) == RunState("failed", 2, "oom", "no room", 1)
    own = attempt.claim(folder)
    assert own is not None and own.number == 2
    own.end("partial", "budget", "as asked")
    assert store.state(RUN.run_id) == RunState("partial", 2, "budget", "as asked", 2)
    Attempt(folder, 3).begin()
    Attempt(folder, 3).end("cancelled", detail="by hand")
    assert store.state(RUN.run_id) == RunState("cancelled", 2, "", "by hand", 3)
    Attempt(folder, 4).begin()
    Attempt(folder, 4).end("done")
    assert store.state(RUN.run_id).name == "partial" and "result.json is gone" in store.state(RUN.run_id).detail
    (folder / "attempts" / "0004.end").write_text('{"state":')
    assert store.state(RUN.run_id).name == "lost"


def test_a_dead_or_reborn_process_has_lost_its_run(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "attempts").mkdir()
    for pid, started in ((2**22 + 1, 5), (os.getpid(), 5)):  # no such process; one that got the same number later
        (folder / "attempts" / "0001.json").write_bytes(claim_of(pid, started))
        assert store.state(RUN.run_id).name == "lost"
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "attempts" / "0001.json").write_bytes(claim_of(child.pid, attempt.process_start(child.pid)))
    assert store.state(RUN.run_id).name == "claimed"
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet asked about
    assert store.state(RUN.run_id).name == "lost"
    child.wait()


def test_a_claim_of_another_machine_holds_and_one_that_cannot_be_read_is_unknown(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "attempts").mkdir()
    claim = folder / "attempts" / "0001.json"
    claim.write_bytes(claim_of(2**22 + 1, 5, "another boot"))
    assert store.state(RUN.run_id) == RunState("claimed", detail=f"held by process {2**22 + 1} on far", attempts=1)
    for damaged in (claim.read_bytes()[:50], b"", atomic.seal({"token": "aa"})):
        claim.write_bytes(damaged)
        assert store.state(RUN.run_id).name == "unknown"
        assert attempt.claim(folder) is None  # nobody takes it at once


def test_one_of_many_claimants_wins(store: Store) -> None:
    folder = store.add(RUN)
    with ThreadPoolExecutor(16) as pool:
        for number in range(1, 11):
            won = [own for own in pool.map(lambda _: attempt.claim(folder), range(16)) if own is not None]
            assert [own.number for own in won] == [number]
            won[0].end("partial")
    assert sorted(attempt.numbers(folder)) == list(range(1, 11))
    assert not [p for p in folder.rglob("*") if p.suffix == ".tmp"]


def test_an_overtaken_owner_cannot_write(store: Store) -> None:
    folder = store.add(RUN)
    old = attempt.claim(folder)
    assert old is not None
    old.write("metrics.jsonl", b"old")
    new = attempt.claim(folder, still=attempt.Pulse(1, 0))
    assert new is not None and new.number == 2
    before = tree(folder)
    writes = (lambda: old.write("metrics.jsonl", b"late"), lambda: old.create("result.json", b"late"),
              lambda: old.beat(Beat()), lambda: old.end("done"), lambda: old.remove("metrics.jsonl"),
              lambda: old.set_aside("metrics.jsonl"))
    for write in writes:
        with pytest.raises(Overtaken, match="attempt 1 .* was overtaken by attempt 2"):
            write()
    assert tree(folder) == before
    new.write("metrics.jsonl", b"new")


def test_an_owner_that_is_overtaken_between_its_look_and_its_rename_fails(store: Store,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.add(RUN)
    old = attempt.claim(folder)
    assert old is not None
    look = old.check

    def look_then_sleep() -> None:
        look()
        monkeypatch.setattr(old, "check", look)
        assert attempt.claim(folder, still=attempt.Pulse(1, 0)) is not None

    for write in (lambda: old.write("metrics.jsonl", b"late"), lambda: old.create("result.json", b"late")):
        monkeypatch.setattr(old, "check", look_then_sleep)
        with pytest.raises(Overtaken):
            write()
        assert not (folder / "metrics.jsonl").exists() and not (folder / "result.json").exists()
        (folder / "attempts" / "0002.json").unlink()


def test_a_heart_that_beats_is_not_overtaken(store: Store) -> None:
    folder = store.add(RUN)
    own = attempt.claim(folder)
    assert own is not None
    own.beat(Beat())
    assert attempt.claim(folder, still=attempt.Pulse(1, 0)) is None  # it has beaten since it was seen
    assert attempt.claim(folder, still=attempt.Pulse(1, 1)) is not None


def test_patience_is_measured_by_the_watcher(store: Store) -> None:
    folder = store.add(RUN)
    own = attempt.claim(folder)
    clock = itertools.count(0, 4)  # every look is four seconds later
    watch = Watch(10, lambda: float(next(clock)))

    def look() -> tuple[int, int] | None:
        tenure = attempt.latest(folder)
        assert tenure is not None
        return watch.still(RUN.run_id, tenure)

    assert own is not None and [look() for _ in range(3)] == [None] * 3
    own.beat(Beat())
    assert [look() for _ in range(3)] == [None] * 3 and look() == attempt.Pulse(1, 1)


def test_the_word_for_a_dead_process_is_said_once_and_only_for_its_own_attempt(store: Store) -> None:
    folder = store.add(RUN)
    (folder / "attempts").mkdir()
    (folder / "attempts" / "0001.json").write_bytes(claim_of(2**22 + 1, 5))
    assert not attempt.end_for_dead(folder, 2**22 + 2, None, "failed", "killed", "")
    assert not attempt.end_for_dead(folder, 2**22 + 1, 6, "failed", "killed", "")
    assert attempt.end_for_dead(folder, 2**22 + 1, 5, "failed", "killed", "by SIGKILL")
    assert not attempt.end_for_dead(folder, 2**22 + 1, 5, "failed", "timeout", "")
    assert store.state(RUN.run_id) == RunState("failed", 0, "killed", "by SIGKILL", 1)
