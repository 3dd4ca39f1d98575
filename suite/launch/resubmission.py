"""Runs that `--wait` submits again, because their jobs were killed but not cancelled.

Most killed jobs are requeued, by SLURM or by themselves. But a job may leave the queue if its shell or node was killed
(SIGKILL). As on one machine, a run is started again at once, as long as it makes progress.
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

GIVE_UP_AFTER = 3  # killed jobs in a row without progress, after which a run is given up
BROKEN_OFF = frozenset({(State.FAILED, Reason.KILLED), (State.FAILED, Reason.TIMEOUT)})


class Resubmission:
    """Decides which runs of a launch are submitted again. Stores the progress of each at its last submission."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reached: dict[str, int] = {}
        self.no_progress: Counter[str] = Counter()
        self.killed_with: dict[str, str] = {}  # run -> job
        self.cancelled: set[str] = set()  # jobs cancelled by a user
        self.given_up: set[str] = set()

    def begin(self, run_ids: Iterable[str]) -> None:
        """Record that these runs have just been submitted."""
        for run_id in run_ids:
            self.reached[run_id] = _newest_step(self.store, run_id)

    def again(self, submitted: Submitted, unrecorded: Iterable[str], states: Mapping[str, RunState]) -> dict[str, str]:
        """Choose the runs to submit again, from runs that are no longer in a job. Marks runs as failed that were killed
        too often.

        `unrecorded`: runs whose attempt did not record its end. Returns the killed job of each run to submit again.
        """
        labels = {run_id: self._labels(submitted, run_id) for run_id in states}
        rows = endings.remembered(submitted, (label for some in labels.values() for label in some))
        silent = set(unrecorded)
        holders = {run_id: self._holder(run_id, labels[run_id]) for run_id in states}
        waiting = [run_id for run_id, state in states.items() if not holders[run_id] and labels[run_id]
                   and self._would_begin(submitted, run_id, state)]
        killed = {run_id: label for run_id, state in states.items()
                  if (label := self._killed_with(submitted, holders[run_id], state, rows, run_id in silent)
                      or self._broken_off(labels[run_id], rows, run_id in waiting or state.name == State.PARTIAL))}
        self.killed_with |= killed
        jobs = set(killed.values())
        killed |= {run_id: label for run_id in waiting if run_id not in killed
                   and (label := self._follows(submitted, run_id, labels[run_id], jobs))}
        out = {run_id: label for run_id, label in killed.items() if not self._makes_progress(run_id)}
        for run_id, label in out.items():
            self._give_up(run_id, label)
        return {run_id: label for run_id, label in killed.items() if run_id not in out}

    def _labels(self, submitted: Submitted, run_id: str) -> list[str]:
        if run_id not in submitted.newest:
            return []
        return [label for one in submitted.together(run_id) if (label := submitted.label(one, run_id))]

    def _holder(self, run_id: str, labels: list[str]) -> str:
        """Returns the job, of these, that started the run, or "" if none did."""
        tenure = attempt.latest(self.store.folder(run_id))
        return tenure.job if tenure is not None and tenure.job in labels else ""

    def _would_begin(self, submitted: Submitted, run_id: str, state: RunState) -> bool:
        """Returns whether a job would start a run that no job of its last submission has started."""
        if state.name == State.CANCELLED or state.failed_for_good:
            return submitted.retries(submitted.newest[run_id][0], run_id, state)
        return state.start is None and state.name != State.DONE and not state.is_held

    def _killed_with(self, submitted: Submitted, label: str, state: RunState, rows: Mapping[str, Row],
                     silent: bool) -> str:
        """Returns `label`, the job that started a run, if it was killed, or "" if it ended in another way."""
        stopped = state.name == State.PARTIAL and state.reason == Reason.INTERRUPTED
        dead = silent and (state.name, state.reason) in BROKEN_OFF
        if not label or not (stopped or dead) or state.start is not None:
            return ""
        if endings.was_cancelled(submitted, label, rows):
            self.cancelled.add(label)
            return ""
        return label

    def _broken_off(self, labels: list[str], rows: Mapping[str, Row], waits: bool) -> str:
        """Returns the job that was killed before it started a run that `waits` for it, or at the run's end, or ""."""
        return next((label for label in labels if waits and endings.broken_off(label, rows)), "")

    def _follows(self, submitted: Submitted, run_id: str, labels: list[str], killed: set[str]) -> str:
        """Returns the killed job, of the run or of its canary, because of which the run did not start, or ""."""
        behind = submitted.canaries_of(submitted.newest[run_id][0]) if labels else []
        canaries = [self.killed_with[one] for one in behind if one in self.killed_with]
        return next(iter([label for label in labels if label in killed] + canaries), "")

    def _makes_progress(self, run_id: str) -> bool:
        """Returns whether a run may be started again: not if its last GIVE_UP_AFTER jobs made no progress."""
        self.no_progress[run_id] = 0 if _newest_step(self.store, run_id) > self.reached.get(run_id, -1) \
            else self.no_progress[run_id] + 1
        return self.no_progress[run_id] < GIVE_UP_AFTER

    def _give_up(self, run_id: str, label: str) -> None:
        self.given_up.add(run_id)
        mine = attempt.claim(self.store.folder(run_id), job=label)
        if mine is not None:
            with suppress(attempt.Overtaken):
                mine.end(State.FAILED, Reason.KILLED, f"its jobs were killed {GIVE_UP_AFTER} times without progress, "
                         f"the last one was job {label}; the next start tries again")


def _newest_step(store: Store, run_id: str) -> int:
    return max((step for step, _ in checkpoints(store.folder(run_id))), default=-1)
