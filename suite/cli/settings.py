"""Remarks of `status` on grids that were started with other settings, whose runs it does not show."""

from __future__ import annotations

from collections.abc import Sequence

from suite.errors import UserError
from suite.grid.model import Grid
from suite.store import requests
from suite.store.requests import Launch
from suite.store.store import Store


def remarks(grids: Sequence[Grid], store: Store) -> list[str]:
    """A line for each grid that was started here, but never with the current profile and settings."""
    try:
        launches = requests.all_of(store)
    except UserError:  # `cancel` and `gc` report this error
        return []
    found = []
    for now in (requests.of_grid(grid) for grid in grids):
        others = [launch for launch in launches if launch.origin == now.origin and launch.starts]
        if others and not any(launch.question == now.question or launch.starts & now.runs.keys() for launch in others):
            found.append(_remark(now, others))
    return found


def _remark(now: Launch, others: Sequence[Launch]) -> str:
    known = "; ".join(dict.fromkeys(_words(launch, now.profile) or "none" for launch in others))
    asked = _words(now, now.profile)
    how = f"without {asked}" if asked and known == "none" else "with these settings"
    return f"{now.grid} was started with other settings ({known}); {how}, `status` shows those runs"


def _words(launch: Launch, usual: str) -> str:
    """The settings, and the profile if it is not `usual`."""
    profile = [] if launch.profile == usual else [f"--profile {launch.profile}"]
    return " ".join([*profile, *launch.sets])
