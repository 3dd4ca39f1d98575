"""Makes stdin, stdout and stderr usable, however the shell and the environment have set them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

NARROWEST, WIDEST = 20, 1000  # plausible widths of a terminal, in columns


class _Lossy(io.FileIO):
    """A file for which writing never fails."""

    def write(self, data: Any) -> int:
        """Write the data. It is lost on a full disk, or in a pipe without reader."""
        try:
            return super().write(data)
        except OSError:
            return len(data)


def prepare() -> None:
    """Prepare the streams. Call this before anything else opens a file.

    File descriptors 0 to 2 that the shell has closed (`2>&-`) are opened on /dev/null. Otherwise the next opened file
    would get such a number, and the output of libraries would be written to it. Characters that the encoding lacks are
    replaced. Errors when writing to stderr are ignored: a line of progress must not end a run. COLUMNS is removed if it
    is not a plausible width.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
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
    """Flush stdout. If that fails, discard the rest and raise OSError."""
    try:
        sys.stdout.flush()
    except OSError:
        discard()
        raise


def discard() -> None:
    """Discard pending output to stdout, so that the process can exit without an error."""
    with suppress(OSError, ValueError, AttributeError):  # a replaced stream has no file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
