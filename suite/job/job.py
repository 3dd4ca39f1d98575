"""One attempt at one run. It claims the run folder, continues from the newest intact checkpoint, trains, and writes
rows, checkpoints and at the end the result.

A run that is killed at any instant continues in a later attempt from its newest checkpoint, and its final result has
the same bits.
"""

from __future__ import annotations

import logging
import signal
import statistics
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import torch

from suite import machine
from suite.config.rows import Row
from suite.errors import UserError
from suite.job import checkpoint
from suite.job.checkpoint import Checkpoint
from suite.job.ending import Ending, failure
from suite.job.heartbeat import Heartbeat
from suite.job.order import Order
from suite.job.session import Session, prepare
from suite.job.stop import Stop
from suite.own import fault
from suite.store.attempt import Attempt, Overtaken, claim
from suite.store.folder import check_folder, encode_rows
from suite.store.migrate import SCHEMA
from suite.store.records import Beat, Provenance, Result
from suite.store.state import Reason, RunState, State
from suite.store.store import Store
from suite.train.trajectory import Training, Trajectory

LOG = logging.getLogger(__name__)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
Work = Generator[Trajectory, Row | None, RunState]  # an attempt, as a generator that asks for steps of its trajectory
EARLY_S = 3.0  # a run for which others wait writes its first checkpoint after this time


def run(folder: Path, order: Order, training: Training | None = None, stop: Stop | None = None,
        debug: bool = False) -> RunState:
    """Make one attempt at the run in `folder`. Returns its state afterwards.

    `stop` is checked between steps. Errors become a state, with the traceback in the log; with `debug` they are raised.
    If another process owns the run, nothing is done, and the state names the owner.
    """
    work = attempted(folder, order, training or Training(), stop or Stop(), debug)
    try:
        trajectory = next(work)
        while True:
            try:
                row = trajectory.advance()
            except BaseException as error:  # noqa: BLE001 - the attempt decides what it means
                trajectory = work.throw(error)
            else:
                trajectory = work.send(row)
    except StopIteration as over:
        state: RunState = over.value
        return state


def attempted(folder: Path, order: Order, training: Training, stop: Stop, debug: bool = False) -> Work:
    """The attempt of `run` as a generator. It yields its trajectory when that should `advance`, and is sent the
    resulting row or error. Returns the state of the run."""
    store, attempt, job = Store(folder.parent), None, None
    try:
        check_folder(folder)
        if (state := store.state(folder.name)).name == State.DONE:
            return state
        attempt = claim(folder, order.still, order.launch.job)
        if attempt is None:
            return replace(store.state(folder.name), name=State.CLAIMED)
        with Heartbeat(attempt, order.beat_s) as heart:
            job = Job(prepare(attempt, order, training), stop, heart)
            ending = yield from job.work()
    except Overtaken as error:
        return RunState(State.CLAIMED, detail=str(error))
    except BaseException as error:
        ending = failure(error, job.trajectory.step if job is not None else None)
        if not isinstance(error, UserError) or isinstance(error, fault.OwnError):
            LOG.error(fault.full_text(error))
        if attempt is not None and not _recorded(attempt, ending):
            return RunState(State.CLAIMED, detail="overtaken by another attempt")
        if debug and isinstance(error, fault.OwnError):
            raise (error.__cause__ or error) from None  # for a debugger: the original error, at its place
        if debug or not isinstance(error, Exception):
            raise
    LOG.info(" ".join(f"ended: {ending.state} {ending.reason} {ending.detail}".split()))
    return _state_after(store, folder.name, attempt, ending)


def _state_after(store: Store, run_id: str, attempt: Attempt | None, ending: Ending) -> RunState:
    """The state by the files. If the ending could not be written, as on a full disk, the state by `ending`."""
    state = store.state(run_id)
    newest = attempt is not None and state.attempts == attempt.number
    if newest and state.name not in (State.CLAIMED, State.LOST):
        return state
    return RunState(ending.state, state.epochs, ending.reason, ending.detail, state.attempts)


class Job:
    """A running attempt."""

    def __init__(self, session: Session, stop: Stop, heart: Heartbeat) -> None:
        self.session, self.stop, self.heart = session, stop, heart
        self.attempt, self.order, self.config = session.attempt, session.order, session.config
        self.trajectory = session.trajectory
        self.began = time.monotonic()
        self.outcomes = ""  # the digest of their file

    def work(self) -> Generator[Trajectory, Row | None, Ending]:
        """Train as far as ordered. Returns how it ended. All errors are passed on. For the steps see `attempted`."""
        self._write_record(self.session.record)
        ending = yield from self._train()
        self._write_record(self._closed(ending))
        if self.heart.fault is not None:
            LOG.warning("a heartbeat could not be written: %s", self.heart.fault)
        self.attempt.end(ending.state, ending.reason, ending.detail)
        return ending

    def _train(self) -> Generator[Trajectory, Row | None, Ending]:
        trajectory, epochs, compute = self.trajectory, self.config.train.epochs, self.order.compute
        target = min(compute.until or epochs, epochs)
        start, started = trajectory.step, time.monotonic()
        saved_at = started
        every = min(EARLY_S, compute.checkpoint_s) if self.order.early else compute.checkpoint_s
        self._write_rows()
        while len(trajectory.rows) < target:
            stopped = self._asked_to_stop()
            if stopped:
                self._save()
                return stopped
            row = yield trajectory
            now = time.monotonic()
            self.heart.check()
            self.heart.progress = Beat(
                epoch=len(trajectory.rows), step=trajectory.step, epochs=target,
                steps_per_epoch=trajectory.steps_per_epoch,
                seconds_per_step=(now - started) / max(1, trajectory.step - start) / max(1, len(self.order.stack)))
            if row is not None:
                self._write_rows()
                LOG.info(", ".join(f"{k} {v:.5g}" for k, v in row.items()))
            if now - saved_at >= every:
                self._save()
                saved_at, every = time.monotonic(), compute.checkpoint_s
                if self.order.probe and len(trajectory.rows) < epochs:
                    return Ending(State.PARTIAL, Reason.BUDGET,
                                  f"stopped after its first checkpoint, at step {trajectory.step}")
        self._save()
        if len(trajectory.rows) < epochs:
            return Ending(State.PARTIAL, Reason.BUDGET,
                          f"stopped after epoch {len(trajectory.rows)} of {epochs}, as asked")
        self.attempt.create("result.json", self._result().sealed())
        return Ending(State.DONE)

    def _asked_to_stop(self) -> Ending | None:
        limit = self.order.limit_s
        if limit is not None and time.monotonic() - self.began >= limit:
            return Ending(State.FAILED, Reason.TIMEOUT, f"took more than {limit:g} s; the next start continues")
        if self.heart.cancelled:
            return Ending(State.CANCELLED, detail="stopped by `cancel`; `retry` resumes it")
        if self.stop.asked:
            name = self.stop.last.name if self.stop.last else "the runner"
            return Ending(State.PARTIAL, Reason.INTERRUPTED, f"stopped by {name}; the next start continues from here")
        return None

    def _write_rows(self) -> None:
        self.attempt.write("metrics.jsonl", encode_rows(self.trajectory.rows), durable=False)  # checkpoints have them

    def _save(self) -> None:
        self.outcomes = checkpoint.save_outcomes(self.attempt, self.trajectory.outcomes)
        if self.session.saved != self.trajectory.step:
            record = self.session.record
            content = Checkpoint(self.config.run_id, record.environment, record.mixed, self.trajectory.state())
            checkpoint.save(self.attempt, self.trajectory.step, content)
            self.session.saved = self.trajectory.step

    def _result(self) -> Result:
        rows, record = self.trajectory.rows, self.session.record
        recorded = {"outcomes": self.outcomes} if self.outcomes else {}
        seconds = [row["time/train"] + row["time/eval"] for row in rows if {"time/train", "time/eval"} <= row.keys()]
        return Result(id=self.config.run_id, rows=rows, epochs=len(rows), steps=self.trajectory.step,
                      parameters=self.trajectory.parameters, shape=self.config.shape, attempts=self.attempt.number,
                      seconds_per_epoch=statistics.median(seconds) if seconds else None,
                      threads=record.environment["threads"], device=record.environment["device"], mixed=record.mixed,
                      version=SCHEMA, **recorded)

    def _closed(self, ending: Ending) -> Provenance:
        """The record with how this attempt ended."""
        record = self.session.record
        update: dict[str, object] = {
            "to_step": self.trajectory.step, "wall_s": time.monotonic() - self.began,
            "kernel_backend": self.session.backend(), "ended": ending.state.value,
            "peak_memory_mb": round(machine.peak_memory_mb(), 1)}
        if (replay := getattr(self.trajectory, "replay", None)) is not None:  # a fit and a benchmark have no replay
            update |= {"cuda_graphs": replay.recorded, "steps": replay.why or record.attempts[-1].steps}
        if self.order.device != "cpu":
            update["peak_device_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        attempts = [*record.attempts[:-1], record.attempts[-1].model_copy(update=update)]
        return record.model_copy(update={"attempts": attempts})

    def _write_record(self, record: Provenance) -> None:
        self.session.record = record
        self.attempt.write("provenance.json", record.sealed(), durable=False)


def _recorded(attempt: Attempt, ending: Ending) -> bool:
    """Write how the attempt ended, if possible. Returns False if the attempt has been overtaken."""
    try:
        attempt.end(ending.state, ending.reason, ending.detail)
    except Overtaken:
        return False
    except OSError as error:
        LOG.warning("how it ended could not be written: %s", error)
    return True
