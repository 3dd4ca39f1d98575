"""Runs on this machine: a process for each, forked from a warm server, in slots of processors or GPUs.

A failed run never stops the others. One that is killed starts again at once, as long as it makes progress. Ctrl-C stops
cleanly. Runs that somebody else owns are waited for, and taken over when their owner is gone.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import TYPE_CHECKING

from suite.errors import UserError
from suite.files import atomic
from suite.job.stop import Stop
from suite.launch import child, server, snapshot
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.plan.decision import Decision, wanted
from suite.store import attempt
from suite.store.folder import check_folder, checkpoints
from suite.store.records import Beat, Origin
from suite.store.state import Reason, RunState, State, one_line
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.train.trajectory import Training

TICK_S, LOOK_S = 0.5, 3.0  # between two looks at the heartbeats of our runs, and at those of others
GRACE_S = 20.0  # from the request to stop until the kill
BARREN = 3  # attempts in a row that are killed without progress


def launch(runs: Sequence[GridRun], options: Options, listener: Listener,
           training: Training | None = None) -> dict[str, RunState]:
    """Run what is to be run, each in a process of its own, and return the states by id.

    `training` replaces the parts of a job, for tests; it must be picklable. Raises KeyboardInterrupt after a clean stop
    on Ctrl-C, SIGTERM or SIGHUP; UserError where the store cannot be written, or this system cannot do it.
    """
    server.check_system()
    store = Store(options.store)
    try:
        code = snapshot.origin(store.root, [run.config for run in runs])
    except OSError as error:
        raise atomic.explain(error) or error from None
    with Stop(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as stop:
        states = Runner(store, options, listener, training, code, stop).run(runs)
    if stop.asked:
        raise KeyboardInterrupt
    return states


@dataclass
class Child:
    """A run under way. `ticks` is when its process started, `before` the step of its newest checkpoint then."""

    run: GridRun
    process: ForkServerProcess
    outcome: Connection
    gpu: int | str | None
    ticks: int | None
    before: int
    began: float = field(default_factory=time.monotonic)
    overdue: bool = False

    def owns(self, tenure: attempt.Tenure) -> bool:
        """Whether this process made that attempt."""
        mine = (self.process.pid, self.ticks)
        return tenure.claim is not None and (tenure.claim.pid, tenure.claim.started) == mine

    def kill(self) -> None:
        """End it and all that it has started, now."""
        self.process.kill()
        if self.process.pid:
            with suppress(ProcessLookupError):  # it has no process group of its own yet
                os.killpg(self.process.pid, signal.SIGKILL)

    def await_death(self) -> None:
        """Return when the process is gone: the word of a fork server that was killed comes before its children die."""
        pid = self.process.pid or 0
        while self.ticks is not None and attempt.process_start(pid) == self.ticks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


class Runner:
    """The state of a launch. Invariant: each run is in one of `queue`, `waiting`, `children` and `final`."""

    def __init__(self, store: Store, options: Options, listener: Listener, training: Training | None,
                 code: Origin, stop: Stop) -> None:
        self.store, self.options, self.listener, self.training = store, options, listener, training
        self.code, self.stop = code, stop
        gpus: Sequence[int | str | None] = options.gpus or (None,)
        self.free: deque[int | str | None] = deque(gpu for _ in range(options.jobs) for gpu in gpus)
        self.queue: deque[GridRun] = deque()
        self.waiting: list[GridRun] = []
        self.children: list[Child] = []
        self.final: dict[str, RunState] = {}
        self.barren: Counter[str] = Counter()
        self.seen: dict[str, int] = {}  # attempts at each run before this launch
        self.still: dict[str, attempt.Pulse] = {}  # run -> attempt that may be overtaken
        self.watch = attempt.Watch(options.patience_s)
        self.next_look = self.next_tick = 0.0
        self.told_waiting = False

    def run(self, runs: Sequence[GridRun]) -> dict[str, RunState]:
        """Go on until every run is in `final`, or until asked to stop."""
        unique = {run.run_id: run for run in runs}
        for run_id, state in self.store.states(unique).items():
            self.seen[run_id] = state.attempts
            self._place(unique[run_id], state)
        try:
            while (self.queue or self.waiting or self.children) and not self.stop.asked:
                while self.queue and self.free and not self.stop.asked:
                    self._start(self.queue.popleft())
                self._pass_time()
                self._look_at_waiting()
            if self.stop.asked:
                self._stop_children()
        finally:
            for one in self.children:  # only where something unforeseen was raised
                one.kill()
        return {run_id: self.final.get(run_id) or self.store.state(run_id) for run_id in unique}

    def _place(self, run: GridRun, state: RunState) -> None:
        """Decide what becomes of a run that nobody here computes."""
        try:
            check_folder(self.store.folder(run.run_id))
        except UserError as error:
            self._finish(run, _failed(error))
            return
        decision = wanted(state, run.config.train.epochs, self.options.selection)
        if state.name == State.CANCELLED and state.attempts > self.seen[run.run_id]:
            decision = Decision.LEAVE  # it was cancelled while it waited here, and `retry` is about what was so before
        if decision == Decision.START:
            self.queue.append(run)
        elif decision == Decision.WAIT and self.options.wait:
            self.waiting.append(run)
        else:
            self._finish(run, state)

    def _finish(self, run: GridRun, state: RunState) -> None:
        self.final[run.run_id] = state
        self.listener.ended(run, state)

    def _start(self, run: GridRun) -> None:
        still = self.still.pop(run.run_id, None)
        state = self.store.state(run.run_id)  # another runner may have been faster
        cancelled = state.name == State.CANCELLED and state.attempts > self.seen[run.run_id]
        decision = wanted(state, run.config.train.epochs, self.options.selection)
        if cancelled or (still is None and decision != Decision.START):
            self._place(run, state)
            return
        try:
            folder = self.store.add(run.config)
            before = _newest_step(self.store, run)
            order = self.options.order(self.free[0], self.code, still).to_json()
            process, outcome = server.start(folder, order, self.free[0], self.training)
        except (UserError, OSError) as error:
            self._finish(run, _failed(error))
            return
        ticks = attempt.process_start(process.pid) if process.pid else None
        self.children.append(Child(run, process, outcome, self.free.popleft(), ticks, before))
        self.listener.started(run)

    def _pass_time(self) -> None:
        """Wait for something to happen, not for long; then see who has ended, and how far the others are."""
        if self.children:
            wait([one.process.sentinel for one in self.children], TICK_S)
        elif not self.queue:
            time.sleep(TICK_S)
        for one in [one for one in self.children if one.process.exitcode is not None]:
            self.children.remove(one)
            self.free.append(one.gpu)
            self._ended(one)
        if time.monotonic() >= self.next_tick:
            self.next_tick = time.monotonic() + TICK_S
            for one in self.children:
                self._see_progress(one)

    def _see_progress(self, one: Child) -> None:
        limit = self.options.compute.timeout_s
        if limit is not None and time.monotonic() - one.began > limit + GRACE_S:  # it should have stopped by itself
            one.kill()
            one.overdue = True
        with suppress(OSError):  # a folder that cannot be read now has no news
            tenure = attempt.latest(self.store.folder(one.run.run_id))
            if tenure and tenure.beat and one.owns(tenure):
                self.listener.progress(one.run, tenure.beat)

    def _ended(self, one: Child) -> None:
        state = child.received(one.outcome) or self._died(one)
        one.outcome.close()
        one.process.close()
        if state.name == State.CLAIMED:
            self._place(one.run, state)
        elif state.reason == Reason.KILLED and not self.stop.asked and self._may_restart(one):
            self.listener.told(f"run {one.run.run_id}: {state.detail}; it starts again")
            self.queue.appendleft(one.run)
        else:
            self._finish(one.run, state)

    def _may_restart(self, one: Child) -> bool:
        if _newest_step(self.store, one.run) > one.before:
            self.barren[one.run.run_id] = 0
        else:
            self.barren[one.run.run_id] += 1
        return self.barren[one.run.run_id] < BARREN

    def _died(self, one: Child) -> RunState:
        """The state of a run whose process is gone without a word, said in its place."""
        folder = self.store.folder(one.run.run_id)
        name, reason, detail = self._how(one)
        one.await_death()
        try:
            tenure = attempt.latest(folder)
            own_words = tenure is not None and tenure.ended and one.owns(tenure)
            if not own_words:
                attempt.end_for_dead(folder, one.process.pid or 0, one.ticks, name, reason, detail)
        except OSError as error:
            return _failed(error)  # a full disk: the files will say that the run is lost, which starts again, too
        now = self.store.state(one.run.run_id)
        if own_words or now.name in (State.DONE, State.CLAIMED):
            return now
        return replace(now, name=name, reason=reason, detail=detail)

    def _how(self, one: Child) -> tuple[State, Reason, str]:
        code = one.process.exitcode or 0
        if one.overdue:
            return State.FAILED, Reason.TIMEOUT, f"killed {GRACE_S:g} s after its time-out; the next start goes on"
        if self.stop.asked:
            return State.PARTIAL, Reason.INTERRUPTED, "killed, since it did not stop in time; the next start goes on"
        if code < 0:
            return State.FAILED, Reason.KILLED, f"killed by {signal.Signals(-code).name}"
        if code == server.GONE:
            return State.FAILED, Reason.KILLED, "killed with its fork server"
        return State.FAILED, Reason.ERROR, (
            f"its process ended with exit code {code}; see {self.store.log(one.run.run_id)}")

    def _look_at_waiting(self) -> None:
        if not self.waiting or time.monotonic() < self.next_look:
            return
        self.next_look = time.monotonic() + LOOK_S
        waiting, self.waiting = self.waiting, []
        for run in waiting:
            state = self.store.state(run.run_id)
            if state.is_held:
                self._watch(run, state)
            elif state.failed_for_good:
                self._finish(run, state)  # it was tried just now
            else:
                self._place(run, state)
        if self.waiting and not self.children and not self.queue and not self.told_waiting:
            self.told_waiting = True
            self.listener.told(f"waiting for {len(self.waiting)} runs that others own; they are taken over when their "
                               f"heartbeats stand still for {self.options.patience_s:g} s")

    def _watch(self, run: GridRun, state: RunState) -> None:
        try:
            tenure = attempt.latest(self.store.folder(run.run_id))
        except OSError:
            tenure = None
        still = self.watch.still(run.run_id, tenure) if tenure else None
        if tenure is None:  # no owner, and yet it cannot be read
            self._finish(run, RunState(State.FAILED, reason=Reason.ERROR, detail=state.detail))
        elif still is None:
            self.waiting.append(run)
            self.listener.progress(run, tenure.beat or Beat())
        else:
            self.still[run.run_id] = still
            self.queue.append(run)

    def _stop_children(self) -> None:
        if self.children:
            self.listener.told(f"stopping: {len(self.children)} runs have {GRACE_S:g} s to write their checkpoints "
                               "(ask once more to kill them)")
        for one in self.children:
            one.process.terminate()
        until = time.monotonic() + GRACE_S
        while self.children:
            self._pass_time()
            if time.monotonic() > until or self.stop.asked > 1:
                for one in self.children:
                    one.kill()


def _newest_step(store: Store, run: GridRun) -> int:
    return max((step for step, _ in checkpoints(store.folder(run.run_id))), default=-1)


def _failed(error: UserError | OSError) -> RunState:
    told = (atomic.explain(error) or error) if isinstance(error, OSError) else error
    return RunState(State.FAILED, reason=Reason.ERROR, detail=one_line(told))
