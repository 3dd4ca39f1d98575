"""Which runs start together in one process; and that they end as they would without kills and cancellations."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_data import FakeData, waves
from fake_runner import Ear, owner

from suite.config.run_config import RunConfig
from suite.grid.model import GridRun
from suite.job.compute import Compute
from suite.launch.local import launch
from suite.launch.options import Options
from suite.launch.stacks import Stacks
from suite.launch.turns import Turns
from suite.store.records import Beat
from suite.store.store import Store
from suite.train.stackable import why_alone
from suite.train.trajectory import Training

SMALL: dict[str, Any] = {"task": "scifar", "data.variant": "sample", "train.epochs": 3, "train.batch_size": 4,
                         "model.layers": 1, "model.features": 8, "model.dropout": 0.1, "ssm.state_size": 4}


def made(*changes: dict[str, Any]) -> list[GridRun]:
    built = [RunConfig.build(SMALL | change) for change in changes]
    return [GridRun(one, one.run_id, {"seed": str(one.seed)}) for one in built]


def seeds(count: int, **fields: Any) -> list[GridRun]:
    return made(*({**fields, "seed": seed} for seed in range(count)))


def sizes(runs: Sequence[GridRun], stack: int | None, jobs: int = 1) -> list[int]:
    """How many runs go into each turn, if slots are taken as they come and never given back before all are."""
    turns, found = Turns(Options(Path("runs"), jobs=jobs, stack=stack)), []
    turns.queue.extend(runs)
    while turns.queue:
        if (turn := turns.next()) is None:
            turns.free = list(turns.slots)
            continue
        found.append(len(turn.runs))
    return found


@pytest.mark.parametrize(("count", "stack", "jobs", "expected"), [
    (5, 1, 2, [1, 1, 1, 1, 1]), (8, 4, 1, [4, 4]), (9, 4, 1, [3, 3, 3]), (3, 2, 1, [2, 1]), (1, 4, 1, [1]),
    (15, None, 2, [8, 7]), (9, None, 1, [5, 4]), (20, None, 2, [7, 7, 3, 3]), (3, None, 2, [3]), (4, None, 2, [2, 2])])
def test_stacks_are_of_one_size_and_fill_the_slots(count: int, stack: int | None, jobs: int,
                                                   expected: list[int]) -> None:
    assert sizes(seeds(count), stack, jobs) == expected


def test_only_runs_of_one_shape_are_put_together() -> None:
    alike = made({}, {"seed": 1}, {"ssm.init": "inv"}, {"ssm.train_a": False}, {"ssm.discretization": "zoh"},
                 {"optim.lr": 0.1}, {"ssm.re_constraint": "none"})
    others = made({"model.features": 16}, {"train.epochs": 4}, {"model.dropout": 0.2}, {"ssm.kernel_length": 9},
                  {"ssm.structure": "dplr", "ssm.kernel": "cauchy", "ssm.init": "legs"})
    assert sizes([*others, *alike], 8) == [1, 1, 1, 1, 1, 7]
    assert sizes(seeds(4, **{"model.features": 64}), None) == [1, 1, 1, 1], "wide ones gain nothing on a CPU"
    assert sizes(seeds(4, **{"model.features": 64}), 4) == [4]


def test_what_runs_alone_is_said_with_its_reason() -> None:
    runs = made({"model.name": "lstm"}, {"ssm.structure": "mimo"}, {"train.precision": "bf16"}, {"seed": 1},
                {"model.name": "lstm", "seed": 2})
    assert Stacks(None).remarks(runs, on_gpu=False) == [
        "2 runs are computed alone: only networks of state space layers are stacked, not lstm",
        "1 run is computed alone: only S4D and S4 layers without ssm.sobolev are stacked",
        "1 run is computed alone: only float32 and tf32 are stacked"]
    assert Stacks(1).remarks(runs, on_gpu=False) == []
    untied = made({"model.tie_dropout": False})[0].config
    assert why_alone(untied, on_gpu=True) == "on a GPU, only tied dropout draws the same numbers in a stack as alone"
    assert why_alone(untied, on_gpu=False) == why_alone(runs[3].config, on_gpu=True) == ""
    assert why_alone(made({"task": "listops", "data.variant": "original"})[0].config, False) == (
        "batches of listops differ in length")


COUNTS = {"train": 202, "val": 7}


def load(config: RunConfig) -> FakeData:
    return waves(COUNTS)


def bits(store: Store, run: GridRun) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if not key.startswith("time/")}
            for row in store.rows(run.run_id)]


def starts(ear: Ear) -> int:
    return sum(what == "started" for what, _ in ear.heard)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_stack_that_was_stopped_goes_on_as_it_began(store: Store, tmp_path: Path, ear: Ear) -> None:
    runs, training = seeds(3), Training(load=load)
    whole = Store(tmp_path / "whole")
    launch(runs, Options(whole.root, stack=3), ear, training)
    assert {state.label for state in ear.states.values()} == {"done"}
    options = Options(store.root, Compute(checkpoint_s=0.0), stack=None)
    # A part of the runs alone does not break up the stack either: the others are computed on, and not stored.
    states = launch(runs, Options(store.root, Compute(checkpoint_s=0.0, until=1), stack=3), Ear(), training)
    assert {state.label for state in states.values()} == {"partial"}
    assert states.keys() == {run.run_id for run in runs}
    alone = launch(runs[1:2], options, Ear(), training)
    assert [state.label for state in alone.values()] == ["done"]
    launch(runs, options, Ear(), training)
    for run in runs:
        record = store.provenance(run.run_id)
        assert bits(store, run) == bits(whole, run)
        assert record is not None and record.mixed == []
        assert record.environment["stack"] == " ".join(other.run_id for other in runs)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_run_that_began_alone_goes_on_alone(store: Store, ear: Ear) -> None:
    first, *others = runs = seeds(3)
    launch([first], Options(store.root, Compute(until=1)), Ear(), Training(load=load))
    launch(runs, Options(store.root, stack=None), ear, Training(load=load))
    assert "1 run is computed alone: runs with a checkpoint continue as they began" in ear.messages
    for run in runs:
        record = store.provenance(run.run_id)
        assert record is not None and record.mixed == []
        assert record.environment.get("stack") == (None if run is first else " ".join(o.run_id for o in others))


@pytest.mark.slow
@pytest.mark.usefixtures("quick_looks")
def test_a_stack_that_is_killed_starts_again(store: Store, tmp_path: Path, ear: Ear) -> None:
    """Killed in the first epoch: all its runs start again, together."""
    runs, training = seeds(3), Training(load=load)
    whole = Store(tmp_path / "whole")
    launch(runs, Options(whole.root, stack=3), Ear(), training)
    pids: set[int] = set()

    def kill(run: GridRun, beat: Beat) -> None:
        pid = owner(store, run.run_id)
        if pid and pid not in pids and len(pids) < 2 and (beat.step or 0) > 3:
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)

    ear.on_progress = kill
    states = launch(runs, Options(store.root, Compute(checkpoint_s=0.0), stack=3), ear, training)
    assert {state.label for state in states.values()} == {"done"}
    assert starts(ear) == 3 * (1 + len(pids))
    for run in runs:
        assert bits(store, run) == bits(whole, run)
