"""Finds out how jobs ended that have left the queue, and how the runs ended that they did not finish.

SLURM keeps an ended job for a while (MinJobAge, 5 minutes by default). Later, only the job's log shows how it ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from suite.launch import slurm_cli
from suite.launch.queue import CANCELLED, Submitted, ended_with, why_ended
from suite.launch.slurm_cli import Row, SlurmError
from suite.store import attempt
from suite.store.state import Reason, RunState, State

STILL_S = 6.0  # a run whose job has left the queue has ended if there is no heartbeat for this many seconds
BROKEN_OFF = ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED")
BY_ITSELF = "NonZeroExitCode"  # SLURM's reason for a FAILED job whose shell exited with a non-zero status


def record_endings(submitted: Submitted, states: Mapping[str, RunState], jobs: Mapping[str, Any]) -> None:
    """Record the end of runs whose job has left the queue without recording it. Takes STILL_S if there are any."""
    gone = {run_id: label for run_id, state in states.items() if state.name in (State.CLAIMED, State.LOST)
            and run_id not in jobs and (label := submitted.holder(run_id))}
    if not gone:
        return
    before = {run_id: _beats(submitted, run_id) for run_id in gone}
    time.sleep(STILL_S)
    rows = remembered(submitted, gone.values())
    for run_id, label in gone.items():
        if _beats(submitted, run_id) != before[run_id]:
            continue  # it is alive, although it is not in the queue
        reason, words = why_ended(submitted.log_of(label))
        if label in rows and rows[label].state == "OUT_OF_MEMORY":
            reason = Reason.OOM
        attempt.end_for_job(submitted.store.folder(run_id), label, State.FAILED, reason,
                            f"job {label} left the queue without recording its end{': ' if words else ''}{words}")


def remembered(submitted: Submitted, labels: Iterable[str]) -> dict[str, Row]:
    """Returns SLURM's records of jobs, by label. Jobs that SLURM no longer shows are left out."""
    names: dict[str, list[str]] = {}
    wanted = {label.partition("_")[0] for label in labels}
    for name in submitted.batches:
        if (record := submitted.record(name)) is not None and record.job in wanted:
            names.setdefault(record.cluster, []).append(name)
    found: dict[str, Row] = {}
    for cluster, some in names.items():
        try:
            rows = slurm_cli.squeue(some, cluster, every_state=True)
        except SlurmError:
            continue
        found |= {f"{row.array}_{row.task}": row for row in rows}
    return found


def was_cancelled(submitted: Submitted, label: str, rows: Mapping[str, Row]) -> bool:
    """Returns whether a user cancelled a job. If SLURM ended it, the log has the reason after `DUE TO`."""
    if (row := rows.get(label)) is not None:
        return row.state == "CANCELLED"
    lines = [line for line in ended_with(submitted.log_of(label)) if CANCELLED.search(line)]
    return bool(lines) and "DUE TO" not in lines[-1]


def broken_off(label: str, rows: Mapping[str, Row]) -> bool:
    """Returns whether the node of a job failed or SLURM ended it, as far as SLURM still shows the job."""
    row = rows.get(label)
    return row is not None and (row.state in BROKEN_OFF or (row.state == "FAILED" and row.reason != BY_ITSELF))


def _beats(submitted: Submitted, run_id: str) -> attempt.Pulse | None:
    tenure = attempt.latest(submitted.store.folder(run_id))
    return tenure.pulse if tenure else None
