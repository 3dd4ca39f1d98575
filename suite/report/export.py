"""Export of every finished epoch of every run, with its settings, for other programs.

`runs.csv` and `runs.parquet` have one row per grid, run and epoch: grid, the label of each axis, run_id, seed, state,
epoch, every metric, and every field of the run by dotted name. Trackers are optional (`suite.report.trackers`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from suite.config.compare import settings
from suite.errors import UserError
from suite.files import atomic
from suite.grid.model import Grid, GridRun
from suite.report import trackers
from suite.report.tables.results import FIXED, Results, axis_column, read_results
from suite.report.trackers import Tracker
from suite.store.store import Store


@dataclass(frozen=True)
class Exported:
    """The number of epochs and runs in the tables, and of runs written for each tracker."""

    epochs: int
    runs: int
    tracked: Mapping[Tracker, int]


def export(grids: Sequence[Grid], store: Store, out: Path, to: Sequence[Tracker] = ()) -> Exported:
    """Write the tables into `out`, and the files of each tracker into a subfolder with its name.

    Raises UserError if `out` cannot be written, or if the package of a tracker is not installed.
    """
    states = store.states(dict.fromkeys(run.run_id for grid in grids for run in grid.runs))
    results = [read_results(grid, store, states) for grid in grids]
    table = tidy(grids, results)
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "runs.csv", index=False, lineterminator="\n")
        table.to_parquet(out / "runs.parquet", index=False)
        tracked = {tracker: sum(trackers.write(tracker, grid, one, out / tracker)
                                for grid, one in zip(grids, results, strict=True)) for tracker in to}
    except OSError as error:
        raise atomic.explain(error) or UserError(f"cannot be written: {error.strerror}", str(out),
                                                 "name another folder with --out") from None
    return Exported(len(table), table["run_id"].nunique(), tracked)


def tidy(grids: Sequence[Grid], results: Sequence[Results]) -> pd.DataFrame:
    """One table of all grids. An axis or metric that a grid does not have is missing in its rows."""
    frames = [_frame(grid, one) for grid, one in zip(grids, results, strict=True)]
    table = pd.concat(frames, ignore_index=True)
    axes = dict.fromkeys(axis_column(axis) for grid in grids for axis in grid.axes)
    fields = dict.fromkeys(name for frame in frames for name in frame.attrs["fields"] if name not in axes)
    metrics = sorted({str(name) for name in table} - {"grid", *FIXED, *axes, *fields})
    table = table[["grid", *axes, *FIXED, *metrics, *fields]]
    texts = [name for name in table if table[name].dtype == object]
    return table.astype(dict.fromkeys(texts, "str"))


def _frame(grid: Grid, results: Results) -> pd.DataFrame:
    """The rows of a grid with its name and the fields of each run. `attrs["fields"]` has the names of the fields."""
    runs = {run.run_id: run for run in grid.runs}
    lengths = [stop - start for start, stop in results.spans.values()]
    columns = {name: values for name, values in _fields([runs[run_id] for run_id in results.spans]).items()
               if name not in results.frame}  # an axis may have the name of a field; it is kept
    repeated = {name: np.repeat(values, lengths) for name, values in columns.items()}
    frame = pd.concat([results.frame, pd.DataFrame(repeated, index=results.frame.index)], axis=1)
    frame = frame.astype({name: object for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)})
    frame["grid"] = grid.name
    frame.attrs["fields"] = list(columns)
    return frame


def _fields(runs: Sequence[GridRun]) -> dict[str, np.ndarray]:
    """For each field, one value per run. Fields of measurements are included only if some run is one."""
    known: dict[str, Mapping[str, object]] = {}
    found = []
    for run in runs:
        key = run.config.with_seed(0).canonical
        if key not in known:
            known[key] = settings(run.config)
        found.append(known[key])
    measured = any(run.config.kind == "bench" for run in runs)
    names = dict.fromkeys(name for one in known.values() for name in one if measured or not name.startswith("bench."))
    return {name: _column([one.get(name) for one in found]) for name in names}


def _column(values: Sequence[object]) -> np.ndarray:
    """Numbers with NaN for None; otherwise strings, with JSON for booleans and lists."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float, type(None)} and kinds != {type(None)}:
        return np.array(values, dtype=np.int64 if kinds == {int} else np.float64)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
             for value in values]
    return np.array(texts, dtype=object)
