"""Progress of a download: on a terminal a bar with rate and remaining time, else a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 10.0


@contextmanager
def shown(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Yields a function to call with the bytes received and the total (None if unknown). It prints to stderr."""
    if not sys.stderr.isatty():
        yield Lines(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda here, total: progress.update(task, completed=here, total=total)


@contextmanager
def counting(name: str) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of files so far."""
    last = [time.monotonic()]

    def progress(count: int) -> None:
        if time.monotonic() - last[0] >= EVERY_S:
            last[0] = time.monotonic()
            print(f"{name}: {count:,} files", file=sys.stderr, flush=True)

    yield progress


class Lines:
    """Prints the progress of a download, at most every EVERY_S seconds."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, time.monotonic()
        self.begin: tuple[float, int] | None = None

    def __call__(self, here: int, total: int | None) -> None:
        now = time.monotonic()
        if self.begin is None or here < self.begin[1]:
            self.begin = now, here
        if now - self.last >= EVERY_S:
            self.last = now
            print(self.line(here, total, now), file=sys.stderr, flush=True)

    def line(self, here: int, total: int | None, now: float) -> str:
        """The progress in words: `a.tar.gz: 240 of 2,429 MB (10 %), 12.3 MB/s, 3 min left`."""
        since, first = self.begin or (now, here)
        rate = (here - first) / max(now - since, 1e-3)
        if total is None:
            return f"{self.name}: {here / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s"
        left = f", {(total - here) / rate / 60:.0f} min left" if rate else ""
        return (f"{self.name}: {here / 1e6:,.0f} of {total / 1e6:,.0f} MB ({100 * here / max(total, 1):.0f} %), "
                f"{rate / 1e6:.1f} MB/s{left}")
