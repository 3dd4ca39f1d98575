"""Which grids named which runs: a record of each start, in `<store>/launches/`, which is never changed.

`cancel` and `gc` affect only runs that the given grids have started and that no other grid has named.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from suite.errors import UserError
from suite.files import atomic
from suite.files.clutter import files_in
from suite.grid.model import Grid
from suite.store.folder import FROZEN, check_writable
from suite.store.records import StartRecord
from suite.store.store import Store

FOLDER = "launches"
Origin = tuple[str, str]


@dataclass(frozen=True)
class Launch:
    """One start of a grid. runs: all runs that it named, with their labels. starts: the runs that it had to compute.
    sets: the settings of the command line."""

    grid: str
    path: str
    profile: str
    sets: tuple[str, ...]
    runs: Mapping[str, str]
    starts: frozenset[str]

    @property
    def origin(self) -> Origin:
        """The grid: its name and file."""
        return self.grid, self.path

    @property
    def question(self) -> tuple[str, ...]:
        """The grid with all that changes its runs: two starts with equal questions differ only by edits of the file."""
        return (*self.origin, self.profile, *self.sets)


def of_grid(grid: Grid, starts: Collection[str] = ()) -> Launch:
    """A start of the grid as it is now, which has to compute those of its runs that are in `starts`."""
    runs = {run.run_id: run.name for run in grid.runs}
    sets = tuple(change for change in grid.changes if change.startswith(("--set ", "--seeds ")))
    return Launch(grid.name, str(grid.path.resolve()), grid.profile, sets, runs, frozenset(runs) & frozenset(starts))


def record(grids: Sequence[Grid], starts: Collection[str], store: Store) -> None:
    """Write a record of a start that has to compute the runs `starts`, unless an equal one exists.

    Raises UserError if it cannot be written. If nothing starts, that is not an error: no run can be removed from such a
    store. If nothing starts and the store has no records, none is written: the store may be kept with a report.
    """
    folder = store.root / FOLDER
    if not starts and not folder.exists():
        return
    if starts:
        check_writable(store.root)
    elif (store.root / FROZEN).exists():
        return
    try:
        for launch in (of_grid(grid, starts) for grid in grids):
            content = StartRecord(grid=launch.grid, path=launch.path, profile=launch.profile, sets=list(launch.sets),
                                  runs=dict(launch.runs), starts=sorted(launch.starts)).content()
            path = folder / f"{hashlib.sha256(atomic.canonical(content).encode()).hexdigest()[:16]}.json"
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                who = {"host": os.uname().nodename, "user": _user(), "command": sys.argv[:],
                       "when": time.strftime("%Y-%m-%d %H:%M:%S %z")}  # for people; nothing depends on it
                atomic.create(path, atomic.seal({**content, **who}), atomic.nobody())
    except OSError as error:
        if starts:
            raise atomic.explain(error) or error from None


def all_of(store: Store) -> list[Launch]:
    """All starts of this store. Raises UserError if a record cannot be read, since it may protect runs."""
    launches = []
    for path in files_in(store.root / FOLDER, "*.json"):
        try:
            start = StartRecord.read(path)
            launches.append(Launch(start.grid, start.path, start.profile, tuple(start.sets), start.runs,
                                   frozenset(start.starts)))
        except (atomic.Corrupt, OSError) as error:
            raise UserError(f"this record of a start cannot be read: {error}", str(path),
                            "remove it, if the runs of its grid are no longer needed") from None
    return launches


def copy(source: Path, target: Path) -> None:
    """Copy the records of the store `source` that `target` lacks. Raises OSError."""
    for path in files_in(source / FOLDER, "*.json"):
        with suppress(atomic.Corrupt):
            atomic.read_sealed(path)
            if not path.is_symlink() and not (target / FOLDER / path.name).exists():
                (target / FOLDER).mkdir(parents=True, exist_ok=True)
                atomic.create(target / FOLDER / path.name, path.read_bytes(), atomic.nobody())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return str(os.getuid())
