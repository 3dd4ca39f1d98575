"""Conditions that the numbers of a table do not share, and the data that each run sees."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from suite.data import cards
from suite.report.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from suite.config.fields import Data
    from suite.grid.model import Grid, GridRun
    from suite.store.state import RunState

OF_TASKS = ("prepared data",)  # which differ along a row by nature
ONLY_TOLD = ("cpu", "system")  # listed, but no cause for a warning: where it matters, `device` differs too
NAMES = {"kernel_backend": "kernel back end", "python": "Python", "data": "prepared data"}


def data_words(run: GridRun) -> str:
    """The data that a run sees: name, variant, and the options that are not as usual."""
    return _data_words(run.config.data)


@lru_cache
def _data_words(data: Data) -> str:
    usual = cards.load(data.name).variant(data.variant).options if data.options else {}
    options = ", ".join(f"{key} {value}" for key, value in sorted(data.options.items()) if value != usual[key].default)
    return f"{data.name}, variant {data.variant}" + (f" ({options})" if options else "")


def warnings(tables: Iterable[Table], provenance: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One sentence for each condition that the numbers of a column, or of a row, do not share; `provenance` by run id.

    What a column mixes is not told again of the rows across it.
    """
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    trajectories: dict[str, None] = {}
    for table in tables:
        for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
            ids = _with_numbers(cells)
            for what in [*_mixed(ids, provenance), *_mixed_settings(ids, head)]:
                columns.setdefault(what, []).append(head.label)
            for run_id in ids:
                for change in provenance.get(run_id, {}).get("mixed", ()):
                    trajectories[f"Run {run_id} changed on its way, {change}."] = None
        for name, cells in zip(table.rows, table.cells, strict=True):
            for what in _mixed(_with_numbers(cells), provenance, OF_TASKS):
                rows.setdefault(what, []).append(name)
    return [*_sentences(columns, "column"), *_sentences({w: r for w, r in rows.items() if w not in columns}, "row"),
            *trajectories]


def _with_numbers(cells: Iterable[Cell]) -> list[str]:
    return sorted({run_id for cell in cells if cell.n for run_id in cell.run_ids})


def _mixed(ids: Iterable[str], provenance: Mapping[str, Mapping[str, Any]], left_out: Container[str] = ()) -> list[str]:
    """The conditions that differ between these runs, each with its values."""
    records = {id(one): one for run_id in ids if (one := provenance.get(run_id)) is not None}  # most are equal
    told = [conditions(one) for one in records.values()]
    names = dict.fromkeys(name for one in told for name in one if name not in ONLY_TOLD and name not in left_out)
    values = {name: sorted({one.get(name, "not recorded") for one in told}) for name in names}
    return [f"{name}: {'; '.join(there)}." for name, there in values.items() if len(there) > 1]


def _mixed_settings(ids: Iterable[str], head: Head) -> list[str]:
    """Data and lengths that differ between the runs of a column: these are not to be compared with each other."""
    wanted = set(ids)
    runs = [run for run in head.runs if run.run_id in wanted and run.config.kind == "train"]
    values = {"data": sorted({data_words(run) for run in runs}),
              "length": sorted({f"{run.config.train.epochs} epochs" for run in runs})}
    return [f"{name}: {'; '.join(there)}." for name, there in values.items() if len(there) > 1]


def _sentences(mixed: Mapping[str, Iterable[str]], place: str) -> Iterable[str]:
    return (f"{', '.join(dict.fromkeys(labels))}: the runs of this {place} differ in {what}"
            for what, labels in mixed.items())


def unreadable(grid: Grid, states: Mapping[str, RunState]) -> list[str]:
    """A sentence for each run of which nobody can tell how far it is: files of a newer suite, a link for a folder."""
    told = {run.run_id: states[run.run_id] for run in grid.runs if states[run.run_id].name == "unknown"}
    return [f"Run {run_id} cannot be read: {state.detail}." for run_id, state in told.items()]


def conditions(record: Mapping[str, Any]) -> dict[str, str]:
    """The conditions that a run's numbers may depend on, by their name: code, device, torch, …"""
    environment = record.get("environment", {})
    return {"code": str(record.get("code", "not recorded"))} | {
        NAMES.get(key, key): str(value) for key, value in environment.items()}
