"""Runs that start again under `--wait`: their jobs were killed, and nobody has cancelled them.

Most such jobs are requeued, by SLURM or by themselves. One whose shell or node was killed (SIGKILL) may leave the queue
all the same. The rule is that of local runs: a run starts again at once, as long as it makes progress.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

from suite.launch import endings
from suite.launch.queue import Submitted
from suite.launch.slurm_cli import Row
from suite.store import attempt
from suite.store.folder import checkpoints
from suite.store.state import Reason, RunState, State
from suite.store.store import Store

BARREN = 3  # jobs of a run in a row that are killed without progress
BROKEN_OFF = frozenset({(State.FAILED, Reason.KILLED), (State.FAILED, Reason.TIMEOUT)})


class Revival:
    """Which runs of a launch start again. It remembers how far each was when its last job began."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reached: dict[str, int] = {}
        self.barren: Counter[str] = Counter()
        self.killed_with: dict[str, str] = {}  # run -> job
        self.cancelled: set[str] = set()  # jobs that somebody has ended
        self.given_up: set[str] = set()

    def begin(self, run_ids: Iterable[str]) -> None:
        """These runs have just been submitted."""
        for run_id in run_ids:
            self.reached[run_id] = _newest_step(self.store, run_id)

    def again(self, submitted: Submitted, wordless: Iterable[str], states: Mapping[str, RunState]) -> dict[str, str]:
        """Of runs that are in no job any more, those that start again, each with the job that was killed.

        `wordless`: those whose attempt did not say how it ended. One that was killed too often is left as failed.
        """
        labels = {run_id: self._labels(submitted, run_id) for run_id in states}
        rows = endings.remembered(submitted, (label for some in labels.values() for label in some))
        silent = set(wordless)
        killed = {run_id: label for run_id, state in states.items()
                  if (label := self._killed_with(submitted, run_id, state, rows, run_id in silent)
                      or self._broken_off(state, labels[run_id], rows))}
        self.killed_with |= killed
        waiting = [run_id for run_id, state in states.items() if state.name == State.TODO and state.start is None
                   and run_id not in killed]
        killed |= {run_id: label for run_id in waiting
                   if (label := self._follows(submitted, run_id, labels[run_id], set(killed.values())))}
        out = {run_id: label for run_id, label in killed.items() if not self._makes_progress(run_id)}
        for run_id, label in out.items():
            self._give_up(run_id, label)
        return {run_id: label for run_id, label in killed.items() if run_id not in out}

    def _labels(self, submitted: Submitted, run_id: str) -> list[str]:
        if run_id not in submitted.newest:
            return []
        return [label for one in submitted.together(run_id) if (label := submitted.label(one, run_id))]

    def _killed_with(self, submitted: Submitted, run_id: str, state: RunState, rows: Mapping[str, Row],
                     silent: bool) -> str:
        """The job with which a run that it had begun was killed; "" if it ended in another way."""
        tenure = attempt.latest(self.store.folder(run_id)) if state.attempts else None
        stopped = state.name == State.PARTIAL and state.reason == Reason.INTERRUPTED
        dead = silent and (state.name, state.reason) in BROKEN_OFF
        if tenure is None or not tenure.job or not (stopped or dead):
            return ""
        if endings.was_cancelled(submitted, tenure.job, rows):
            self.cancelled.add(tenure.job)
            return ""
        return tenure.job

    def _broken_off(self, state: RunState, labels: list[str], rows: Mapping[str, Row]) -> str:
        """The job that was killed before it began a run, or while it was ending; else ""."""
        waits = state.name in (State.TODO, State.PARTIAL) and state.start is None
        return next((label for label in labels if waits and endings.broken_off(label, rows)), "")

    def _follows(self, submitted: Submitted, run_id: str, labels: list[str], killed: set[str]) -> str:
        """The job that was killed before it came to a run, or that of the canary which the run waits for; else ""."""
        behind = submitted.canaries_of(submitted.newest[run_id][0]) if labels else []
        canaries = [self.killed_with[one] for one in behind if one in self.killed_with]
        return next(iter([label for label in labels if label in killed] + canaries), "")

    def _makes_progress(self, run_id: str) -> bool:
        """Whether a run may start again: not if its last jobs have all ended where they began."""
        self.barren[run_id] = 0 if _newest_step(self.store, run_id) > self.reached.get(run_id, -1) \
            else self.barren[run_id] + 1
        return self.barren[run_id] < BARREN

    def _give_up(self, run_id: str, label: str) -> None:
        self.given_up.add(run_id)
        mine = attempt.claim(self.store.folder(run_id), job=label)
        if mine is not None:
            with suppress(attempt.Overtaken):
                mine.end(State.FAILED, Reason.KILLED, f"its jobs were killed {BARREN} times without progress, job "
                         f"{label} last; the next start tries again")


def _newest_step(store: Store, run_id: str) -> int:
    return max((step for step, _ in checkpoints(store.folder(run_id))), default=-1)
