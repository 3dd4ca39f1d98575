"""What the queue adds to the files: lost runs, the jobs that runs wait for, and runs that will not start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from suite.files.counted import counted
from suite.launch import batch, failed_starts
from suite.launch.queue import WITHOUT_OWNER, Job, Submitted
from suite.store.state import RunState, State

BAD = (State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class Observation:
    """States updated from the queue, and a note about each run that is in a job. `jobs`: None if unknown."""

    states: dict[str, RunState]
    notes: dict[str, str]
    jobs: Mapping[str, Sequence[Job]] | None


def observe(submitted: Submitted, states: Mapping[str, RunState]) -> Observation:
    """Returns the states, updated from the queue. Writes nothing."""
    jobs = submitted.jobs(states)
    now: dict[str, RunState] = {}
    notes: dict[str, str] = {}
    at_work: dict[str, bool] = {}
    for run_id, state in states.items():
        mine = (jobs or {}).get(run_id, [])
        now[run_id] = state
        if mine and (not _ended(state) or submitted.retries(submitted.batches[mine[-1].batch], run_id, state)):
            notes[run_id] = _note(submitted, mine[-1], state, at_work)
        elif state.name == State.CLAIMED and (label := submitted.holder(run_id)):
            if jobs is None:
                notes[run_id] = f"it is unknown whether job {label} is alive: {submitted.queue.fault}"
            else:
                now[run_id] = replace(state, name=State.LOST, progress=None, detail=f"job {label} is no longer in "
                                      "the queue; the next start takes the run over")
        elif jobs is None and run_id in submitted.newest and state.name in WITHOUT_OWNER:
            notes[run_id] = f"it is unknown whether a job is queued for it: {submitted.queue.fault}"
    if jobs is None:
        return Observation(now, notes, jobs)
    for run_id, failure in failed_starts.find(submitted, now, jobs).items():
        now[run_id] = replace(now[run_id], detail=f"{now[run_id].detail}; {failure.last}") \
            if _ended(now[run_id]) else replace(now[run_id], start=failure, detail=failure.words)
    return Observation(now, notes | submitted.not_in_queue_yet(now, jobs), jobs)


def _ended(state: RunState) -> bool:
    """Returns whether a job skips the run, unless it was submitted by `retry`."""
    return state.name in (State.DONE, State.CANCELLED) or state.failed_for_good


def _note(submitted: Submitted, job: Job, state: RunState, at_work: dict[str, bool]) -> str:
    """Returns a note about the job of a run. `at_work`: a cache, whether jobs have an active run, by label."""
    if job.state != "RUNNING" or state.is_held:
        return job.words
    if job.label not in at_work:
        ids = submitted.batches[job.batch].tasks[job.task]
        others = submitted.store.states(ids) if len(ids) > 1 else {}
        at_work[job.label] = any(other.name == State.CLAIMED for other in others.values())
    return f"job {job.label} is running; this run comes later" if at_work[job.label] else f"job {job.label} is starting"


def remarks(submitted: Submitted, found: Observation) -> list[str]:
    """Returns messages on why runs do not start, and what to do: failed canaries, and jobs that left the queue."""
    canaries = failed_canaries(submitted, found.states)
    held = Counter(canary for run_id, behind in _waiting(submitted, found).items() for canary in behind
                   if canary in canaries and canary != run_id)
    lines = [_of_canary(submitted, run_id, canaries[run_id], held[run_id]) for run_id in canaries if held[run_id]]
    gone: Counter[str] = Counter()
    for run_id, behind in _waiting(submitted, found).items():
        number = submitted.number(submitted.newest[run_id][0].name)
        was_there = batch.was_in_queue(submitted.store.root, submitted.newest[run_id][0].name)
        if number and was_there and not canaries.keys() & behind and found.states[run_id].start is None \
                and found.states[run_id].name == State.TODO:
            gone[number] += 1
    return lines + [f"job {number} has left the queue without starting {counted(count, 'run')}: it was cancelled, or "
                    f"see its logs in {submitted.store.root / batch.FOLDER / 'logs'}; the same command submits them "
                    "again" for number, count in gone.items()]


def failed_canaries(submitted: Submitted, states: Mapping[str, RunState]) -> dict[str, RunState]:
    """Returns the canaries that failed, could not start or were cancelled, so that other runs do not start."""
    jobs = submitted.jobs(states)
    waiting = _waiting(submitted, Observation(dict(states), {}, jobs))
    behind = list(dict.fromkeys(run_id for some in waiting.values() for run_id in some))
    known = submitted.store.states(behind)
    for run_id, failure in failed_starts.find(submitted, known, jobs).items():
        known[run_id] = replace(known[run_id], start=failure, detail=failure.words)
    return {run_id: state for run_id, state in known.items()
            if run_id not in (jobs or {}) and (state.name in BAD or state.start is not None)}


def _waiting(submitted: Submitted, found: Observation) -> dict[str, list[str]]:
    """Returns the unfinished runs that are no longer in a job, each with the canaries that it depends on."""
    left = [run_id for run_id, state in found.states.items() if state.name in WITHOUT_OWNER
            and run_id in submitted.newest and run_id not in (found.jobs or {})] if found.jobs is not None else []
    newest = {run_id: submitted.newest[run_id][0] for run_id in left}
    behind = {one.name: submitted.canaries_of(one) for one in {one.name: one for one in newest.values()}.values()}
    return {run_id: behind[one.name] for run_id, one in newest.items()}


def _of_canary(submitted: Submitted, run_id: str, state: RunState, held: int) -> str:
    one = next((one for one in submitted.together(run_id) if one.kind == batch.Kind.CANARY), None)
    label = submitted.label(one, run_id) if one else ""
    job = f" (job {label})" if label else ""
    how = "could not start" if state.start is not None else "was cancelled" if state.name == State.CANCELLED \
        else "failed"
    then = "the same command tries again" if state.start is not None and not state.start.waits else \
        "`retry --reason start` tries again" if state.start is not None else "fix this, then `retry` starts them"
    detail = state.start.reason if state.start is not None else state.detail
    behind = counted(held, "run that depends on it was", "runs that depend on it were")
    return f"the canary {run_id}{job} {how}, so {behind} not started: {detail}; {then}"
