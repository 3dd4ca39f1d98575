"""Live progress of a launch: finished runs, the epoch of each active run, and the remaining time."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from suite.cli.standing import Standings
from suite.cli.work import Work
from suite.grid.model import GridRun
from suite.plan.estimate import clock
from suite.plan.plan import Plan
from suite.store.records import Beat
from suite.store.state import RunState, State
from suite.store.store import Store

SURE = 30.0  # seconds after which the speed of a run is reliable
READ_S = 2.0  # seconds between two reads of the metric of a run
QUIET = 15.0  # seconds between two lines if the output is not a terminal


class Progress:
    """Progress bars on a terminal. Otherwise, a line for each run that ends, and a line every QUIET seconds.

    A listener of the launcher (`suite.launch.listener.Listener`).
    """

    def __init__(self, plan: Plan, slots: int, console: Console | None = None, timeout_s: float | None = None,
                 store: Store | None = None) -> None:
        """`slots`: runs at a time. `store`: the store of the runs, to show their metrics."""
        self.console = console or Console(file=sys.stderr, highlight=False)
        self.plan = plan
        self.slots = slots
        self.timeout_s = timeout_s
        self.began: dict[str, float] = {}  # run -> when it was given to a slot
        self.warned: set[str] = set()  # shapes that cannot finish within the time limit
        self.runs = {run.run_id: run for run in plan.todo}  # and runs that are taken over from other launches
        self.work = Work()
        for run in self.runs.values():
            self._add(run)
        self.seconds: dict[str, float] = {}  # shape -> seconds per epoch, measured in this launch
        self.standings = Standings(store) if store else None
        self.metrics: dict[str, tuple[float, str]] = {}  # run -> when its metric was read, and its text
        self.bars = Bars(TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
                         TextColumn("{task.fields[text]}", markup=False), console=self.console)
        self.tasks: dict[str, TaskID] = {}
        self.total = self.bars.add_task("runs", total=sum(self.work.target.values()), text="", start=True)
        self.last_line = time.monotonic()

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.console.is_terminal:
            self.bars.stop()

    def started(self, run: GridRun) -> None:
        """A run has started."""
        self.began[run.run_id] = time.monotonic()
        if run.run_id not in self.runs:
            self.runs[run.run_id] = run
            self._add(run)
            self.bars.update(self.total, total=sum(self.work.target.values()))
        if run.run_id not in self.tasks:
            self.tasks[run.run_id] = self.bars.add_task(run.name, total=self.work.target[run.run_id], text="starting")

    def progress(self, run: GridRun, beat: Beat) -> None:
        """An active run has reached this step."""
        per_epoch = beat.steps_per_epoch or 1
        epochs = (beat.step or 0) / per_epoch
        self.work.reach(run.run_id, epochs)
        if beat.seconds_per_step:
            self.seconds[run.config.shape] = beat.seconds_per_step * per_epoch
            self._warn_if_late(run)
        if run.run_id in self.tasks:
            target = self.work.target[run.run_id]
            self.bars.update(self.tasks[run.run_id], completed=epochs,
                             text=f"epoch {min(int(epochs) + 1, target)}/{target}" + self._metric(run))
        self._show_total()

    def ended(self, run: GridRun, state: RunState) -> None:
        """A run is finished in this launch."""
        if run.run_id in self.runs:
            self.work.end(run.run_id, float(state.epochs))
            if state.name == State.DONE and run.run_id in self.began:  # fits and benchmarks report no times of steps
                spent = time.monotonic() - self.began[run.run_id]
                self.seconds.setdefault(run.config.shape, spent / self.work.target[run.run_id])
        if run.run_id in self.tasks:
            self.bars.remove_task(self.tasks.pop(run.run_id))
        what = f"[{len(self.work.ended)}/{len(self.work.target)}] {run.name}: {state.label}"
        what += f" ({state.detail})" if state.detail else ""
        what += self._standing(run)
        if state.name == State.FAILED or not self.console.is_terminal:
            self.console.print(f"{what}, {self._left()}", markup=False, soft_wrap=True)
            self.last_line = time.monotonic()
        self._show_total(quiet=True)

    def message(self, text: str) -> None:
        """Print a line for the user."""
        self.console.print(text, markup=False, soft_wrap=True)

    def _metric(self, run: GridRun) -> str:
        """The metric of an active run, read again every few seconds."""
        now = time.monotonic()
        read, words = self.metrics.get(run.run_id, (-math.inf, ""))
        if now - read > READ_S:
            words = self._standing(run, values=True)
            self.metrics[run.run_id] = now, words
        return words

    def _standing(self, run: GridRun, values: bool = False) -> str:
        found = self.standings.of(run) if self.standings else None
        return "" if found is None else f", {found.values if values else found.words}"

    def _add(self, run: GridRun) -> None:
        self.work.add(run, min(self.plan.until or run.config.train.epochs, run.config.train.epochs),
                      float(self.plan.states[run.run_id].epochs))

    def _warn_if_late(self, run: GridRun) -> None:
        """Warn, once per shape, if a run will not finish within its time limit, as soon as its speed is known."""
        shape = run.config.shape
        if self.timeout_s is None or run.run_id not in self.began or shape in self.warned:
            return
        spent = time.monotonic() - self.began[run.run_id]
        needs = (self.work.target[run.run_id] - self.work.epochs[run.run_id]) * self.seconds[shape]
        if spent > min(SURE, self.timeout_s / 10) and needs > self.timeout_s - spent:
            self.warned.add(shape)
            self.message(f"warning: {run.name} needs about {clock(needs)} more, but --timeout leaves "
                         f"{clock(max(0.0, self.timeout_s - spent))}: it will stop early; the next call continues it")

    def _show_total(self, quiet: bool = False) -> None:
        done = f"{len(self.work.ended)}/{len(self.work.target)} runs, {self._left()}"
        self.bars.update(self.total, completed=self.work.done, text=done)
        if not self.console.is_terminal and not quiet and time.monotonic() - self.last_line > QUIET:
            self.last_line = time.monotonic()
            active = ", ".join(f"{task.description} {task.fields['text']}" for task in self.bars.tasks[1:])
            self.console.print(f"{done}; {active}", markup=False, soft_wrap=True)

    def _left(self) -> str:
        """The remaining time: epochs left times seconds per epoch of each shape."""
        if not self.seconds:
            return "ETA unknown"
        return f"ETA {clock(self.work.seconds(self.seconds) / max(1, min(self.slots, len(self.work.target))))}"
