"""The process of a cluster job: `python -m suite.launch.node run RECORD`. It reads the record of its batch and the
`config.json` of its runs, and computes the runs with the local executor.

If it must end before its runs are done, it requeues the job, as long as the job makes progress. Each run then continues
from its newest checkpoint. The batch shell calls `after RECORD CODE` if the process of `run` was killed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suite.config import plugin
from suite.errors import UserError
from suite.files import study
from suite.job.log import to_stdout
from suite.job.stop import Stop
from suite.launch import batch, failing, local, preload, remaining, shell, slurm_cli, starts
from suite.launch.batch import Batch
from suite.launch.options import Options
from suite.launch.queue import BEGINS, WITHOUT_OWNER, why_ended
from suite.launch.slurm_cli import SlurmError
from suite.store import attempt
from suite.store.folder import checkpoints, read_config
from suite.store.records import Beat
from suite.store.state import Reason, RunState, State, one_line
from suite.store.store import Store

if TYPE_CHECKING:
    from suite.grid.model import GridRun
    from suite.train.trajectory import Training

LOG = logging.getLogger("suite.launch.node")  # `__name__` is __main__ in a job
GIVE_UP_AFTER = 3  # starts in a row without progress, after which a job is not requeued
SIGNALS = (signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
SPENT = "SUITE_SPENT_S"  # environment variable: seconds from the start of the job to the start of its process
SLACK_S = 60.0  # SLURM checks time limits twice a minute
OK, FAILED, STOPPED = 0, 1, 143


@dataclass(frozen=True)
class Place:
    """The identity of a job: its array's job id, its index in the array, and how often SLURM has restarted it."""

    array: str
    task: int
    restarts: int

    @property
    def label(self) -> str:
        """The job id as squeue shows it, `<array>_<task>`."""
        return f"{self.array}_{self.task}"

    @classmethod
    def here(cls) -> Place:
        """Read it from the variables that SLURM sets. Raises UserError if they are missing."""
        try:
            return cls(os.environ["SLURM_ARRAY_JOB_ID"], int(os.environ["SLURM_ARRAY_TASK_ID"]),
                       int(os.environ.get("SLURM_RESTART_COUNT", "0")))
        except (KeyError, ValueError):
            raise UserError("this process is not a job of a SLURM array", "SLURM_ARRAY_JOB_ID",
                            "jobs are started by `run --executor slurm`") from None


class Node:
    """A running job. Invariant: `batch` is the batch that this job computes."""

    def __init__(self, record: Path, place: Place) -> None:
        self.record, self.place = record, place
        self.store = Store(record.parent.parent)
        self.batch = batch.read(record)
        self.ids = self.batch.tasks[place.task]
        study.find_modules(map(Path, self.batch.studies))

    def work(self, stop: Stop) -> int:
        """Compute the runs of this job. Returns the exit status: 0 if none failed."""
        number = batch.settle(self.store.root, self.batch.name, self.place.array)
        if number != self.place.array:
            log_line(f"job {self.place.array} does not own this batch" + (f"; job {number} does" if number else ""))
            return OK
        batch.note_in_queue(self.store.root, self.batch.name)
        log_line(f"job {self.place.label}{BEGINS}{socket.gethostname()}, restart {self.place.restarts}")
        self.end_attempts(Reason.KILLED, f"job {self.place.label} was started again (requeued, preempted, or its node "
                           "failed) before the run recorded its end")
        before = self.progress()
        if self.stalled(before):
            return self.give_up(Reason.KILLED, f"job {self.place.label} was started {GIVE_UP_AFTER} times without "
                                "progress")
        self.remember(before)
        # SLURM's signal may not arrive; this timer does not depend on it.
        signal.setitimer(signal.ITIMER_REAL, max(1.0, self.batch.minutes * 60 - self.batch.signal_s - self.spent()))
        runs = self.runs()
        states = self.compute(runs, stop)
        if stop.asked and not remaining.nothing(self.store, self.batch, self.ids):
            return self.stopped(stop, before)
        return self.ended(states)

    def ended(self, states: Mapping[str, RunState]) -> int:
        """Returns the exit status of a job that has finished its work, from the states of its runs."""
        if any(state.name == State.FAILED for state in states.values()):
            return FAILED
        return self.proven(states) if self.batch.kind == batch.Kind.CANARY else OK

    def proven(self, states: Mapping[str, RunState]) -> int:
        """Returns the exit status of a canary: 0, which lets others start, if its run has a checkpoint or is done."""
        without = [run_id for run_id in self.ids if self.store.state(run_id).name != State.DONE
                   and not checkpoints(self.store.folder(run_id))]
        for run_id in without:
            state = states.get(run_id) or self.store.state(run_id)  # a cancelled run was not started
            log_line(f"{run_id} has no checkpoint, so the other runs of its kind do not start: {state.label} "
                     f"{state.detail}".strip())
        return FAILED if without else OK

    def runs(self) -> list[GridRun]:
        """The runs to compute, without those that failed in this job or were cancelled since its submission."""
        from suite.grid.model import GridRun

        states = self.store.states(self.ids)
        folders = [self.store.folder(run_id) for run_id, state in states.items()
                   if not remaining.tried(self.batch, run_id, state)]
        configs = [read_config(folder) for folder in folders]
        runs = [GridRun(config, config.run_id, {}) for config in configs]
        return failing.leave_out(self.store, self.batch, runs, self.place.label)

    def compute(self, runs: Sequence[GridRun], stop: Stop) -> dict[str, RunState]:
        """Compute runs with the local executor, with a slot for each GPU of this job. Returns their states by id."""
        order = self.batch.order
        gpus = tuple(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")))
        if order.device != "cpu" and not gpus:
            raise UserError("SLURM gave no GPU to this job", "CUDA_VISIBLE_DEVICES", "check gpus_per_job")
        options = Options(self.store.root, order.compute, jobs=self.batch.at_once,
                          gpus=gpus if order.device != "cpu" else (), probe=order.probe, retry=self.batch.retry,
                          wait=False, max_failures=self.batch.max_failures)
        if len(runs) == 1:
            os.environ[preload.FEW] = "1"
        code = order.launch.model_copy(update={"job": self.place.label, "batch": self.batch.name})
        return local.Runner(self.store, options, Log(), self._training(), code, stop).run(runs)

    def _training(self) -> Training | None:
        if self.batch.training is None:
            return None
        name, keywords = self.batch.training
        made: Training = plugin.load(name, "training")(**keywords)
        return made

    def stopped(self, stop: Stop, before: Mapping[str, int]) -> int:
        """Handle a signal: requeue the job if it makes progress and SLURM has not ended it. Returns the exit status."""
        where = slurm_cli.state_of(self.place.label)
        log_line(f"stopped by {stop.last.name if stop.last else 'a signal'}; SLURM state: {where or 'unknown'}")
        timed_out = self.spent() > self.batch.minutes * 60 - self.batch.signal_s - SLACK_S
        if self.progress() == before and timed_out and where != "PENDING":
            return self.give_up(Reason.TIMEOUT, f"job {self.place.label} reached its time limit of "
                                f"{self.batch.minutes} min without progress")
        if where not in ("RUNNING", ""):  # SLURM has cancelled, requeued or timed out the job
            return STOPPED
        return STOPPED if requeue(self.place.label) else FAILED

    def spent(self) -> float:
        """Seconds since the job started."""
        ticks = attempt.process_start(os.getpid())
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        age = uptime - ticks / os.sysconf("SC_CLK_TCK") if ticks is not None else 0.0
        return float(os.environ.get(SPENT, "0")) + age

    def after(self, code: int) -> int:
        """Record how the process of `run` ended, from its exit status `code`. Requeue the job if the process was killed
        before its runs had ended. Returns the exit status of the job."""
        if remaining.nothing(self.store, self.batch, self.ids):  # a signal arrived while Python was exiting
            return self.ended(self.store.states(self.ids))
        reason, words = why_ended(self.store.root / batch.FOLDER / "logs" / f"{self.place.label}_0_log.out")
        how = words or f"its process ended with exit status {code}"
        self.end_attempts(reason, f"job {self.place.label}: {how}")
        if reason != Reason.KILLED or slurm_cli.state_of(self.place.label) != "RUNNING":
            return code
        now = self.progress()
        if [start.restarts for start in starts.read(self._starts)[-1:]] != [self.place.restarts]:
            self.remember(now)  # it was killed before it could record its start
        if self.stalled(now):
            return self.give_up(reason, f"job {self.place.label} was killed {GIVE_UP_AFTER} times without progress: "
                                f"{how}")
        requeue(self.place.label)
        return code

    def end_attempts(self, reason: Reason, detail: str) -> int:
        """End the attempts of this job that did not record an end. Returns their number."""
        return sum(attempt.end_for_job(self.store.folder(run_id), self.place.label, State.FAILED, reason, detail)
                   for run_id in self.ids)

    def give_up(self, reason: Reason, detail: str) -> int:
        """Mark unfinished runs as failed, with the reason. Returns the exit status."""
        log_line(detail)
        for run_id in self.ids:
            if self.store.state(run_id).name in WITHOUT_OWNER or self._killed(run_id):
                mine = attempt.claim(self.store.folder(run_id), job=self.place.label)
                if mine is not None:
                    with suppress(attempt.Overtaken):
                        mine.end(State.FAILED, reason, detail)
        return FAILED

    def _killed(self, run_id: str) -> bool:
        state = self.store.state(run_id)
        return state.name == State.FAILED and not state.failed_for_good

    def progress(self) -> dict[str, int]:
        """Returns the step of the newest checkpoint of each run: -1 without a checkpoint, -2 if the run has ended."""
        newest = {}
        for run_id in self.ids:
            ended = self.store.state(run_id)
            over = ended.name == State.DONE or ended.failed_for_good
            steps = checkpoints(self.store.folder(run_id))
            newest[run_id] = -2 if over else steps[0][0] if steps else -1
        return newest

    def stalled(self, now: Mapping[str, int]) -> bool:
        """Returns whether the job has made no progress in its last GIVE_UP_AFTER starts. `now`: see `progress`."""
        last = starts.read(self._starts)[-GIVE_UP_AFTER:]
        return len(last) == GIVE_UP_AFTER and all(start.progress == now for start in last)

    def remember(self, progress: Mapping[str, int]) -> None:
        """Record this start."""
        starts.add(self._starts, starts.Start(
            job=self.place.label, restarts=self.place.restarts, host=socket.gethostname(),
            when=time.strftime("%Y-%m-%d %H:%M:%S %z"), progress=dict(progress)))

    @property
    def _starts(self) -> Path:
        return self.record.parent / "logs" / f"{self.place.label}.starts"


class Log:
    """A listener that writes to the job's log."""

    def started(self, run: GridRun) -> None:
        """A run has started."""
        log_line(f"{run.run_id} starts")

    def progress(self, run: GridRun, beat: Beat) -> None:
        """Do nothing: progress is in the run's log."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """A run has ended."""
        log_line(" ".join(f"{run.run_id}: {state.name} {state.reason} {state.detail}".split()))

    def message(self, text: str) -> None:
        """A message of the local executor."""
        log_line(text)


def log_line(text: str) -> None:
    """Write a line to the job's log."""
    LOG.info("%s", text)


def requeue(label: str) -> bool:
    """Requeue this job, which ends it: write everything first. Returns whether SLURM accepted."""
    log_line(f"job {label} will be started again")
    try:
        slurm_cli.requeue(label)
    except SlurmError as error:
        log_line(f"it cannot be started again: {error}")
        return False
    return True


def check_code(batch_: Batch) -> None:
    """Raises UserError if this process does not run the batch's copy of the code: its provenance would be wrong."""
    here, copy = Path(__file__).resolve(), Path(batch_.code).resolve()
    if not here.is_relative_to(copy):
        raise UserError(f"this job runs the code in {here.parents[2]}, not the copy made for it", str(copy),
                        "check PYTHONPATH and the setup: lines, then submit the runs again")


def main(argv: Sequence[str]) -> int:
    """Do `run RECORD` or `after RECORD CODE`. Returns the exit status."""
    to_stdout("%(asctime)s %(message)s")
    try:
        with Stop(*SIGNALS) as stop:
            node = Node(Path(argv[1]), Place.here())
            check_code(node.batch)
            if argv[0] == "after":
                return node.after(int(argv[2]))
            shell.end_with_shell(os.environ.get(shell.SHELL, ""))
            return node.work(stop)
    except (UserError, OSError) as error:
        log_line(f"error: {one_line(error)}")
        return FAILED


if __name__ == "__main__":
    status = main(sys.argv[1:])
    for late in SIGNALS:  # the runs are recorded: ignore signals while Python exits
        signal.signal(late, signal.SIG_IGN)
    sys.exit(status)
