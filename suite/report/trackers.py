"""Export of finished epochs to experiment trackers: TensorBoard, Trackio, Weights & Biases.

Each run of a grid becomes a run of the tracker, named by its labels and seed, with all metrics per epoch. All trackers
except TensorBoard also get the fields of the run. Nothing is sent over a network: the libraries write into a folder, in
their offline modes.
"""

from __future__ import annotations

import datetime
import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from suite.errors import UserError
from suite.report.places import file_stem

if TYPE_CHECKING:  # the command line imports this module for the names of the trackers
    from suite.grid.model import Grid, GridRun
    from suite.report.tables.results import Results
    from suite.store.records import AttemptRecord


class Tracker(StrEnum):
    """A tracker; the value is also the name of its package and of the extra that installs it."""

    TENSORBOARD = "tensorboard"
    TRACKIO = "trackio"
    WANDB = "wandb"


OFFLINE = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_ERROR_REPORTING": "false",
           "WANDB_DISABLE_GIT": "true", "WANDB_DISABLE_CODE": "true", "WANDB_X_DISABLE_STATS": "true"}


@dataclass(frozen=True)
class Tracked:
    """A run as a tracker receives it.

    `rows` has, for each finished epoch, its number, the time of its end and its metrics. Times are seconds since 1970,
    or since the start of the run if the store has no record of when it ran.
    """

    project: str
    labels: tuple[str, ...]
    seed: int
    fields: Mapping[str, Any]
    rows: tuple[tuple[int, float, Mapping[str, float]], ...]

    @property
    def group(self) -> str:
        """The labels, joined to one word that is a valid file name."""
        return "-".join(file_stem(label) for label in self.labels) or "run"

    @property
    def name(self) -> str:
        """The name of the run within its project."""
        return f"{self.group}/seed-{self.seed}"


def write(tracker: Tracker, grid: Grid, results: Results, out: Path) -> int:
    """Write the runs of a grid that have finished an epoch into `out`. Earlier files of these runs are replaced.

    Returns the number of runs.

    Raises UserError if the package is not installed.
    """
    runs = [tracked(grid, run, results) for run in grid.runs
            if any("/" in name for name in results.measured[run.run_id])]
    with _environment(OFFLINE | {"TRACKIO_DIR": str(out.absolute())}):  # Trackio reads it when it is imported
        WRITERS[tracker](_package(tracker), runs, out)
    return len(runs)


def tracked(grid: Grid, run: GridRun, results: Results) -> Tracked:
    """A run with its finished epochs. Values that are not finite are passed on as NaN."""
    from suite.config.compare import settings

    names = sorted(name for name in results.measured[run.run_id] if "/" in name)
    values = {name: results.series(run.run_id, name) for name in names}
    epochs = results.series(run.run_id, "epoch")
    rows = tuple((int(epoch), end, {name: float(values[name][i]) for name in names})
                 for i, (epoch, end) in enumerate(zip(epochs, wall_times(run, results), strict=True)))
    return Tracked(file_stem(grid.name), tuple(map(str, run.labels.values())), run.config.seed,
                   settings(run.config) | {"run_id": run.run_id}, rows)


def wall_times(run: GridRun, results: Results) -> list[float]:
    """The end of each epoch, in seconds: the start of the attempt that computed it plus the measured times since then.

    The time of an attempt before its first step is not recorded, so it is not included.
    """
    record = results.store.provenance(run.run_id)
    attempts = sorted(record.attempts, key=lambda one: one.number) if record else []
    measured = results.measured[run.run_id]
    spent = sum((results.series(run.run_id, name) for name in ("time/train", "time/eval") if name in measured),
                start=0 * results.series(run.run_id, "epoch"))
    steps = results.series(run.run_id, "step") if "step" in measured else spent
    owner: AttemptRecord | None = None
    now, ends = 0.0, []
    for step, seconds in zip(steps, spent, strict=True):
        made = next((one for one in reversed(attempts) if one.from_step < step), None)
        if made is not owner and made is not None and (begun := _seconds(made.when)) is not None:
            owner, now = made, max(now, begun)
        now += float(seconds)
        ends.append(now)
    return ends


def _seconds(when: str) -> float | None:
    try:
        return datetime.datetime.strptime(when, "%Y-%m-%d %H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _package(tracker: Tracker) -> ModuleType:
    try:
        return importlib.import_module(tracker)
    except ImportError:
        option = "--tensorboard" if tracker is Tracker.TENSORBOARD else f"--to {tracker}"
        raise UserError(f"the package {tracker} is not installed", option,
                        f"pip install 's4d-suite[{tracker}]', or leave the option out") from None


def _tensorboard(module: ModuleType, runs: list[Tracked], out: Path) -> None:
    """One event file per run, `<grid>/<labels>/seed-<n>`."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for run in runs:
        folder = out / run.project / run.name
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()  # TensorBoard would show both
        writer = EventFileWriter(str(folder))
        for epoch, time, metrics in run.rows:
            scalars = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
            writer.add_event(Event(step=epoch, wall_time=time, summary=Summary(value=scalars)))
        writer.close()


def _wandb(module: Any, runs: list[Tracked], out: Path) -> None:
    """One folder per run below `<grid>/wandb`, for `wandb sync`."""
    for project in dict.fromkeys(run.project for run in runs):
        shutil.rmtree(out / project, ignore_errors=True)
        (out / project).mkdir(parents=True)
    for run in runs:
        with module.init(project=run.project, name=run.name, group=run.group, config=dict(run.fields), mode="offline",
                         dir=str(out / run.project), reinit="finish_previous") as made:
            for epoch, time, metrics in run.rows:
                made.log({**metrics, "epoch": epoch, "_timestamp": time}, step=epoch)
    module.teardown()


def _trackio(module: Any, runs: list[Tracked], out: Path) -> None:
    """Trackio's own files below `out`. To view them: `TRACKIO_DIR=<out> trackio show`."""
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import TRACKIO_DIR

    if Path(TRACKIO_DIR) != out.absolute():
        raise UserError("Trackio is already in use in this process, with another folder", str(TRACKIO_DIR),
                        "call export in a process of its own")
    out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        SQLiteStorage.delete_run(run.project, run.name)
        SQLiteStorage.bulk_log(
            project=run.project, run=run.name, metrics_list=[dict(metrics) for _, _, metrics in run.rows],
            steps=[epoch for epoch, _, _ in run.rows], config=dict(run.fields),
            timestamps=[datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat() for _, time, _ in run.rows])


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


WRITERS: Mapping[Tracker, Callable[[Any, list[Tracked], Path], None]] = {
    Tracker.TENSORBOARD: _tensorboard, Tracker.TRACKIO: _trackio, Tracker.WANDB: _wandb}
