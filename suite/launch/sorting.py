"""Selects the runs to submit: those without a job in the queue and without an owner. Updates the records first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.files.counted import counted
from suite.launch import batch, canary, endings, failed_starts
from suite.launch.batch import Batch
from suite.launch.cluster import Cluster
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
    """The runs to submit (`fresh`). `covered`: kinds with a canary in the queue, and the label of its job."""

    fresh: list[GridRun] = field(default_factory=list)
    covered: dict[canary.Kind, str] = field(default_factory=dict)


def sort_out(runs: Sequence[GridRun], submitted: Submitted, options: Options, cluster: Cluster,
             listener: Listener) -> Sorted:
    """Returns the runs to submit. Raises UserError if the queue cannot be read."""
    store = submitted.store
    states = store.states([run.run_id for run in runs])
    jobs = submitted.jobs(states)
    if jobs is None:
        raise UserError(f"the queue cannot be read: {submitted.queue.fault}", "squeue",
                        "nothing was submitted; try again when SLURM answers")
    accepted = _update_records(submitted, states, jobs, listener.message)
    states = store.states([run.run_id for run in runs])
    found, counts = Sorted(), Counter[str]()
    for run in runs:
        check_folder(store.folder(run.run_id))
        mine = jobs.get(run.run_id, ())
        decision = wanted(states[run.run_id], run.config.train.epochs, options.selection)
        probe = next((job for job in mine if submitted.batches[job.batch].kind == batch.Kind.CANARY), None)
        if run.run_id in accepted or (not mine and decision == Decision.WAIT):
            counts["others"] += 1
        elif mine and any(submitted.batches[job.batch].kind == batch.Kind.MAIN for job in mine):
            counts["queued"] += 1
        elif mine or decision == Decision.START:
            found.fresh.append(run)
            found.covered |= {canary.kind(run.config): probe.label} if probe else {}
    if counts["queued"]:
        listener.message(f"{counted(counts['queued'], 'run is', 'runs are')} already in the queue")
    if counts["others"]:
        listener.message(f"{counted(counts['others'], 'run is', 'runs are')} being computed elsewhere, and left "
                         "alone")
    for line in other_options(submitted, jobs, cluster):
        listener.message(line)
    return found


def other_options(submitted: Submitted, jobs: Mapping[str, Sequence[Job]], cluster: Cluster) -> list[str]:
    """Returns messages about runs in pending jobs that were submitted with other options."""
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


def catch_up(run_ids: Sequence[str], store: Store, report: Callable[[str], None]) -> None:
    """Record the end of jobs that did not record it themselves, if the queue can be read.

    This is needed so that `retry --reason` selects by the states that `status` shows.
    """
    if not (store.root / batch.FOLDER).is_dir():
        return
    submitted, states = Submitted(store), store.states(run_ids)
    if (jobs := submitted.jobs(states)) is not None:
        _update_records(submitted, states, jobs, report)


def _update_records(submitted: Submitted, states: Mapping[str, RunState], jobs: Mapping[str, Sequence[Job]],
             report: Callable[[str], None]) -> set[str]:
    """Update the records from the queue. Returns the runs whose accepted jobs are not in the queue yet."""
    listed = {job.batch: job.label for some in jobs.values() for job in some}
    _find_interrupted(submitted, states, listed, report)
    for name in listed:
        batch.note_in_queue(submitted.store.root, name)
    not_yet = submitted.not_in_queue_yet(states, jobs)
    for note in sorted(set(not_yet.values())):
        report(f"{note}; try again in a few minutes")
    endings.record_endings(submitted, states, jobs)
    failed_starts.note(submitted, states, jobs, report)
    return set(not_yet)


def _find_interrupted(submitted: Submitted, states: Mapping[str, RunState], listed: Mapping[str, str],
                      report: Callable[[str], None]) -> None:
    """Complete the records of interrupted submissions with the job ids in the queue."""
    for name in dict.fromkeys(name for run_id in states for name in submitted.of_run.get(run_id, ())):
        if submitted.record(name) is None:
            number = listed.get(name, "").partition("_")[0]
            batch.settle(submitted.store.root, name, number, submitted.batches[name].cluster)
            if number:
                report(f"job {number} belongs to an interrupted submission, and is kept")
