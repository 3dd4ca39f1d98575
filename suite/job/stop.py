"""Signals that ask to stop only set a flag: a step, a write or a start is not interrupted."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any


class Stop:
    """A context manager in which the signals only increment `asked`. Outside the main thread it has no effect.

    A signal that was ignored remains ignored (`nohup` ignores SIGHUP).
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self.asked = 0
        self.last: signal.Signals | None = None
        self._signals = signals
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def sleep(self, seconds: float) -> None:
        """Wait for the given number of seconds, or until a stop is requested."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        self.last = signal.Signals(number)
