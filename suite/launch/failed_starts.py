"""Jobs that ended before they started any of their runs, e.g. for lack of memory, a failed setup line, or no Python.

Such a job cannot record its end. It is recognized because it has left the queue, has printed something, and none of
its runs has a new attempt. The same may happen to a requeued job, for example if the virtual environment was deleted
in the meantime. `find` only reads; `note` writes the records (`suite.store.start_failure`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from suite.launch import batch
from suite.launch.batch import Batch
from suite.launch.queue import BEGINS, CANCELLED, NODE, TIME, Job, Submitted, ended_with, words_of
from suite.store import attempt, start_failure
from suite.store.start_failure import StartFailure
from suite.store.state import Reason, RunState, State

ERROR = re.compile(r"\b\w*(?:Error|Exception)\b|\berror:|cannot|failed|not found|denied", re.IGNORECASE)
STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* ")  # of lines of the suite
FROM = re.compile(r"^(slurmstepd|slurmd|srun)\S*: (error: )?")
OF_SLURM = re.compile(r"(srun|slurmstepd|slurmd)(-\S+)?: ")
HOME = re.compile(r" +PYTHONHOME = '(.*)'")  # Python prints this, and many more lines, if it finds no modules
AGAIN = re.compile(r"will be started again|is to be started again|DUE TO (JOB REQUEUE|PREEMPTION|NODE FAILURE)")
GONE = re.compile(r".* line \d+: (/.*/python[\d.]*): (No such file or directory|Permission denied)")


def find(submitted: Submitted, states: Mapping[str, RunState],
         jobs: Mapping[str, Sequence[Job]] | None) -> dict[str, StartFailure]:
    """Returns the runs whose last job ended in this way, each with the failure. `jobs`: the jobs in the queue. Empty if
    `jobs` is None."""
    found: dict[str, StartFailure] = {}
    reasons: dict[tuple[str, str], str] = {}  # by batch and job: the same for all runs of a job
    for run_id, state in states.items() if jobs is not None else ():
        if state.is_held or state.name == State.DONE or run_id in (jobs or {}) or run_id not in submitted.newest:
            continue
        over = state.name == State.CANCELLED or state.failed_for_good
        if over and not submitted.retries(submitted.newest[run_id][0], run_id, state):
            continue
        for one in submitted.together(run_id):
            label = submitted.label(one, run_id)
            if label and (one.name, label) not in reasons:
                reasons[one.name, label] = _reason(submitted, one, label, run_id, state)
            if reason := reasons.get((one.name, label)):
                found[run_id] = start_failure.next_of(submitted.store.root, run_id, reason, state.attempts,
                                                      start_failure.here(label))
    return found


def note(submitted: Submitted, states: Mapping[str, RunState], jobs: Mapping[str, Sequence[Job]] | None,
         report: Callable[[str], None]) -> None:
    """Write the records of such failures, and call `report` with a message for each job."""
    alike: dict[tuple[str, str], int] = {}
    for run_id, failure in find(submitted, states, jobs).items():
        known = states[run_id].start or start_failure.read(submitted.store.root, run_id)
        if known is None or known.holder != failure.holder:
            start_failure.record(submitted.store.root, run_id, failure.reason, failure.attempts, failure.holder)
            alike[failure.holder, failure.reason] = alike.get((failure.holder, failure.reason), 0) + 1
    for (holder, reason), count in alike.items():
        report(f"{holder} ended before it started {'its run' if count == 1 else f'any of its {count} runs'}: {reason}")


def _reason(submitted: Submitted, one: Batch, label: str, run_id: str, state: RunState) -> str:
    """Returns why a job did not start its runs, or "" if it started one, was cancelled, or has not started itself."""
    lines = ended_with(submitted.log_of(label))
    later = _later(lines)
    lines = later or lines
    _, text = words_of(lines)
    if not lines or (CANCELLED.search(text) and not NODE.search(text) and not TIME.search(text)):
        return ""
    ids = one.tasks[submitted.task_of[one.name, run_id]]
    others = submitted.store.states(ids) if len(ids) > 1 else {run_id: state}
    begun = any(_began(submitted, one, label, key, other, bool(later)) for key, other in others.items())
    return "" if begun else words(lines)


def _later(lines: Sequence[str]) -> list[str]:
    """Returns what a requeued job printed if it failed before it started a run. Empty without an error in it."""
    again = max((place for place, line in enumerate(lines) if AGAIN.search(line)), default=len(lines))
    own = [line for line in lines[again + 1:] if not OF_SLURM.match(line) and not STAMP.match(line)]
    return list(lines[again + 1:]) if any(ERROR.search(line) or GONE.fullmatch(line) for line in own) else []


def _began(submitted: Submitted, one: Batch, label: str, run_id: str, state: RunState, again: bool) -> bool:
    """Returns whether the job started this run, or another process has started it since. `again`: the job was requeued,
    and runs that it started earlier do not count."""
    probed = one.kind == batch.Kind.MAIN and any(
        other.kind == batch.Kind.CANARY and run_id in other.runs for other in submitted.together(run_id))
    tenure = attempt.latest(submitted.store.folder(run_id)) if state.attempts else None
    if tenure is not None and tenure.job == label:
        return not again
    return state.is_held or state.attempts > one.attempts.get(run_id, 0) + probed


def words(lines: Sequence[str]) -> str:
    """Returns why a job ended, from its log: SLURM's message about memory or time, or the last line about an error.
    Returns "" if the job began and there is no such line."""
    reason, text = words_of(lines)
    if text:
        text = FROM.sub("", text)
        return f"{text}; request more with --memory" if reason == Reason.OOM else text
    for line in lines:
        if match := GONE.fullmatch(line):
            return f"the Python interpreter of the submission cannot be started on the node ({match[2]}): {match[1]}"
        if match := HOME.fullmatch(line):
            return f"Python cannot start: PYTHONHOME={match[1]} has no Python in it; unset PYTHONHOME"
    begun = BEGINS in lines[0]
    plain = [line for line in lines if line.strip() and not OF_SLURM.match(line)] or list(lines)
    errors = [line for line in plain if ERROR.search(line)]
    found = errors or ([] if begun else plain)
    return " ".join(STAMP.sub("", found[-1]).split())[:300] if found else ""
