"""Stores that meet: the same id is the same run, the further one wins, conflicts are named, and kills do no harm."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_training import config, scores, training, undisturbed
from places import claim_of, read_only, tree

from suite.cli.main import main
from suite.job.compute import Compute
from suite.job.job import run
from suite.job.order import Order
from suite.store import attempt, merge
from suite.store.store import Store

OFTEN = Order(compute=Compute(checkpoint_s=0.0))


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    return Store(tmp_path / "theirs 'a'"), Store(tmp_path / "mine \"b\"")


def compute(store: Store, seed: int, until: int | None = None, break_at: int | None = None) -> str:
    how = {} if break_at is None else {"fault": "error", "at": break_at}
    run(store.add(config(seed)), Order(compute=Compute(checkpoint_s=0.0, until=until)), training(**how))
    return config(seed).run_id


def merged(source: Store, target: Store) -> int:
    return main(["merge", str(source.root), str(target.root)])


def test_every_pair_of_states(stores: tuple[Store, Store], capsys: pytest.CaptureFixture[str]) -> None:
    source, target = stores
    only_there, further_there = compute(source, 0), compute(source, 1)
    compute(target, 1, until=1)
    further_here = compute(source, 2, until=1)
    compute(target, 2)
    both = compute(source, 3)
    compute(target, 3)
    by_a_step = compute(source, 4, break_at=17)
    compute(target, 4, break_at=13)
    source.add(config(5))
    before = tree(source.root)
    assert merged(source, target) == 0
    assert tree(source.root) == before, "the source is only read"
    told = capsys.readouterr().out
    assert "1 new" in told and "1 the same in both" in told and "1 not further in the source" in told
    assert "2 further in the source; the target's copy is in the trash" in told
    assert "1 not started in the source" in told
    for run_id, seed in ((only_there, 0), (further_there, 1), (further_here, 2), (both, 3)):
        assert target.state(run_id).name == "done" and scores(target.rows(run_id)) == undisturbed(config(seed))
    assert target.state(by_a_step).reason == "error"
    run(target.folder(by_a_step), OFTEN, training())
    assert scores(target.rows(by_a_step)) == undisturbed(config(4))
    assert sorted(p.name for p in (target.root / "trash").iterdir()) == sorted([f"{further_there}-1", f"{by_a_step}-1"])
    assert not (target.root / merge.ASIDE).exists()
    assert merged(source, target) == 0 and "5 " not in capsys.readouterr().out.partition("runs")[2]


def test_results_that_differ_are_named_and_nothing_is_overwritten(stores: tuple[Store, Store],
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    source, target = stores
    run_id = compute(source, 0)
    compute(target, 0)
    result = target.result(run_id)
    assert result is not None
    result.rows[1]["val/accuracy"] += 1e-16
    (target.folder(run_id) / "result.json").write_bytes(result.sealed())
    before = tree(target.root)
    assert merged(source, target) == 1
    told = capsys.readouterr().out
    assert "1 conflict" in told and run_id in told and "nothing was changed" in told
    assert tree(target.root) == before
    result.rows[1]["val/accuracy"] = source.rows(run_id)[1]["val/accuracy"]
    result.rows[1]["time/train"] = 99.0
    (target.folder(run_id) / "result.json").write_bytes(result.sealed())
    assert merged(source, target) == 0, "times may differ"


def test_runs_under_way_are_left_to_their_owners(stores: tuple[Store, Store], capsys: pytest.CaptureFixture[str],
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "STILL_S", 0.05)
    source, target = stores
    there, here, silent = compute(source, 0, until=1), compute(source, 1), compute(source, 2, until=2)
    compute(target, 1, until=1)
    assert attempt.claim(source.folder(there)) is not None and attempt.claim(target.folder(here)) is not None
    number = len(attempt.numbers(source.folder(silent))) + 1
    (source.folder(silent) / f"attempts/{number:04d}.json").write_bytes(claim_of(7, 7, "another boot"))
    assert merged(source, target) == 1
    told = capsys.readouterr().out
    assert "1 still running in the source" in told and there in told and "1 still running in the target" in told
    assert not target.folder(there).exists() and target.state(here).epochs == 1
    assert target.state(silent).epochs == 2, "an owner elsewhere whose heart stands still holds nobody up"


def test_what_is_hostile_or_damaged_is_left_out(stores: tuple[Store, Store], tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    source, target = stores
    linked, inner, other, damaged = (compute(source, seed) for seed in range(4))
    source.folder(linked).rename(tmp_path / "elsewhere")
    source.folder(linked).symlink_to(tmp_path / "elsewhere")
    (source.folder(inner) / "extra").symlink_to("/etc/passwd")
    (source.folder(other) / "config.json").write_bytes((source.folder(inner) / "config.json").read_bytes())
    (source.folder(damaged) / "result.json").write_bytes(b'{"sha256"')
    (source.root / "../x").mkdir()
    assert merged(source, target) == 1
    told = capsys.readouterr().out
    assert "is a symbolic link" in told and "extra in it is not a plain file" in told
    assert "holds the configuration of run" in told
    assert target.run_ids() == [damaged] and target.state(damaged).name == "partial"
    run(target.folder(damaged), OFTEN, training(fault="error", at=0))  # would fail if it started again
    assert scores(target.rows(damaged)) == undisturbed(config(3))


@pytest.mark.parametrize(("words", "message"), [
    (["nowhere", "b"], "there is no such store"), (["a", "a"], "into itself"), (["a", "c\nd"], "line break"),
    ([".", "b"], "error: .: it has no runs")])
def test_bad_stores_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str,
                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    compute(Store(Path("a")), 0)
    assert main(["merge", *words]) == 2
    assert message in capsys.readouterr().err and not Path("b").exists()


def test_a_store_that_cannot_be_written_is_named(stores: tuple[Store, Store],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    source, target = stores
    compute(source, 0)
    compute(target, 1)
    with read_only(target.root):
        assert merged(source, target) == 2
        assert "cannot be written: read-only" in capsys.readouterr().err
    assert merged(source, target) == 0


def forked(source: Store, target: Store, kill_at: int = 0) -> int:
    """Starts a merge in a process of its own, which is killed at its call number `kill_at` of what changes the disk."""
    pid = os.fork()
    if pid:
        return pid
    calls = itertools.count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return step

    for place, name in ((Path, "rename"), (Path, "mkdir"), (os, "fsync"), (os, "link"), (shutil, "copy2")):
        setattr(place, name, counted(getattr(place, name)))
    os._exit(merged(source, target))


def outcome(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.slow
def test_killed_half_way_and_started_again_it_ends_right(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    ids = [compute(source, seed) for seed in range(2)]
    compute(target, 1, until=2)
    start, codes = tmp_path / "start", []
    shutil.copytree(target.root, start)
    for at in itertools.count(1):
        shutil.rmtree(target.root)
        shutil.copytree(start, target.root)
        codes.append(outcome(forked(source, target, at)))
        for run_id in target.run_ids():  # whatever is in place is whole
            assert target.state(run_id).name in ("done", "partial", "lost")
        assert merged(source, target) == 0
        assert all(scores(target.rows(run_id)) == undisturbed(config(seed)) for seed, run_id in enumerate(ids))
        assert not (target.root / merge.ASIDE).exists()
        if codes[-1] == 0:
            break
    assert set(codes[:-1]) == {-signal.SIGKILL} and len(codes) > 30


@pytest.mark.slow
def test_three_merges_into_one_store_at_once(stores: tuple[Store, Store]) -> None:
    source, target = stores
    ids = [compute(source, seed) for seed in range(8)]
    assert [outcome(pid) for pid in [forked(source, target) for _ in range(3)]] == [0, 0, 0]
    assert all(scores(target.rows(run_id)) == undisturbed(config(seed)) for seed, run_id in enumerate(ids))
    assert sorted(path.name for path in target.root.iterdir()) == sorted(ids)
