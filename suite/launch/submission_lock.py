"""A lock on the submissions of a store, so that two launches do not submit the same runs twice. The lock is an attempt
(`suite.store.attempt`) in `<store>/slurm/submission`. It is taken over when its owner is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from suite.errors import UserError
from suite.job.stop import Stop
from suite.launch import batch
from suite.launch.listener import Listener
from suite.store import attempt
from suite.store.attempt import Attempt
from suite.store.records import Beat
from suite.store.state import State
from suite.store.store import Store

LOOK_S = 0.5
PATIENCE_S = 300.0  # longer than any call between two renewals


class SubmissionLock:
    """The lock of this process. Call `renew` before each call of sbatch."""

    def __init__(self, own: Attempt) -> None:
        self._own = own

    def renew(self) -> None:
        """Renew the lock. Raises UserError if another launch has taken it over."""
        try:
            self._own.beat(Beat())
        except attempt.Overtaken:
            raise UserError(f"another launch took over this submission, since this one paused for {PATIENCE_S:g} s",
                            "--executor slurm", "see `status`, and try again; nothing is submitted twice") from None


@contextmanager
def submission_lock(store: Store, listener: Listener, stop: Stop) -> Iterator[SubmissionLock]:
    """Wait for the lock, and hold it. Raises KeyboardInterrupt if a stop is requested while waiting; OSError."""
    folder = store.root / batch.FOLDER / "submission"
    folder.mkdir(parents=True, exist_ok=True)
    watch = attempt.Watch(PATIENCE_S)
    still, waits = None, ""
    while (own := attempt.claim(folder, still)) is None:
        tenure = attempt.latest(folder)
        still = watch.still(str(folder), tenure) if tenure else None
        if tenure and waits != tenure.holder:
            waits = tenure.holder
            listener.message(f"waiting: {waits} is submitting runs of this store")
        stop.sleep(LOOK_S)
        if stop.asked:
            raise KeyboardInterrupt
    try:
        yield SubmissionLock(own)
    finally:
        with suppress(attempt.Overtaken, OSError):
            own.end(State.DONE)
