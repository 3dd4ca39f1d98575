"""The log of a process of the suite: one line per message, to stdout, which is the log file of the run or job."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

ROOT = "suite"


class Lines(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stdout`. A log that cannot be written must not hide why a run ends."""

    def __init__(self, form: str) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        self.stream = sys.stdout
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Do nothing: there is nowhere to report it."""


def to_stdout(form: str = "%(message)s") -> None:
    """Send the suite's log messages to stdout in this format. The last call counts."""
    log = logging.getLogger(ROOT)
    for handler in [handler for handler in log.handlers if isinstance(handler, Lines)]:
        log.removeHandler(handler)
    log.addHandler(Lines(form))
    log.setLevel(logging.INFO)
