"""The interface for the progress reports of a launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from suite.store.records import Beat
from suite.store.state import RunState

if TYPE_CHECKING:
    from suite.grid.model import GridRun


class Listener(Protocol):
    """Receives the progress of a launch. `ended` is called once for each run, whether or not it was started."""

    def started(self, run: GridRun) -> None:
        """Called when a run has started, and again if it was killed and restarted."""

    def progress(self, run: GridRun, beat: Beat) -> None:
        """Called while a run is active. `beat` has its epoch and step, the target, and seconds per step."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """Called when a run has ended in this launch."""

    def message(self, text: str) -> None:
        """Called with a message for the user."""
