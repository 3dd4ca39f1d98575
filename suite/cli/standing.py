"""The newest and the best value of a run's metric so far, from its files. Unchanged files are not read again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from suite.config.rows import Row
from suite.errors import UserError
from suite.grid.model import GridRun
from suite.report.metric import Direction, Metric, metric
from suite.store.store import Store

FILES = ("result.json", "metrics.jsonl")
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Point:
    """A value, in the metric's unit, and its epoch."""

    value: float
    epoch: int


@dataclass(frozen=True)
class Standing:
    """The newest and the best value of the metric that selects a run's best epoch."""

    metric: Metric
    newest: Point
    best: Point

    @property
    def values(self) -> str:
        """`28.80 %, best 31.20 at epoch 4`."""
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        return (f"{self.metric.format(self.newest.value)}{unit}, best {self.metric.format(self.best.value)} "
                f"at epoch {self.best.epoch}")

    @property
    def words(self) -> str:
        """`validation accuracy 28.80 %, best 31.20 at epoch 4`."""
        return f"{self.metric.words} {self.values}"

    def as_json(self) -> dict[str, object]:
        """The content of `status --json`, in the metric's `unit`."""
        return {"metric": self.metric.name, "unit": self.metric.unit, "newest": vars(self.newest),
                "best": vars(self.best)}


class Standings:
    """Standings of the runs of a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, tuple[tuple[Stamp | None, ...], Standing | None]] = {}

    def of(self, run: GridRun) -> Standing | None:
        """The standing of a run. None before its first epoch, or without such a metric."""
        stamp = tuple(self._stamp(run, name) for name in FILES)
        known = self._known.get(run.run_id)
        if known is None or known[0] != stamp:
            rows = self.store.rows(run.run_id) if any(stamp) else []
            known = self._known[run.run_id] = stamp, standing(run, rows)
        return known[1]

    def _stamp(self, run: GridRun, name: str) -> Stamp | None:
        try:
            found = (self.store.folder(run.run_id) / name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def standing(run: GridRun, rows: list[Row]) -> Standing | None:
    """The newest and the best of these rows."""
    direction, _, name = (run.config.train.select or "").partition(" ")
    better: Direction = "max" if direction == "max" else "min"
    try:
        shown = metric(name, "train.select", direction=better)
    except UserError:
        return None
    points = [Point(float(row[name]) * shown.factor, int(row["epoch"])) for row in rows
              if isinstance(row.get(name), int | float) and math.isfinite(row[name])]
    if not points:
        return None
    choose = max if better == "max" else min
    return Standing(shown, points[-1], choose(points, key=lambda point: point.value))
