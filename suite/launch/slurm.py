"""Submits runs to a SLURM cluster as job arrays, which do not depend on this process afterwards.

The progress of runs is in their files. The queue is only a hint, so that nothing is submitted twice. If a submission is
interrupted, the next one finds its jobs by their names (`suite.launch.batch`).
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.files import atomic
from suite.files.counted import counted
from suite.job.stop import Stop
from suite.launch import batch, canary, limits, slurm_cli, snapshot
from suite.launch.arrays import Maker, Source, Wanted, numbered
from suite.launch.cluster import Cluster
from suite.launch.listener import Listener
from suite.launch.options import Launched, Options
from suite.launch.queue import EVERY_S, Queue, Submitted, cancel_labels
from suite.launch.script import script
from suite.launch.slurm_cli import SUBMIT_S, Accepted, SlurmError
from suite.launch.sorting import sort_out
from suite.launch.submission_lock import SubmissionLock, submission_lock
from suite.launch.wait import Watching
from suite.plan.decision import Decision, wanted
from suite.store.folder import checkpoints
from suite.store.records import Origin
from suite.store.state import RunState
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

PLANNED = "PLANNED"  # replaces the random part of job names in a plan
LOOK_FOR_S, LOOK_S = 10.0, 1.0  # seconds to wait for an accepted job in squeue; between two calls
DOWN = re.compile(r"unable to contact slurm controller|connection refused|connect failure", re.IGNORECASE)


def launch(runs: Sequence[GridRun], options: Options, listener: Listener,
           training: tuple[str, dict[str, Any]] | None = None, *, cluster: Cluster | None = None,
           canaries: bool = True, wait: bool = False, grids: str = "") -> Launched:
    """Submit the unfinished runs that are not in a job yet. With `wait`, return only when all have ended.

    `training`: a function that makes the parts of a job, with its keywords, for tests. `grids`: the names of the grids,
    for the names of the jobs. Raises UserError with sbatch's message if it refuses the jobs; KeyboardInterrupt on
    Ctrl-C, SIGTERM or SIGHUP, which do not affect the jobs.
    """
    submission = Submission(Store(options.store), options, listener, cluster or Cluster(), training, canaries, grids)
    unique = {run.run_id: run for run in runs}
    left = list(unique.values())
    watching = Watching(Submitted(submission.store, submission.queue), options, listener, {})
    with Stop(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as stop:
        while left and not stop.asked:
            before, left = left, submission.submit(left, stop)
            if left:
                exceeding = counted(len(left), "run exceeds", "runs exceed")
                listener.message(f"{exceeding} your limit of {submission.limit} jobs in the queue; "
                                 + ("submitted later" if wait else "the same command submits them later"))
            if not wait:
                break
            over = {run.run_id for run in left}
            watching.begin([run for run in before if run.run_id not in over])
            again = watching.wait(stop)
            left += again
            submission.proven |= {canary.kind(run.config) for run in again
                                  if checkpoints(submission.store.folder(run.run_id))}
            if len(over) == len(before):
                stop.sleep(EVERY_S)
    if stop.asked:
        raise KeyboardInterrupt
    idle = bool(left) and not wait and not submission.handed_over and submission.limit == 0
    states = submission.store.states(unique) | watching.never
    return Launched(states, idle, _left_over(unique, states, options) if wait else frozenset())


def _left_over(runs: Mapping[str, GridRun], states: Mapping[str, RunState], options: Options) -> frozenset[str]:
    """Returns the runs that are still to be started after the wait."""
    return frozenset(run_id for run_id, run in runs.items()
                     if wanted(states[run_id], run.config.train.epochs, options.selection) != Decision.LEAVE)


@dataclass
class Submission:
    """Puts runs into batches, and submits these to SLURM."""

    store: Store
    options: Options
    listener: Listener
    cluster: Cluster
    training: tuple[str, dict[str, Any]] | None = None
    canaries: bool = True
    grids: str = ""
    queue: Queue = field(default_factory=Queue)
    proven: set[canary.Kind] = field(default_factory=set)  # kinds that no longer need a canary
    limit: int | None = None
    handed_over: int = 0

    @property
    def _modules(self) -> list[str]:
        """Modules that the jobs need in addition to the suite and the modules of the runs."""
        return [self.training[0].partition(":")[0]] if self.training else []

    def submit(self, runs: list[GridRun], stop: Stop) -> list[GridRun]:
        """Submit the runs that are not in a job yet. Returns the runs that exceed the user's limit of jobs.

        Raises UserError, or KeyboardInterrupt between two calls of sbatch.
        """
        _check_path(self.store.root)
        try:
            with submission_lock(self.store, self.listener, stop) as lock:
                return self._submit(runs, stop, lock)
        except OSError as error:
            raise atomic.explain(error) or error from None

    def _submit(self, runs: list[GridRun], stop: Stop, lock: SubmissionLock) -> list[GridRun]:
        self.queue.forget()
        found = sort_out(runs, Submitted(self.store, self.queue), self.options, self.cluster, self.listener)
        if not found.fresh:
            return []
        states = self.store.states([run.run_id for run in found.fresh])
        probes = canary.choose(found.fresh, states, self.store.prices(), found.covered.keys() | self.proven) \
            if self.canaries else []
        room = limits.room(self.cluster, len(found.fresh) + len(probes))
        self.limit = room.limit
        fitting = found.fresh[:max(0, room.jobs - len(probes)) * self.cluster.runs_per_job]
        if not fitting:
            return found.fresh
        configs = [run.config for run in fitting]
        code = snapshot.freeze(self.store.root, configs, self._modules)
        source = self._source(code, snapshot.origin(self.store.root, configs))
        probes = [run for run in probes if run in fitting]
        made = Maker(self.options, self.cluster, source).all(Wanted(fitting, states, probes, found.covered),
                                                             room.largest)
        for run in fitting:
            self.store.add(run.config)
        self._hand_over(made, stop, lock)
        return found.fresh[len(fitting):]

    def _source(self, code: Path, origin: Origin, token: str = "") -> Source:
        return Source(batch.new_start(self.grids, token), code, origin, self.grids, self.training)

    def scripts(self, runs: Sequence[GridRun], prices: Mapping[str, float]) -> list[tuple[batch.Batch, str]]:
        """Returns the batches of these runs, and their sbatch scripts. Writes nothing."""
        states = self.store.states([run.run_id for run in runs])
        probes = canary.choose(runs, states, prices) if self.canaries else []
        source = self._source(snapshot.place(self.store.root, [run.config for run in runs], self._modules), Origin(),
                              PLANNED)
        made = Maker(self.options, self.cluster, source).all(Wanted(runs, states, probes), limits.largest_array())
        return [(one, script(one, self.store.root, self.cluster)) for one in made]

    def _hand_over(self, batches: Sequence[batch.Batch], stop: Stop, lock: SubmissionLock) -> None:
        """Submit the batches in order, each with the job ids of its dependencies."""
        numbers: dict[str, str] = {}
        for place, planned in enumerate(batches):
            if stop.asked:
                self.listener.message(f"stopped after submitting {place} of {len(batches)} arrays; these will run")
                raise KeyboardInterrupt
            lock.renew()
            one = numbered(planned, numbers)
            record = one.write(self.store.root)
            text = script(one, self.store.root, self.cluster)
            atomic.create(record.with_suffix(".sh"), text.encode(), atomic.nobody())
            accepted = self._sbatch(one, record, place)
            job = numbers[one.name] = self._settled(one, record, accepted)
            self.handed_over += 1
            jobs = len(one.tasks)
            what = f"{counted(jobs, 'canary', 'canaries')}; the other runs wait for {'it' if jobs == 1 else 'them'}" \
                if one.kind == batch.Kind.CANARY else f"{counted(jobs, 'job')}, {counted(len(one.runs), 'run')}"
            on = f" on {accepted.cluster}" if accepted.cluster else ""
            self.listener.message(f"submitted job {job or '(number unknown)'}{on}: {what}")
            if not job and any(one.name in text for later in batches[place + 1:] for text in later.after):
                raise UserError("sbatch accepted an array but did not give its number, which other arrays need",
                                str(record), "try again when `squeue` shows it; nothing is submitted twice")

    def _settled(self, one: batch.Batch, record: Path, accepted: Accepted) -> str:
        """Returns the job id of the array, or "" if neither sbatch nor the queue shows it.

        Raises UserError if another launch has given up this submission.
        """
        shown = self._look_for(one.name, accepted)
        number = accepted.number or shown
        if not number:
            return ""
        if batch.settle(self.store.root, one.name, number, accepted.cluster) != number:
            cancel_labels([number], accepted.cluster)
            raise UserError("another launch of the same runs gave up this submission", str(record),
                            f"job {number} was cancelled; see `status`")
        if shown:
            batch.note_in_queue(self.store.root, one.name)
        else:
            self.listener.message(f"job {number} was accepted but is not in the queue yet: its state is unknown")
        return number

    def _look_for(self, name: str, accepted: Accepted) -> str:
        """Returns the job id of a batch that was just accepted, or "" if squeue does not show it within LOOK_FOR_S.

        Ended jobs count, too, since a short job may already be over.
        """
        until = time.monotonic() + LOOK_FOR_S
        while True:
            with suppress(SlurmError):
                for row in slurm_cli.squeue([name], accepted.cluster, every_state=True):
                    if row.name == name and accepted.number in ("", row.array):
                        return row.array
            if time.monotonic() >= until:
                return ""
            time.sleep(LOOK_S)

    def _sbatch(self, one: batch.Batch, record: Path, before: int) -> Accepted:
        """Call sbatch. Returns its answer. Raises UserError with its message."""
        try:
            return slurm_cli.sbatch(record.with_suffix(".sh"), one.cluster)
        except SlurmError as error:
            if not error.unsure:
                _forget(record)
            raise _refusal(error, before, one.cluster) from None


def _refusal(error: SlurmError, before: int, cluster: str) -> UserError:
    """Returns the UserError for an error of sbatch. `before`: the number of arrays that it accepted before."""
    if error.missing:
        return UserError("SLURM is not installed on this machine: sbatch not found", "--executor slurm",
                         "run this on a login node of the cluster")
    if error.unsure:
        late = f"sbatch did not answer within {SUBMIT_S:g} s" if "did not end" in str(error) else \
            f"SLURM did not answer in time: {error}"
        return UserError(late, "sbatch", "try again when `scontrol ping` reports it as up: jobs that it accepted are "
                         "found, and nothing is submitted twice")
    if DOWN.search(str(error)):
        return UserError(f"SLURM does not answer: {error}", "sbatch", "try again when `scontrol ping` reports it as "
                         "up; nothing is submitted twice")
    so_far = f"{counted(before, 'array was', 'arrays were') if before else 'nothing was'} submitted; "
    return UserError(f"sbatch refused the jobs: {error}", "sbatch",
                     f"{so_far}correct the options or the cluster file, and try again. `plan --executor slurm` shows "
                     f"the script{_accounts(str(error), cluster)}")


def _accounts(refused: str, cluster: str) -> str:
    """Returns a text with the user's accounts if sbatch refused the account, or "" otherwise or if they are unknown."""
    if "account" not in refused.lower():
        return ""
    names = dict.fromkeys(slurm_cli.accounts("assoc", "where", f"user={limits.user()}", "format=Account",
                                             cluster=cluster))
    return f"; your accounts are: {', '.join(names)}" if names else ""


def _check_path(root: Path) -> None:
    """Raises UserError if PYTHONPATH cannot contain this path: jobs would not run the copy of the code."""
    if os.pathsep in str(root.absolute()):
        raise UserError(f"the path of the store contains {os.pathsep!r}, which would split the PYTHONPATH of the jobs",
                        str(root.absolute()), "use another store (--store)")


def _forget(record: Path) -> None:
    for suffix in (".json", ".sh"):
        record.with_suffix(suffix).unlink(missing_ok=True)
