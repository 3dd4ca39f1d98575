"""Export: every finished epoch of every run, with its settings, for other programs.

`runs.csv` and `runs.parquet` have a row per grid, run and epoch: grid, the label of each axis, run_id, seed, state,
epoch, every metric, and every field of the run by dotted name. Event files for TensorBoard are an extra.
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
from suite.report.places import file_stem
from suite.report.tables.results import FIXED, Results, axis_column, read_results
from suite.store.store import Store


@dataclass(frozen=True)
class Exported:
    """How many epochs and runs the tables have, and of how many runs there are event files."""

    epochs: int
    runs: int
    events: int


def export(grids: Sequence[Grid], store: Store, out: Path, tensorboard: bool) -> Exported:
    """Write the tables into `out`, and with `tensorboard` the event files. Raises UserError."""
    states = store.states(dict.fromkeys(run.run_id for grid in grids for run in grid.runs))
    results = [read_results(grid, store, states) for grid in grids]
    table = tidy(grids, results)
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "runs.csv", index=False, lineterminator="\n")
        table.to_parquet(out / "runs.parquet", index=False)
        written = [_events(grid, one, out / "tensorboard") for grid, one in zip(grids, results, strict=True)
                   if tensorboard]
    except OSError as error:
        raise atomic.explain(error) or UserError(f"cannot be written: {error.strerror}", str(out),
                                                 "name another folder with --out") from None
    return Exported(len(table), table["run_id"].nunique(), sum(written))


def tidy(grids: Sequence[Grid], results: Sequence[Results]) -> pd.DataFrame:
    """One table of all grids. An axis or metric that a grid lacks is missing there."""
    frames = [_frame(grid, one) for grid, one in zip(grids, results, strict=True)]
    table = pd.concat(frames, ignore_index=True)
    axes = dict.fromkeys(axis_column(axis) for grid in grids for axis in grid.axes)
    fields = dict.fromkeys(name for frame in frames for name in frame.attrs["fields"] if name not in axes)
    metrics = sorted({str(name) for name in table} - {"grid", *FIXED, *axes, *fields})
    table = table[["grid", *axes, *FIXED, *metrics, *fields]]
    texts = [name for name in table if table[name].dtype == object]
    return table.astype(dict.fromkeys(texts, "str"))


def _frame(grid: Grid, results: Results) -> pd.DataFrame:
    """The grid's rows with its name, and the fields of each run; `attrs` names those."""
    runs = {run.run_id: run for run in grid.runs}
    lengths = [stop - start for start, stop in results.spans.values()]
    columns = {name: values for name, values in _fields([runs[run_id] for run_id in results.spans]).items()
               if name not in results.frame}  # an axis may be a field, and has its values then
    repeated = {name: np.repeat(values, lengths) for name, values in columns.items()}
    frame = pd.concat([results.frame, pd.DataFrame(repeated, index=results.frame.index)], axis=1)
    frame = frame.astype({name: object for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)})
    frame["grid"] = grid.name
    frame.attrs["fields"] = list(columns)
    return frame


def _fields(runs: Sequence[GridRun]) -> dict[str, np.ndarray]:
    """A value per run for each field; those of measurements only where there are any."""
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
    """Numbers as numbers, with NaN for none; else texts, with true and false, and JSON for lists."""
    kinds = {type(value) for value in values}
    if kinds <= {int, float, type(None)} and kinds != {type(None)}:
        return np.array(values, dtype=np.int64 if kinds == {int} else np.float64)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
             for value in values]
    return np.array(texts, dtype=object)


def _events(grid: Grid, results: Results, out: Path) -> int:
    """An event file per run, `<grid>/<labels>/seed-<n>`, with each metric by epoch; how many were written."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise UserError("the package tensorboard is not installed", "--tensorboard",
                        "pip install 's4d-suite[tensorboard]', or leave the option out") from None
    written = 0
    for run in grid.runs:
        names = sorted(name for name in results.measured[run.run_id] if "/" in name)
        if not names:
            continue
        labels = "-".join(file_stem(label) for label in run.labels.values()) or "run"
        folder = out / file_stem(grid.name) / labels / f"seed-{run.config.seed}"
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()  # TensorBoard would show both
        writer = EventFileWriter(str(folder))
        values = {name: results.series(run.run_id, name) for name in names}
        for i, epoch in enumerate(results.series(run.run_id, "epoch")):
            scalars = [Summary.Value(tag=name, simple_value=float(values[name][i])) for name in names]
            writer.add_event(Event(step=int(epoch), wall_time=float(epoch), summary=Summary(value=scalars)))
        writer.close()
        written += 1
    return written
