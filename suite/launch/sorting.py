"""Which runs are to be submitted: those without a job in the queue and without an owner. The records are first brought
up to date with the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.launch import batch, canary, endings, failed_starts
from suite.launch.batch import Batch
from suite.launch.cluster import Cluster
from suite.launch.counted import counted
from suite.launch.listener import Listener
from suite.launch.options import Options
from suite.launch.queue import Job, Submitted
from suite.plan.decision import Decision, wanted
from suite.store.folder import check_folder
from suite.store.state import RunState
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun


@dataclass
class Sorted:
    """Runs to submit (`fresh`). `covered`: kinds that have a canary in the queue, with the label of its job."""

    fresh: list[GridRun] = field(default_factory=list)
    covered: dict[canary.Kind, str] = field(default_factory=dict)


def sort_out(runs: Sequence[GridRun], submitted: Submitted, options: Options, cluster: Cluster,
             listener: Listener) -> Sorted:
    """Which of the runs are to be submitted. Raises UserError if the queue cannot be read."""
    store = submitted.store
    states = store.states([run.run_id for run in runs])
    jobs = submitted.jobs(states)
    if jobs is None:
        raise UserError(f"the queue cannot be read: {submitted.queue.fault}", "squeue",
                        "nothing was submitted; start again when SLURM answers")
    unseen = _look_at(submitted, states, jobs, listener.message)
    states = store.states([run.run_id for run in runs])
    found, counts = Sorted(), Counter[str]()
    for run in runs:
        check_folder(store.folder(run.run_id))
        mine = jobs.get(run.run_id, ())
        decision = wanted(states[run.run_id], run.config.train.epochs, options.selection)
        probe = next((job for job in mine if submitted.batches[job.batch].kind == batch.Kind.CANARY), None)
        if run.run_id in unseen or (not mine and decision == Decision.WAIT):
            counts["others"] += 1
        elif mine and any(submitted.batches[job.batch].kind == batch.Kind.MAIN for job in mine):
            counts["queued"] += 1
        elif mine or decision == Decision.START:
            found.fresh.append(run)
            found.covered |= {canary.kind(run.config): probe.label} if probe else {}
    if counts["queued"]:
        listener.message(f"{counted(counts['queued'], 'run is', 'runs are')} in the queue already")
    if counts["others"]:
        listener.message(f"{counted(counts['others'], 'run is', 'runs are')} left to their owners, which compute them "
                         "now")
    for line in other_options(submitted, jobs, cluster):
        listener.message(line)
    return found


def other_options(submitted: Submitted, jobs: Mapping[str, Sequence[Job]], cluster: Cluster) -> list[str]:
    """A line for runs that wait in jobs which were submitted with other options than these."""
    counts: Counter[tuple[str, str]] = Counter()
    for mine in jobs.values():
        waiting = [job for job in mine if job.state == "PENDING"]
        if waiting and (found := _differences(submitted.batches[waiting[-1].batch], cluster)) is not None:
            counts[found] += 1
    return [f"{counted(count, 'run is', 'runs are')} queued with {before}; `cancel`, then `retry`, to use {now}"
            for (before, now), count in counts.items()]


def _differences(one: Batch, cluster: Cluster) -> tuple[str, str] | None:
    if not one.when:  # a batch of an older release does not record its options
        return None
    now = cluster.asked
    keys = [key for key in sorted({*one.asked, *now}) if one.asked.get(key) != now.get(key)]
    return (_words(one.asked, keys), _words(now, keys)) if keys else None


def _words(asked: Mapping[str, Any], keys: Sequence[str]) -> str:
    return " and ".join(f"--{key.replace('_', '-')} {_plain(asked[key])}" if key in asked
                     else f"no --{key.replace('_', '-')}" for key in keys)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(key if one is True else f"{key}={one}" for key, one in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def catch_up(run_ids: Sequence[str], store: Store, tell: Callable[[str], None]) -> None:
    """Record how the jobs of these runs ended that could not say it themselves, as far as the queue can be read.

    So that `retry --reason` finds what `status` shows.
    """
    if not (store.root / batch.FOLDER).is_dir():
        return
    submitted, states = Submitted(store), store.states(run_ids)
    if (jobs := submitted.jobs(states)) is not None:
        _look_at(submitted, states, jobs, tell)


def _look_at(submitted: Submitted, states: Mapping[str, RunState], jobs: Mapping[str, Sequence[Job]],
             tell: Callable[[str], None]) -> set[str]:
    """Bring the records up to date with the queue. Returns the runs whose jobs it has not shown yet."""
    there = {job.batch: job.label for some in jobs.values() for job in some}
    _find_interrupted(submitted, states, there, tell)
    for name in there:
        batch.note_seen(submitted.store.root, name)
    unseen = submitted.unseen(states, jobs)
    for note in sorted(set(unseen.values())):
        tell(f"{note}; start again in a few minutes")
    endings.record_endings(submitted, states, jobs)
    failed_starts.note(submitted, states, jobs, tell)
    return set(unseen)


def _find_interrupted(submitted: Submitted, states: Mapping[str, RunState], there: Mapping[str, str],
                      tell: Callable[[str], None]) -> None:
    """Finish the records of submissions that were interrupted, with the numbers that the queue shows."""
    for name in dict.fromkeys(name for run_id in states for name in submitted.of_run.get(run_id, ())):
        if submitted.record(name) is None:
            number = there.get(name, "").partition("_")[0]
            batch.settle(submitted.store.root, name, number, submitted.batches[name].cluster)
            if number:
                tell(f"job {number} belongs to a submission that was interrupted; it is kept")
