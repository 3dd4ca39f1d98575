"""Who hears how a launch goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from suite.store.records import Beat
from suite.store.state import RunState

if TYPE_CHECKING:
    from suite.grid.model import GridRun


class Listener(Protocol):
    """Who hears how a launch goes. `ended` comes once for each run, whether or not it was started."""

    def started(self, run: GridRun) -> None:
        """A run has been given to a slot; again where it was killed and starts again."""

    def progress(self, run: GridRun, beat: Beat) -> None:
        """A run tells epoch, step, steps_per_epoch, epochs (the target) and seconds_per_step."""

    def ended(self, run: GridRun, state: RunState) -> None:
        """Nothing more happens to this run in this launch."""

    def told(self, message: str) -> None:
        """Something that the user should know, in a line."""
