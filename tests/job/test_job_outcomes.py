"""Outcomes by example in a run's folder: whoever is killed where, the file belongs to the result, and goes along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_training import training
from one_run import OFTEN, ROWS, RUN

from suite.cli.main import main
from suite.config.outcomes import best_epoch
from suite.files import atomic
from suite.job import checkpoint
from suite.job.compute import Compute
from suite.job.job import run
from suite.job.order import Order
from suite.store.folder import OUTCOMES as FILE
from suite.store.store import Store

EXAMPLES = 101


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


@pytest.fixture
def folder(store: Store) -> Path:
    return store.add(RUN)


def finish(folder: Path, order: Order = OFTEN) -> None:
    assert run(folder, order, training(examples=EXAMPLES)).name == "done"


def whole(tmp_path: Path) -> bytes:
    """The file of a run that nobody stopped."""
    folder = Store(tmp_path / "whole").add(RUN)
    finish(folder)
    return (folder / FILE).read_bytes()


@pytest.mark.parametrize("order", [OFTEN, Order()], ids=["from its checkpoint", "from the start"])
@pytest.mark.parametrize("step", [1, 10, 11, 20, 29])
def test_a_run_that_broke_ends_with_the_same_file(folder: Path, store: Store, step: int, order: Order,
                                                  tmp_path: Path) -> None:
    run(folder, order, training(fault="error", at=step, examples=EXAMPLES))
    finish(folder, order)
    assert (folder / FILE).read_bytes() == whole(tmp_path)
    found, result = store.outcomes(RUN.run_id), store.result(RUN.run_id)
    assert result is not None and result.outcomes == atomic.sha256_of(folder / FILE)
    assert set(found) == {best_epoch(ROWS, "max val/accuracy"), 3}
    assert all(len(entries["val"]) == EXAMPLES for entries in found.values())


@pytest.mark.parametrize("name", ["save", "save_outcomes"])
def test_a_kill_between_checkpoint_and_outcomes_loses_neither(name: str, folder: Path, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = getattr(checkpoint, name)

    def killed(*args: object) -> object:
        calls.append(name)
        if len(calls) == 30:  # of the last step
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, name, killed)
        with pytest.raises(KeyboardInterrupt):
            run(folder, OFTEN, training(examples=EXAMPLES))
    assert not (folder / "result.json").exists()
    finish(folder)
    assert (folder / FILE).read_bytes() == whole(tmp_path)


def test_a_stopped_run_has_those_of_the_epochs_so_far(folder: Path, store: Store) -> None:
    run(folder, Order(compute=Compute(until=1)), training(examples=EXAMPLES))
    assert set(store.outcomes(RUN.run_id)) == {1}


def test_a_run_without_any_says_nothing_of_them(folder: Path, store: Store) -> None:
    run(folder, OFTEN, training())
    assert store.outcomes(RUN.run_id) == {} and not (folder / FILE).exists()
    result = store.result(RUN.run_id)
    assert result is not None and "outcomes" not in result.content()


@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: b"", lambda data: data + b" "])
def test_a_damaged_file_counts_as_none(folder: Path, store: Store, spoil: object) -> None:
    finish(folder)
    (folder / FILE).write_bytes(spoil((folder / FILE).read_bytes()))  # type: ignore[operator]
    assert store.outcomes(RUN.run_id) == {} and store.state(RUN.run_id).name == "done"


def test_merge_brings_them(folder: Path, store: Store, tmp_path: Path) -> None:
    finish(folder)
    assert main(["merge", str(store.root), str(tmp_path / "other")]) == 0
    other = Store(tmp_path / "other")
    assert (other.folder(RUN.run_id) / FILE).read_bytes() == (folder / FILE).read_bytes()
    shutil.rmtree(store.root)
    assert set(other.outcomes(RUN.run_id)) > set()
