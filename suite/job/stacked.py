"""A stack: attempts at several runs of one shape, in one process and in lockstep (`suite.train.stack`).

Each attempt is as in `suite.job.job`, with its own claim, heartbeat, log, checkpoints and result; only the steps are
computed together. A stack is named by the ids of its runs, in order. It keeps its shape, since the last bits depend on
it: the network of a run that is over, failed, cancelled or owned by another process is still computed, but nothing of
it is stored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from suite.config.run_config import RunConfig
from suite.errors import MachineFault
from suite.job.job import Work, attempted
from suite.job.order import Order
from suite.job.stop import Stop
from suite.store.folder import read_config
from suite.store.state import RunState, State
from suite.train.stack import Stack
from suite.train.trainer import Trainer
from suite.train.trajectory import Training


@dataclass
class Member:
    """An attempt in a stack. `trainer` waits for a step; it is None once the attempt is over, with outcome `state`."""

    work: Work
    log: TextIO
    trainer: Trainer | None = None
    state: RunState = RunState(State.TODO)

    def proceed(self, go: Callable[[], Any]) -> None:
        """Let the attempt work until it needs its next step, or is over. Its output goes to its own log."""
        with redirect_stdout(self.log):
            try:
                self.trainer = go()
            except StopIteration as over:
                self.trainer, self.state = None, over.value


def run(orders: Mapping[Path, Order], training: Training | None = None,
        stop: Stop | None = None) -> dict[str, RunState]:
    """Make an attempt at each run, given by folder. Returns their states afterwards. All orders name the same stack.

    `stop` is checked between steps. Errors become a state, with the traceback in the run's log.
    """
    training, stop = _sharing(training or Training()), stop or Stop()
    with ExitStack() as logs:
        members = {folder.name: Member(attempted(folder, order, training, stop), logs.enter_context(_log(folder)))
                   for folder, order in orders.items()}
        for member in members.values():
            member.proceed(partial(next, member.work))
        places = next(iter(orders.values())).stack
        root = next(iter(orders)).parent
        try:
            stack = _stack(root, places, members, training)
        except Exception as error:  # noqa: BLE001 - any error here is not the fault of a run
            fault = MachineFault(f"these runs cannot be computed as one: {error}", "--stack", "leave the option out")
            _all(members, lambda member: member.work.throw(fault))
            stack = None
        while stack is not None and any(member.trainer for member in members.values()):
            _step(stack, places, members)
    return {run_id: member.state for run_id, member in members.items()}


def _step(stack: Stack, places: tuple[str, ...], members: Mapping[str, Member]) -> None:
    """Do a step of all attempts that wait for one, then let each of them continue."""
    waiting = [members[run_id].trainer if run_id in members else None for run_id in places]
    trained = [trainer is not None and trainer.due for trainer in waiting]
    try:
        if any(trained):
            stack.step(trained)
    except Exception as error:  # noqa: BLE001 - each attempt decides what it means
        problem = error  # `error` is unset after the clause
        _all(members, lambda member: member.work.throw(problem))
        return
    _all(members, _after)


def _after(member: Member) -> Any:
    if member.trainer is None:
        raise RuntimeError("unreachable")
    try:
        row = member.trainer.end_step()
    except Exception as error:  # noqa: BLE001 - the attempt decides what it means
        return member.work.throw(error)
    return member.work.send(row)


def _all(members: Mapping[str, Member], go: Callable[[Member], Any]) -> None:
    for member in members.values():
        if member.trainer is not None:
            member.proceed(partial(go, member))


def _stack(root: Path, places: tuple[str, ...], members: Mapping[str, Member], training: Training) -> Stack | None:
    """The trainers in order, with new ones for runs without an attempt. None if no run has an attempt."""
    live = {run_id: member.trainer for run_id, member in members.items() if member.trainer is not None}
    if not live:
        return None
    first = next(iter(live.values()))
    trainers = [live[run_id] if run_id in live else _placeholder(root / run_id, first, training) for run_id in places]
    return Stack(trainers, first.mode)


def _placeholder(folder: Path, like: Trainer, training: Training) -> Trainer:
    """A trainer that takes the place of a run. It is never stored."""
    config = read_config(folder)
    return Trainer(config, training.load(config), like.device)


def _sharing(training: Training) -> Training:
    """The same functions, but data that several runs share are loaded once."""
    known: dict[tuple[str, str], Any] = {}

    def load(config: RunConfig) -> Any:
        key = (config.task, config.data.canonical)
        if key not in known:
            known[key] = training.load(config)
        return known[key]
    return Training(load, training.make, training.backend)


@contextmanager
def _log(folder: Path) -> Iterator[TextIO]:
    """The log of a run, opened for appending. It must not be a symbolic link."""
    handle = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    with open(handle, "a", encoding="utf-8", errors="backslashreplace", buffering=1) as file:  # noqa: PTH123 - a handle
        yield file
