"""Whose turn it is: canaries, kinds that are stopped, GPUs that are lost, and runs that keep to their device."""

from __future__ import annotations

from pathlib import Path

from suite.config.run_config import RunConfig
from suite.grid.model import GridRun
from suite.launch.options import Options
from suite.launch.turns import Turns
from suite.store.state import Reason, RunState, State


def grid(count: int, **fields: object) -> list[GridRun]:
    values = {"task": "scifar", "data.variant": "sample", **fields}
    built = [RunConfig.build({**values, "seed": seed}) for seed in range(count)]
    return [GridRun(one, one.run_id, {"seed": str(one.seed)}) for one in built]


def turns_of(runs: list[GridRun], **options: object) -> Turns:
    turns = Turns(Options(Path("runs"), **options))
    turns.queue.extend(runs)
    turns.order({run.run_id: RunState(State.TODO) for run in runs}, {})
    return turns


def failed(reason: Reason) -> RunState:
    return RunState(State.FAILED, reason=reason)


def test_the_cheapest_of_each_kind_goes_first_and_the_others_wait_for_its_checkpoint() -> None:
    large, small = grid(2), grid(2, **{"model.features": 8, "ssm.state_size": 4})
    other = grid(1, **{"ssm.kernel": "softmax", "ssm.discretization": "zoh", "ssm.structure": "diagonal"})
    turns = turns_of([*large, *small, *other], jobs=4, canary=True)
    first, second = turns.next(), turns.next()
    assert first and second and {first.run.run_id, second.run.run_id} == {
        small[0].run_id, other[0].run_id} and first.early and second.early
    assert turns.next() is None, "slots are free, and all that is left waits"
    turns.prove(small[0])
    third = turns.next()
    assert third and third.run.config.ssm.kernel == small[0].config.ssm.kernel and not third.early
    turns.give_back(first)
    assert turns.next() and turns.next() and turns.next() is None


def test_a_canary_that_fails_is_followed_by_another_and_the_kind_ends_after_three() -> None:
    runs = grid(6)
    turns = turns_of(runs, jobs=6, canary=True, max_failures=3)
    for reason, out in ((Reason.ERROR, 0), (Reason.DIVERGED, 0), (Reason.START, 0), (Reason.ERROR, 2)):
        turn = turns.next()
        assert turn and turn.early and turns.next() is None
        turns.give_back(turn)
        assert len(turns.count(turn.run, failed(reason))) == out
    assert not turns.queue and turns.next() is None


def test_only_the_kind_that_fails_is_stopped() -> None:
    bad, good = grid(3), grid(3, task="sc_ar", **{"data.variant": "original"})
    turns = turns_of([*bad, *good], jobs=2, max_failures=1)
    turn = turns.next()
    assert turn and turns.count(turn.run, failed(Reason.ERROR)) == bad[1:]
    assert list(turns.queue) == good


def test_without_canaries_or_limits_everything_starts() -> None:
    turns = turns_of(grid(3), jobs=3)
    started = [turns.next() for _ in range(3)]
    assert all(turn is not None and not turn.early for turn in started)
    assert [turns.count(turn.run, failed(Reason.ERROR)) for turn in started if turn] == [[], [], []]


def test_runs_keep_to_their_gpu_or_processor() -> None:
    first, second, third = grid(3)
    turns = turns_of([first, second, third], gpus=("a", "b"), cpu_jobs=1, on_cpu=frozenset({first.run_id}),
                     only={second.run_id: ("b",)})
    assert {(turn.run.run_id, turn.gpu) for turn in (turns.next(), turns.next(), turns.next()) if turn} == {
        (first.run_id, None), (second.run_id, "b"), (third.run_id, "a")}


def test_no_run_starts_on_a_lost_gpu() -> None:
    first, second, third = grid(3)
    turns = turns_of([first, second, third], gpus=("a", "b"), only={second.run_id: ("a",)})
    turn = turns.next()
    assert turn and turn.gpu == "a"
    turns.give_back(turn)
    turns.queue.appendleft(turn.run)
    assert turns.lose("a") == [second], "it began on a GPU that only this one was like"
    again, last = turns.next(), turns.next()
    assert again and again.run == first and again.gpu == "b" and last is None
    turns.give_back(again)
    assert turns.next() and turns.lose("b") == []
