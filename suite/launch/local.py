"""Computes runs on this machine, each in a process forked from a server with everything imported, in slots of CPUs or
GPUs.

A failed run never stops the others. A killed run is restarted at once, as long as it makes progress. Ctrl-C stops
cleanly. The launch waits for runs of other processes, and takes them over when their owner is gone.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from suite.errors import UserError
from suite.files import atomic
from suite.files.counted import counted
from suite.job.stop import Stop
from suite.launch import child, server, snapshot
from suite.launch.canary import kind
from suite.launch.listener import Listener
from suite.launch.options import Gpu, Options
from suite.launch.running import GRACE_S, Child
from suite.launch.turns import Turn, Turns
from suite.plan.decision import Decision, wanted
from suite.store import attempt, start_failure
from suite.store.folder import check_folder, checkpoints
from suite.store.records import Beat, Origin
from suite.store.state import Reason, RunState, State, one_line
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.train.trajectory import Training

TICK_S, LOOK_S = 0.5, 3.0  # seconds between two checks of our runs' heartbeats, and of other runs
GIVE_UP_AFTER = 3  # attempts in a row killed without progress, after which a run is given up


def launch(runs: Sequence[GridRun], options: Options, listener: Listener,
           training: Training | None = None) -> dict[str, RunState]:
    """Compute the unfinished runs, each in its own process. Returns the states by id.

    `training` replaces the parts of a job, for tests; it must be picklable. Raises KeyboardInterrupt after a clean stop
    on Ctrl-C, SIGTERM or SIGHUP; UserError if the store cannot be written, or the system is not Linux.
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


class Runner:
    """The state of a launch. Invariant: each run is in one of `turns.queue`, `waiting`, `children` and `final`."""

    def __init__(self, store: Store, options: Options, listener: Listener, training: Training | None,
                 code: Origin, stop: Stop) -> None:
        self.store, self.options, self.listener, self.training = store, options, listener, training
        self.code, self.stop = code, stop
        self.turns = Turns(options)
        self.waiting: list[GridRun] = []
        self.children: list[Child] = []
        self.final: dict[str, RunState] = {}
        self.no_progress: Counter[str] = Counter()
        self.earlier_attempts: dict[str, int] = {}  # run -> number of attempts before this launch
        self.still: dict[str, attempt.Pulse] = {}  # run -> attempt that may be taken over
        self.watch = attempt.Watch(options.patience_s)
        self.next_look = self.next_tick = 0.0
        self.reported_waiting = False

    def run(self, runs: Sequence[GridRun]) -> dict[str, RunState]:
        """Work until every run is in `final`, a stop is requested, or the time is over. Returns the states by id."""
        unique = {run.run_id: run for run in runs}
        states = self.store.states(unique)
        for run_id, state in states.items():
            self.earlier_attempts[run_id] = state.attempts
            self._place(unique[run_id], state)
        for line in self.turns.stacks.remarks(self.turns.queue, bool(self.options.gpus)):
            self.listener.message(line)
        if self.options.canary and (first := self.turns.order(states, self.store.prices())):
            written = "it has written a checkpoint" if first == 1 else "these have written checkpoints"
            self.listener.message(f"{counted(first, 'run starts', 'runs start')} first, the cheapest of each task, "
                                  f"model and kernel; the others start when {written} (--no-canary starts all at once)")
        try:
            while (self.turns.queue or self.waiting or self.children) and not self._is_over:
                while not self._is_over and (turn := self.turns.next()) is not None:
                    self._start(turn)
                self._pass_time()
                self._look_at_waiting()
            if self._is_over:
                self._stop_children()
        finally:
            for one in self.children:  # only if there was an unexpected error
                one.kill()
        return {run_id: self.final.get(run_id) or self.store.state(run_id) for run_id in unique}

    @property
    def _is_over(self) -> bool:
        return bool(self.stop.asked) or self.options.over

    def _place(self, run: GridRun, state: RunState) -> None:
        """Queue a run, wait for its owner, or finish it, depending on its state."""
        try:
            check_folder(self.store.folder(run.run_id))
        except UserError as error:
            self._no_start(run, error)
            return
        decision = wanted(state, run.config.train.epochs, self.options.selection)
        if state.name == State.CANCELLED and state.attempts > self.earlier_attempts[run.run_id]:
            decision = Decision.LEAVE  # cancelled while it waited here; `retry` is for earlier ends only
        if decision == Decision.START:
            self._queue(run)
        elif decision == Decision.WAIT and self.options.wait:
            self.waiting.append(run)
        else:
            self._finish(run, state)

    def _queue(self, run: GridRun, first: bool = False) -> None:
        """Put a run into the queue, at its front if `first`."""
        self.turns.stacks.note(self.store, run)
        (self.turns.queue.appendleft if first else self.turns.queue.append)(run)

    def _finish(self, run: GridRun, state: RunState) -> None:
        self.final[run.run_id] = state
        self.listener.ended(run, state)

    def _no_start(self, run: GridRun, error: UserError | OSError | str, counts: bool = True) -> None:
        """Record that a run did not start. The run is not changed. `counts`: whether it is a failure of its kind."""
        reason = error if isinstance(error, str) else _words(error)
        now = self.store.state(run.run_id)
        start_failure.record(self.store.root, run.run_id, reason, now.attempts, start_failure.here(self.code.job))
        state = RunState(State.FAILED, now.epochs, Reason.START, reason, now.attempts)
        self._finish(run, state)
        if counts:
            self._stop_kind(run, state)

    def _stop_kind(self, run: GridRun, state: RunState) -> None:
        """Stop starting runs of a kind if too many of them have failed."""
        if out := self.turns.count(run, state):
            self.listener.message(f"{counted(len(out), 'more run', 'more runs')} of {kind(run.config).words} will not "
                                  f"start: {self.options.max_failures} have failed (--max-failures sets the limit)")
        for other in out:
            self._finish(other, self.store.state(other.run_id))

    def _start(self, turn: Turn) -> None:
        """Start a run, or a stack of runs, in one process."""
        stills = {run.run_id: self.still.pop(run.run_id, None) for run in turn.runs}
        ready = [run for run in turn.runs if self._may_start(run, stills[run.run_id])]
        if not ready:
            self.turns.give_back(turn)
            return
        try:
            stack = self.turns.stacks.places(ready)
            orders = {self.store.add(run.config): self.options.order(
                turn.gpu, self.code, stills[run.run_id], turn.early, stack).to_json() for run in ready}
            before = {run.run_id: _newest_step(self.store, run) for run in ready}
            process, outcome = server.start(orders, turn.gpu, self.training)
        except (UserError, OSError) as error:
            self.turns.give_back(turn)
            for run in ready:
                self._no_start(run, error)
            return
        ticks = attempt.process_start(process.pid) if process.pid else None
        self.children.append(Child(turn, tuple(ready), process, outcome, ticks, before))
        for run in ready:
            self.listener.started(run)

    def _may_start(self, run: GridRun, still: attempt.Pulse | None) -> bool:
        """Returns whether a run is still to be started. If not, `_place` decides what happens to it."""
        state = self.store.state(run.run_id)  # another runner may have started it
        cancelled = state.name == State.CANCELLED and state.attempts > self.earlier_attempts[run.run_id]
        decision = wanted(state, run.config.train.epochs, self.options.selection)
        if cancelled or (still is None and decision != Decision.START):
            self._place(run, state)
            return False
        return True

    def _pass_time(self) -> None:
        """Wait up to TICK_S for a process to end. Handle processes that ended, and report progress of the others."""
        if self.children:
            wait([one.process.sentinel for one in self.children], TICK_S)
        elif not self.turns.queue:
            time.sleep(TICK_S)
        for one in [one for one in self.children if one.process.exitcode is not None]:
            self.children.remove(one)
            self.turns.give_back(one.turn)
            self._ended(one)
        if time.monotonic() >= self.next_tick:
            self.next_tick = time.monotonic() + TICK_S
            for one in self.children:
                self._see_progress(one)

    def _see_progress(self, one: Child) -> None:
        limit = self.options.compute.timeout_s
        # A stack has the time of all its runs. It should have stopped on its own before.
        if limit is not None and time.monotonic() - one.began > limit * one.size + GRACE_S:
            one.kill()
            one.overdue = True
        for run in one.runs:
            with suppress(OSError):  # the folder cannot be read now
                tenure = attempt.latest(self.store.folder(run.run_id))
                if tenure and tenure.beat and one.owns(tenure):
                    self.listener.progress(run, tenure.beat)
                if one.turn.early and _newest_step(self.store, run) > one.before[run.run_id]:
                    self.turns.prove(run)

    def _ended(self, one: Child) -> None:
        states = child.received(one.outcome)
        for run in reversed(one.runs):  # restarted runs go to the front of the queue, in order
            self._ended_with(one, run, states.get(run.run_id) or self._died(one, run))
        one.outcome.close()
        one.process.close()

    def _ended_with(self, one: Child, run: GridRun, state: RunState) -> None:
        """Handle a run whose process has ended."""
        if _newest_step(self.store, run) > one.before[run.run_id]:
            self.turns.prove(run)
        if state.reason == Reason.GPU and one.turn.gpu is not None:
            self._lose_gpu(one.turn.gpu, run, state)
        elif state.reason == Reason.START:
            self._no_start(run, state.detail)
        elif state.name == State.CLAIMED:
            self._place(run, state)
        elif state.reason == Reason.KILLED and not self._is_over and self._may_restart(one, run):
            self.listener.message(f"run {run.run_id}: {state.detail}; starting it again")
            self._queue(run, first=True)
        else:
            self._finish(run, state)
            self._stop_kind(run, state)

    def _lose_gpu(self, gpu: Gpu, run: GridRun, state: RunState) -> None:
        """Handle a broken GPU: its run continues on another GPU of this model, or waits for one."""
        self._queue(run, first=True)
        waiting = self.turns.lose(gpu)
        then = "it waits for another GPU of this model" if run in waiting else "it continues on another GPU"
        why = state.detail.partition(": ")[2].partition(";")[0]
        self.listener.message(f"GPU {gpu} is lost: {why}; no more runs start on it. Run {run.run_id} was using it: "
                              f"{then}, from its last checkpoint")
        for other in waiting:
            self._no_start(other, f"no GPU of this model is left: GPU {gpu} is lost: {why}", False)

    def _may_restart(self, one: Child, run: GridRun) -> bool:
        run_id = run.run_id
        if _newest_step(self.store, run) > one.before[run_id]:
            self.no_progress[run_id] = 0
        else:
            self.no_progress[run_id] += 1
        return self.no_progress[run_id] < GIVE_UP_AFTER

    def _died(self, one: Child, run: GridRun) -> RunState:
        """Record how a process ended that did not do so itself. Returns the state of the run."""
        run_id = run.run_id
        folder = self.store.folder(run_id)
        name, reason, detail = one.how_it_died(self._is_over, self.store.log(run_id))
        one.await_death()
        try:
            tenure = attempt.latest(folder)
            owned = tenure is not None and one.owns(tenure)
            if not owned and reason == Reason.ERROR:
                return RunState(State.TODO, reason=Reason.START, detail=detail)
            recorded = tenure is not None and tenure.ended and owned
            if not recorded:
                attempt.end_for_dead(folder, one.process.pid or 0, one.ticks, name, reason, detail)
        except OSError as error:
            return RunState(State.LOST, reason=Reason.START, detail=_words(error))  # e.g. a full disk; it is restarted
        now = self.store.state(run_id)
        if recorded or now.name in (State.DONE, State.CLAIMED):
            return now
        return replace(now, name=name, reason=reason, detail=detail)

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
                self._finish(run, state)  # its owner has just tried it
            else:
                self._place(run, state)
        if self.waiting and not self.children and not self.turns.queue and not self.reported_waiting:
            self.reported_waiting = True
            self.listener.message(f"waiting for {counted(len(self.waiting), 'run')} of other processes; a run is taken "
                                  f"over when its heartbeat stops for {self.options.patience_s:g} s")

    def _watch(self, run: GridRun, state: RunState) -> None:
        try:
            tenure = attempt.latest(self.store.folder(run.run_id))
        except OSError:
            tenure = None
        still = self.watch.still(run.run_id, tenure) if tenure else None
        if tenure is None:  # its attempt cannot be read
            self._finish(run, RunState(State.FAILED, reason=Reason.ERROR, detail=state.detail))
        elif still is None:
            self.waiting.append(run)
            self.listener.progress(run, tenure.beat or Beat())
        else:
            self.still[run.run_id] = still
            self._queue(run)

    def _stop_children(self) -> None:
        if self.children:
            self.listener.message(f"stopping: {counted(len(self.children), 'run has', 'runs have')} {GRACE_S:g} s to "
                                  "write a checkpoint (press Ctrl-C again to kill)")
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


def _words(error: UserError | OSError) -> str:
    return one_line((atomic.explain(error) or error) if isinstance(error, OSError) else error)
