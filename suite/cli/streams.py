"""stdin, stdout and stderr as the command line needs them, whatever the shell or the environment says."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

NARROWEST, WIDEST = 20, 1000  # columns of a terminal that are believed


class _Lossy(io.FileIO):
    """A file whose writing never fails."""

    def write(self, data: Any) -> int:
        """Write, or lose it on a full disk or a pipe that nobody reads."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Make output possible. To be called before anything else opens a file.

    The numbers 0 to 2 that the shell has closed (`2>&-`) are opened on /dev/null. Otherwise the next file would get
    such a number, and what a library prints would land in it. A sign that the encoding of the output lacks is replaced.
    What cannot be written to stderr is lost, since runs must not end for a line of progress. COLUMNS is removed if it
    is no width.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, so this one
    sys.stdin, sys.stdout, sys.stderr = (
        stream or os.fdopen(number, mode, encoding="utf-8", closefd=False)
        for number, (stream, mode) in enumerate([(sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w")]))
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = io.TextIOWrapper(_Lossy(2, "w", closefd=False), sys.stderr.encoding, line_buffering=True,
                                      write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    columns = os.environ.get("COLUMNS", "")
    if not (columns.isascii() and columns.isdecimal() and NARROWEST <= int(columns[:9]) <= WIDEST):
        os.environ.pop("COLUMNS", None)


def close() -> None:
    """Write what is left in the buffers. Raises OSError if it cannot be written; the rest is thrown away then."""
    try:
        sys.stdout.flush()
    except OSError:
        discard()
        raise


def discard() -> None:
    """Throw away what is still to be written to stdout, so that the end of the process does not fail for it."""
    with suppress(OSError, ValueError, AttributeError):  # a stream that was replaced has no number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
