"""The heartbeat of an attempt: a thread that writes the progress of the run once a second, and notices a new owner or
a request to stop."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from suite.store.attempt import Attempt, Overtaken
from suite.store.records import Beat

EVERY_S = 1.0


class Heartbeat:
    """A context manager that writes `progress` to the attempt's beat file. `overtaken` is set if the attempt has lost
    the folder, `cancelled` if it was asked to stop.

    `fault` is the last error of a write. The run continues after it: disks recover, and watchers wait for a while.
    """

    def __init__(self, attempt: Attempt, every_s: float = EVERY_S) -> None:
        self.progress = Beat()
        self.overtaken = self.cancelled = False
        self.fault: OSError | None = None
        self._attempt, self._every_s = attempt, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises Overtaken if the attempt has lost the folder."""
        if self.overtaken:
            self._attempt.check()

    def _work(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + self._every_s
            try:
                self._attempt.beat(self.progress)
                self.cancelled = self._attempt.asked_to_stop
            except Overtaken:
                self.overtaken = True
                return
            except OSError as error:
                self.fault = error
