"""Progress bars of long preparations, on a terminal and within `shown` only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_shown: ContextVar[Any] = ContextVar("shown", default=None)


@contextmanager
def shown() -> Iterator[None]:
    """A context in which preparations show their bars on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        token = _shown.set(progress)
        try:
            yield
        finally:
            _shown.reset(token)


def track(items: Iterable[T], about: str, total: int | None = None) -> Iterator[T]:
    """The items, with a progress bar if bars are shown. `total`: their number, if they have no length."""
    progress = _shown.get()
    if progress is None:
        yield from items
        return
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    task = progress.add_task(about, total=count)
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.remove_task(task)
