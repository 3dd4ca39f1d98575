"""The interface through which a launch reports its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from suite.store.records import Beat
from suite.store.state import RunState

if TYPE_CHECKING:
    from suite.grid.model import GridRun


class Listener(Protocol):
    """Receives the progress of a launch. `ended` is called once for each run, whether or not it was started."""

    def started(self, run: GridRun) -> None:
        """A run has started. Called again if it was killed and starts again."""

    def progress(self, run: GridRun, beat: Beat) -> None:
        """A run is under way: epoch, step, steps_per_epoch, epochs (the target) and seconds_per_step."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """A run is finished in this launch."""

    def message(self, text: str) -> None:
        """A line for the user."""
