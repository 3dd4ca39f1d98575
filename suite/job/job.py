"""One attempt at one run: the only thing that computes. It claims a run folder, goes on from the newest whole
checkpoint, trains, and leaves rows, checkpoints and at last the result behind.

What is killed at any instant goes on, in a later attempt, from its newest checkpoint, and ends with the same bits.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from suite import machine
from suite.errors import UserError
from suite.files import atomic
from suite.job import checkpoint
from suite.job.ending import Ending, failure
from suite.job.heartbeat import Heartbeat
from suite.job.order import Order
from suite.job.stop import Stop
from suite.store import provenance
from suite.store.attempt import Attempt, Overtaken, claim
from suite.store.folder import check_folder, encode_rows, read_config, read_result, read_rows
from suite.store.migrate import SCHEMA
from suite.store.state import RunState
from suite.store.store import Store
from suite.train import device
from suite.train.mode import Mode
from suite.train.trajectory import Training

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


def run(folder: Path, order: Order, training: Training | None = None, stop: Stop | None = None,
        debug: bool = False) -> RunState:
    """Make one attempt at the run in `folder`, and say how far it is now.

    `stop` is asked between steps. Errors become a state, with the traceback on stderr; with `debug` they are raised.
    Where somebody else owns the run, nothing is done, and the state says who does.
    """
    store, attempt = Store(folder.parent), None
    try:
        check_folder(folder)
        if (state := store.state(folder.name)).name == "done":
            return state
        attempt = claim(folder, order.still, str(order.launch.get("job", "")))
        if attempt is None:
            return replace(store.state(folder.name), name="claimed")
        with Heartbeat(attempt) as heart:
            job = Job(attempt, order, training or Training(), stop or Stop(), heart)
            ending = job.work()
            job.close(ending)
    except Overtaken as error:
        return RunState("claimed", detail=str(error))
    except BaseException as error:
        ending = failure(error)
        if not isinstance(error, UserError):
            log(traceback.format_exc())
        if attempt is not None and not _recorded(attempt, ending):
            return RunState("claimed", detail="overtaken by another attempt")
        if debug or not isinstance(error, Exception):
            raise
    log(" ".join(f"ended: {ending.state} {ending.reason} {ending.detail}".split()))
    state = store.state(folder.name)
    said = attempt is not None and state.attempts == attempt.number and state.name not in ("claimed", "lost")
    # Where the disk is full, nobody but the caller hears how it ended.
    return state if said else RunState(ending.state, state.epochs, ending.reason, ending.detail, state.attempts)


class Job:
    """An attempt under way. Invariant: `saved` is the step of the newest checkpoint that is whole, -1 without one."""

    def __init__(self, attempt: Attempt, order: Order, training: Training, stop: Stop, heart: Heartbeat) -> None:
        self.attempt, self.order, self.training, self.stop, self.heart = attempt, order, training, stop, heart
        self.began = time.monotonic()
        self.saved = -1
        self.record: dict[str, Any] = {}

    def work(self) -> Ending:
        """Train as far as ordered. Raises whatever goes wrong."""
        self._mend()
        self.config = read_config(self.attempt.folder)
        restored = checkpoint.newest(self.attempt, log)
        old = Store(self.attempt.folder.parent).provenance(self.attempt.folder.name) or {}
        first = (restored or old).get("environment", {})
        threads = int(first.get("threads", self.order.threads))
        if self.config.kind == "bench":
            threads = self.config.bench.threads
        place = device.settle(threads, self.order.device, self.order.compile)
        data = self.training.load(self.config)
        self.trainer = self.training.make(self.config, data, place, self.order.compile, self.order.recompute)
        if restored is not None:
            self.trainer.restore(restored["trainer"])
            self.saved = self.trainer.step
        elif read_rows(self.attempt.folder)[0]:  # of a run that was brought here without its checkpoints
            kept = self.attempt.set_aside("metrics.jsonl", "earlier")
            log(f"no checkpoint has what metrics.jsonl tells; it is now {kept}, and the run begins anew")
        self._remember(old, restored, threads, data)
        log(f"attempt {self.attempt.number} at {self.config.run_id} from step {self.trainer.step}, "
            f"{time.strftime('%Y-%m-%d %H:%M:%S')}, process {os.getpid()}, {threads} threads on {place}")
        return self._train()

    def close(self, ending: Ending) -> None:
        """Leave the record of this attempt, and how it ended."""
        self._remember_end(ending)
        if self.heart.fault is not None:
            log(f"a heartbeat could not be written: {self.heart.fault}")
        self.attempt.end(ending.state, ending.reason, ending.detail)

    def _mend(self) -> None:
        """Set damaged files aside. What they held is in the checkpoints."""
        folder = self.attempt.folder
        reads = {"result.json": read_result, "provenance.json": lambda f: atomic.read_sealed(f / "provenance.json")}
        for name, read in reads.items():
            try:
                read(folder)
            except FileNotFoundError:
                continue
            except atomic.Corrupt as error:
                log(f"{error}; it is now {self.attempt.set_aside(name)}")
        problem = read_rows(folder)[1]
        if problem:
            log(f"{problem}; it is now {self.attempt.set_aside('metrics.jsonl')}")

    def _train(self) -> Ending:
        trainer, epochs = self.trainer, self.config.train.epochs
        target = min(self.order.until or epochs, epochs)
        start, started = trainer.step, time.monotonic()
        saved_at = started
        self._write_rows()
        while len(trainer.rows) < target:
            stopped = self._asked_to_stop()
            if stopped:
                self._save()
                return stopped
            row = trainer.advance()
            now = time.monotonic()
            self.heart.check()
            self.heart.progress = {"epoch": len(trainer.rows), "step": trainer.step, "epochs": target,
                                   "steps_per_epoch": trainer.steps_per_epoch,
                                   "seconds_per_step": (now - started) / max(1, trainer.step - start)}
            if row is not None:
                self._write_rows()
                log(", ".join(f"{k} {v:.5g}" for k, v in row.items()))
            if now - saved_at >= self.order.checkpoint_s:
                self._save()
                saved_at = time.monotonic()
                if self.order.probe and len(trainer.rows) < epochs:
                    return Ending("partial", "budget", f"stopped after its first checkpoint, at step {trainer.step}")
        self._save()
        if len(trainer.rows) < epochs:
            return Ending("partial", "budget", f"stopped after epoch {len(trainer.rows)} of {epochs}, as asked")
        self.attempt.create("result.json", atomic.seal(self._result()))
        return Ending("done")

    def _asked_to_stop(self) -> Ending | None:
        limit = self.order.timeout_s
        if limit is not None and time.monotonic() - self.began >= limit:
            return Ending("failed", "timeout", f"took more than {limit:g} s; the next start goes on from here")
        if self.heart.cancelled:
            return Ending("cancelled", detail="by `cancel`; `retry` goes on from here")
        if self.stop.asked:
            name = self.stop.last.name if self.stop.last else "the runner"
            return Ending("partial", "interrupted", f"stopped by {name}; the next start goes on from here")
        return None

    def _write_rows(self) -> None:
        self.attempt.write("metrics.jsonl", encode_rows(self.trainer.rows), durable=False)  # checkpoints have them too

    def _save(self) -> None:
        if self.saved != self.trainer.step:
            content = {"run_id": self.config.run_id, "environment": self.record["environment"],
                       "mixed": self.record["mixed"], "trainer": self.trainer.state()}
            checkpoint.save(self.attempt, self.trainer.step, content)
            self.saved = self.trainer.step

    def _result(self) -> dict[str, Any]:
        rows = self.trainer.rows
        seconds = [row["time/train"] + row["time/eval"] for row in rows if {"time/train", "time/eval"} <= row.keys()]
        environment = self.record["environment"]
        return {"id": self.config.run_id, "rows": rows, "epochs": len(rows), "steps": self.trainer.step,
                "parameters": self.trainer.parameters, "shape": self.config.shape, "attempts": self.attempt.number,
                "seconds_per_epoch": statistics.median(seconds) if seconds else None,
                "threads": environment["threads"], "device": environment["device"], "mixed": self.record["mixed"],
                "schema": SCHEMA}

    def _remember(self, old: dict[str, Any], restored: dict[str, Any] | None, threads: int, data: Any) -> None:
        """Begin the record of this attempt. A trajectory that starts anew has nothing of the environments before it."""
        graphs = self.order.compile is Mode.GRAPHS  # which change no bit
        compiled = False if graphs else self.order.compile or False
        now = provenance.environment(threads, device.model(self.order.device), self.training.backend(), compiled)
        now["data"] = f"{data.variant} {data.fingerprint[:16]}"
        first, mixed = (restored["environment"], list(restored["mixed"])) if restored else (now, [])
        mixed += [change for change in provenance.differences(first, now) if change not in mixed]
        attempt = {"number": self.attempt.number, "when": time.strftime("%Y-%m-%d %H:%M:%S %z"),
                   "host": os.uname().nodename, "from_step": self.trainer.step, **self.order.launch}
        if graphs:
            attempt["cuda_graphs"] = True
        attempts = [*old.get("attempts", []), attempt]
        self.record = {"environment": first, "mixed": mixed, "code": provenance.code(attempts),
                       "data": {"variant": data.variant, "fingerprint": data.fingerprint},
                       "parameters": self.trainer.parameters, "attempts": attempts}
        self._write_record()

    def _remember_end(self, ending: Ending) -> None:
        memory = {"peak_memory_mb": round(machine.peak_memory_mb(), 1)}
        if self.order.device != "cpu":
            memory["peak_device_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        self.record["attempts"][-1] |= {"to_step": self.trainer.step, "wall_s": time.monotonic() - self.began,
                                        "kernel_backend": self.training.backend(), "ended": ending.state, **memory}
        self._write_record()

    def _write_record(self) -> None:
        self.attempt.write("provenance.json", atomic.seal(self.record), durable=False)


def log(text: str) -> None:
    """A line of the run's log, which is where stdout goes."""
    with suppress(OSError):  # a disk that is full for the log must not hide why the run ends
        print(text, flush=True)


def _recorded(attempt: Attempt, ending: Ending) -> bool:
    """Write how the attempt ended, if that is possible. False where it has been overtaken."""
    try:
        attempt.end(ending.state, ending.reason, ending.detail)
    except Overtaken:
        return False
    except OSError as error:
        log(f"how it ended could not be written: {error}")
    return True
