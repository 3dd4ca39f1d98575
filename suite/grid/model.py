"""An expanded grid: its runs, their labels, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.grid.grammar import Expect


def check_names(grids: Sequence[Grid]) -> None:
    """Raises UserError if two grids have the same name in any letter case, since reports are named after grids."""
    first: dict[str, Grid] = {}
    for grid in grids:
        if other := first.get(grid.name.lower()):
            raise UserError(f"two of the grids are named {other.name!r}, and their reports would replace each other",
                            f"{other.path}, {grid.path}", "rename one of them, or give one at a time")
        first[grid.name.lower()] = grid


@dataclass(frozen=True)
class GridRun:
    """A run of a grid. `labels` has the label of its value on each axis."""

    config: RunConfig
    run_id: str
    labels: dict[str, str]

    @property
    def name(self) -> str:
        """Its labels and seed, for a reader."""
        return " ".join([*self.labels.values(), f"seed {self.config.seed}"])


@dataclass(frozen=True)
class Excluded:
    """A combination (all its seeds) that is left out, and why."""

    labels: dict[str, str]
    reason: str


@dataclass(frozen=True)
class Grid:
    """An expanded grid.

    runs: in order, the seeds innermost. axes: the labels of each axis, in order. changes: the `--set`, `--only` and
    `--seeds` of the command line, which a report must mention. left_out: runs that `--only` leaves out. resized:
    settings of the grid's own file that the profile replaced, with their places. zipped: axes that vary together, with
    their number of steps. places: where the grid names user code, by (name, ""), and its arguments, by (name, key).
    usual_profile: the profile that applies if the command line names none.
    """

    name: str
    title: str
    path: Path
    profile: str
    runs: tuple[GridRun, ...]
    excluded: tuple[Excluded, ...]
    axes: dict[str, list[str]]
    seeds: tuple[int, ...]
    expect: Expect = Expect()
    changes: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    left_out: tuple[GridRun, ...] = ()
    zipped: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    usual_profile: str = "paper"

    @property
    def whole(self) -> Grid:
        """The grid including the runs that `--only` leaves out."""
        return replace(self, runs=(*self.runs, *self.left_out), left_out=())

    @property
    def factors(self) -> list[tuple[int, str]]:
        """The factors of the number of runs: the number of labels of each axis. Axes that vary together count once."""
        found: dict[str, int] = {}
        for axis, labels in self.axes.items():
            names = next((names for names in self.zipped if axis in names), (axis,))
            found[" with ".join(names)] = self.zipped.get(names, len(labels))
        return [(count, name) for name, count in found.items()]

    @property
    def combinations(self) -> list[dict[str, str]]:
        """The labels of all combinations of the file, including those that `--only` or `exclude` leave out."""
        return [*(run.labels for run in self.whole.runs), *(out.labels for out in self.excluded)]
