"""Runs on a SLURM cluster: job arrays are submitted, and go on whatever becomes of this process.

The files say how far each run is; the queue is only a hint, so that nothing is submitted twice. A submission that is
interrupted at any instant is found by the next one, by the names of its jobs (`suite.launch.batch`).
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.files import atomic, study
from suite.job.stop import Stop
from suite.launch import batch, canary, limits, slurm_cli, snapshot
from suite.launch.cluster import Cluster
from suite.launch.listener import Listener
from suite.launch.options import Launched, Options
from suite.launch.queue import EVERY_S, Job, Queue, Submitted, cancel_labels, epitaph
from suite.launch.slurm_cli import SUBMIT_S, Accepted, SlurmError
from suite.launch.wait import watch
from suite.plan.decision import Decision, wanted
from suite.store import attempt
from suite.store.folder import check_folder
from suite.store.records import Origin
from suite.store.state import RunState, State
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun

BEAT_S = 5.0  # each beat is two operations of the cluster's file system, for each run of everybody's jobs
STILL_S = 6.0  # for so long the heart of a run whose job is gone must not beat, before it is taken over
PLANNED = "PLANNED"  # in place of the time in the names of jobs that are only shown
LOOK_FOR_S, LOOK_S = 10.0, 1.0  # for a job that was just accepted; between two looks


def launch(runs: Sequence[GridRun], options: Options, listener: Listener,
           training: tuple[str, dict[str, Any]] | None = None, *, cluster: Cluster | None = None,
           canaries: bool = True, wait: bool = False) -> Launched:
    """Submit what is to be run and is in no job yet, and return; with `wait`, when all have ended.

    `training` names a function that makes the parts of a job, and its keywords, for tests. Raises UserError in sbatch's
    words where it refuses; KeyboardInterrupt on Ctrl-C, SIGTERM or SIGHUP, which no job hears of.
    """
    submission = Submission(Store(options.store), options, listener, cluster or Cluster(), training, canaries)
    unique = {run.run_id: run for run in runs}
    left = list(unique.values())
    with Stop(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as stop:
        while left and not stop.asked:
            before, left = left, submission.submit(left, stop)
            if left:
                listener.told(f"{len(left)} runs are over your limit of {submission.limit} jobs in the queue; "
                              + ("they follow" if wait else "the same command submits them later"))
            if not wait:
                break
            over = {run.run_id for run in left}
            watch([run for run in before if run.run_id not in over], submission.queue, options, listener, stop)
            if len(left) == len(before):
                stop.sleep(EVERY_S)
    if stop.asked:
        raise KeyboardInterrupt
    idle = bool(left) and not wait and not submission.handed_over and submission.limit == 0
    return Launched(submission.store.states(unique), idle)


@dataclass
class Sorted:
    """Runs that are to be submitted; kinds that have a canary in the queue, and the numbers of those arrays."""

    fresh: list[GridRun] = field(default_factory=list)
    covered: set[canary.Kind] = field(default_factory=set)
    after: set[str] = field(default_factory=set)


@dataclass
class Submission:
    """Puts runs into batches and hands them to SLURM."""

    store: Store
    options: Options
    listener: Listener
    cluster: Cluster
    training: tuple[str, dict[str, Any]] | None = None
    canaries: bool = True
    queue: Queue = field(default_factory=Queue)
    limit: int | None = None
    handed_over: int = 0

    @property
    def _modules(self) -> list[str]:
        """Modules that the jobs need beside the suite and what the runs name."""
        return [self.training[0].partition(":")[0]] if self.training else []

    def submit(self, runs: list[GridRun], stop: Stop) -> list[GridRun]:
        """Submit what is in no job yet, and return the runs that are over the user's limit.

        Raises UserError, and KeyboardInterrupt between two calls of sbatch.
        """
        _check_path(self.store.root)
        self.queue.forget()
        found = self._sort_out(runs)
        fresh, covered, after = found.fresh, found.covered, sorted(found.after)
        if not fresh:
            return []
        states = self.store.states([run.run_id for run in fresh])
        probes = canary.choose(fresh, states, self.store.prices(), covered) if self.canaries else []
        room = limits.room(self.cluster, len(fresh) + len(probes))
        self.limit = room.limit
        size = self.cluster.runs_per_job
        fitting = fresh[:max(0, room.jobs - len(probes)) * size]
        if not fitting:
            return fresh
        probes = [run for run in probes if run in fitting]
        configs = [run.config for run in fitting]
        code = snapshot.freeze(self.store.root, configs, self._modules)
        origin = snapshot.origin(self.store.root, configs)
        batches = self.batches(fitting, probes, states, room.largest, origin, batch.new_start(), code)
        for run in fitting:
            self.store.add(run.config)
        self._hand_over(batches, after, stop)
        return fresh[len(fitting):]

    def batches(self, runs: Sequence[GridRun], probes: Sequence[GridRun], states: Mapping[str, RunState],
                largest: int, launch: Origin, start: str, code: Path) -> list[batch.Batch]:
        """The batches for these runs, that of the canaries first; their names have `start`, their jobs run `code`.

        Writes nothing.
        """
        order = self.options.order(0 if self.cluster.gpus else None, launch)
        order = order.model_copy(update={"beat_s": BEAT_S})
        common: dict[str, Any] = {"code": str(code), "minutes": self.cluster.time, "signal_s": self.cluster.signal_s,
                                  "retry": self.options.retry, "training": self.training,
                                  "cluster": slurm_cli.chosen_cluster(self.cluster.extra.get("clusters")),
                                  "studies": tuple(map(str, study.folders()))}
        arrays = batch.split(batch.in_tasks([run.run_id for run in runs], self.cluster.runs_per_job), largest)
        made = [batch.Batch(name=batch.new_name(part, start), kind=batch.Kind.MAIN, tasks=tasks, order=order,
                            at_once=self.cluster.side_by_side,
                            attempts={run_id: states[run_id].attempts for task in tasks for run_id in task}, **common)
                for part, tasks in enumerate(arrays, 1)]
        if probes:
            tasks = tuple((run.run_id,) for run in probes)
            made.insert(0, batch.Batch(name=batch.new_name(0, start), kind=batch.Kind.CANARY, tasks=tasks,
                                       order=order.model_copy(update={"probe": True}),
                                       attempts={run.run_id: states[run.run_id].attempts for run in probes}, **common))
        return made

    def scripts(self, runs: Sequence[GridRun], prices: Mapping[str, float]) -> list[tuple[batch.Batch, str]]:
        """What would be handed to sbatch for these runs: the batches with their scripts. Writes nothing."""
        states = self.store.states([run.run_id for run in runs])
        probes = canary.choose(runs, states, prices) if self.canaries else []
        shown: list[tuple[batch.Batch, str]] = []
        proven: list[str] = []
        previous: list[str] = []
        code = snapshot.place(self.store.root, [run.config for run in runs], self._modules)
        for one in self.batches(runs, probes, states, limits.largest_array(), Origin(), PLANNED, code):
            shown.append((one, batch.script(one, self.store.root, self.cluster, [*proven, *previous])))
            if one.kind == batch.Kind.CANARY:
                proven = ["afterok:CANARIES"]
            elif self.cluster.max_parallel:
                previous = ["afterany:PREVIOUS"]
        return shown

    def _sort_out(self, runs: Sequence[GridRun]) -> Sorted:
        """Which of the runs are to be submitted. Raises UserError if the queue cannot be read."""
        submitted = Submitted(self.store, self.queue)
        states = self.store.states([run.run_id for run in runs])
        jobs = submitted.jobs(states)
        if jobs is None:
            raise UserError(f"the queue cannot be read: {self.queue.fault}", "squeue",
                            "nothing was submitted; start again when SLURM answers")
        unseen = self._look_at(submitted, states, jobs)
        states = self.store.states([run.run_id for run in runs])
        found, counts = Sorted(), Counter[str]()
        for run in runs:
            check_folder(self.store.folder(run.run_id))
            mine = jobs.get(run.run_id, ())
            decision = wanted(states[run.run_id], run.config.train.epochs, self.options.selection)
            if run.run_id in unseen or (not mine and decision == Decision.WAIT):
                counts["others"] += 1
            elif mine and {submitted.batches[job.batch].kind for job in mine} != {batch.Kind.CANARY}:
                counts["queued"] += 1
            elif mine or decision == Decision.START:
                found.fresh.append(run)
                found.covered |= {canary.kind(run.config)} if mine else set()
                found.after |= {job.array for job in mine}
        if counts["queued"]:
            self.listener.told(f"{counts['queued']} runs are in the queue already")
        if counts["others"]:
            self.listener.told(f"{counts['others']} runs are left to their owners, who are at work on them")
        return found

    def _look_at(self, submitted: Submitted, states: Mapping[str, RunState],
                 jobs: Mapping[str, Sequence[Job]]) -> set[str]:
        """Bring the records up to date with the queue. Returns the runs of jobs that it has not shown yet."""
        there = {job.batch: job.label for some in jobs.values() for job in some}
        self._find_interrupted(submitted, states, there)
        for name in there:
            batch.note_seen(self.store.root, name)
        unseen = submitted.unseen(states, jobs)
        for note in sorted(set(unseen.values())):
            self.listener.told(f"{note}; start again in a few minutes")
        self._bury(submitted, states, jobs)
        return set(unseen)

    def _find_interrupted(self, submitted: Submitted, states: Mapping[str, RunState], there: Mapping[str, str]) -> None:
        """Finish the records of submissions that were interrupted: what is in the queue belongs to them."""
        for name in dict.fromkeys(name for run_id in states for name in submitted.of_run.get(run_id, ())):
            if batch.job_of(self.store.root, name) is None:
                number = there.get(name, "").partition("_")[0]
                batch.settle(self.store.root, name, number, submitted.batches[name].cluster)
                if number:
                    self.listener.told(f"job {number} belongs to a submission that was interrupted; it is kept")

    def _bury(self, submitted: Submitted, states: Mapping[str, RunState], jobs: Mapping[str, Any]) -> None:
        """Say how runs ended whose job has left the queue without a word."""
        gone = {run_id: label for run_id, state in states.items() if state.name in (State.CLAIMED, State.LOST)
                and run_id not in jobs and (label := submitted.holder(run_id))}
        before = {run_id: _beats(self.store, run_id) for run_id in gone}
        if gone:
            time.sleep(STILL_S)
        for run_id, label in gone.items():
            if _beats(self.store, run_id) != before[run_id]:
                continue  # it lives, whatever the queue says
            reason, words = epitaph(submitted.log_of(label))
            attempt.end_for_job(self.store.folder(run_id), label, State.FAILED, reason,
                                f"job {label} left the queue without a word{': ' if words else ''}{words}")

    def _hand_over(self, batches: Sequence[batch.Batch], after: Sequence[str], stop: Stop) -> None:
        """Submit the batches in order. The canaries must succeed first; arrays that share `max_parallel` take turns."""
        proven = [f"afterok:{job}" for job in after]
        previous: list[str] = []
        for number, one in enumerate(batches):
            if stop.asked:
                self.listener.told(f"stopped after {number} of {len(batches)} arrays; those run")
                raise KeyboardInterrupt
            record = one.write(self.store.root)
            text = batch.script(one, self.store.root, self.cluster, [*proven, *previous])
            atomic.create(record.with_suffix(".sh"), text.encode(), atomic.nobody())
            accepted = self._sbatch(one, record, number)
            job = self._settled(one, record, accepted)
            self.handed_over += 1
            is_canary = one.kind == batch.Kind.CANARY
            what = "canaries, for which the others wait" if is_canary else f"jobs, {len(one.runs)} runs"
            on = f" on {accepted.cluster}" if accepted.cluster else ""
            self.listener.told(f"submitted job {job or 'of a number that is not known'}{on}: {len(one.tasks)} {what}")
            if not job and number + 1 < len(batches) and (is_canary or self.cluster.max_parallel):
                raise UserError("sbatch accepted an array and did not give its number, which the others wait for",
                                str(record), "start again when `squeue` shows it; nothing is submitted twice")
            if is_canary:
                proven.append(f"afterok:{job}")
            elif self.cluster.max_parallel:
                previous = [f"afterany:{job}"]

    def _settled(self, one: batch.Batch, record: Path, accepted: Accepted) -> str:
        """The number of the array, looked for in the queue; "" if neither sbatch nor the queue says it.

        Raises UserError if another start has given this submission up.
        """
        shown = self._look_for(one.name, accepted)
        number = accepted.number or shown
        if not number:
            return ""
        if batch.settle(self.store.root, one.name, number, accepted.cluster) != number:
            cancel_labels([number], accepted.cluster)
            raise UserError("another start of the same runs has just given this submission up", str(record),
                            f"job {number} was cancelled; see `status`")
        if shown:
            batch.note_seen(self.store.root, one.name)
        else:
            self.listener.told(f"job {number} was accepted, and the queue does not show it yet: what it does is not "
                               "known")
        return number

    def _look_for(self, name: str, accepted: Accepted) -> str:
        """The number under which the queue shows a batch that was just accepted; "" if it does not in LOOK_FOR_S.

        A short job may be over already, so every state counts.
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
        """Call sbatch, and return what it says. Raises UserError in its words."""
        try:
            return slurm_cli.sbatch(record.with_suffix(".sh"), one.cluster)
        except SlurmError as error:
            if not error.unsure:
                _forget(record)
            if error.missing:
                raise UserError("there is no SLURM on this machine: sbatch is not found", "--executor slurm",
                                "run this on a login node of the cluster") from None
            if "did not end" in str(error):
                raise UserError(f"sbatch did not answer within {SUBMIT_S:g} s", "sbatch", "start again: what it has "
                                "accepted is found, and nothing is submitted twice") from None
            so_far = f"{before} arrays were submitted before; " if before else "nothing was submitted; "
            raise UserError(f"sbatch refused the jobs: {error}", "sbatch",
                            f"{so_far}mend the options or the cluster: file, and start again. `plan --executor slurm` "
                            "shows the script") from None


def _check_path(root: Path) -> None:
    """Raises UserError for a path that PYTHONPATH cannot hold: jobs would run other code than the copy."""
    if os.pathsep in str(root.absolute()):
        raise UserError(f"the store's path has a {os.pathsep!r} in it, which would split the PYTHONPATH that "
                        "leads jobs to their code", str(root.absolute()), "name another store with --store")


def _forget(record: Path) -> None:
    for suffix in (".json", ".sh"):
        record.with_suffix(suffix).unlink(missing_ok=True)


def _beats(store: Store, run_id: str) -> attempt.Pulse | None:
    tenure = attempt.latest(store.folder(run_id))
    return tenure.pulse if tenure else None
