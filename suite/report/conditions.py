"""Conditions (code, device, …) that differ between the runs of a table, and the data of each run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from suite.data import cards
from suite.report.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from suite.config.fields import Data
    from suite.grid.model import Grid, GridRun
    from suite.store.state import RunState

TASK_CONDITIONS = ("prepared data",)  # always differ between the tasks of a row
NO_WARNING = ("cpu", "system")  # listed, but they cause no warning: if they matter, `device` differs as well
Count = tuple[str, int]  # a value, and the number of runs that have it
NAMES = {"kernel_backend": "kernel back end", "passes": "fused passes", "python": "Python", "data": "prepared data",
         "stack": "stacking"}
ABSENT = {"stacking": "alone"}  # the value of a condition that is not recorded, if it has one


def data_words(run: GridRun) -> str:
    """The data of a run: name, variant, and the options that differ from their defaults."""
    return _data_words(run.config.data)


@lru_cache
def _data_words(data: Data) -> str:
    declared = cards.load(data.name).variant(data.variant).options if data.options else {}
    options = ", ".join(f"{key} {value}" for key, value in sorted(data.options.items())
                        if value != declared[key].default)
    return f"{data.name}, variant {data.variant}" + (f" ({options})" if options else "")


def warnings(tables: Iterable[Table], provenance: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One sentence for each condition that differs between the runs of a column or of a row.

    `provenance` has the record of each run by run id. A condition reported for a column is not reported again for its
    rows. A condition that changes with the seed is reported once for the table.
    """
    together: list[str] = []
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    trajectories: dict[str, None] = {}
    for table in tables:
        confounded = _confounded(table, provenance)
        if confounded:
            together.append(_confounding(table, confounded))
        for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
            ids = _with_numbers(cells)
            for what in [*_mixed(ids, provenance, confounded), *_mixed_settings(ids, head)]:
                columns.setdefault(what, []).append(head.label)
            for run_id in ids:
                for change in provenance.get(run_id, {}).get("mixed", ()):
                    trajectories[f"Run {run_id} changed on its way, {change}."] = None
        for name, cells in zip(table.rows, table.cells, strict=True):
            for what in _mixed(_with_numbers(cells), provenance, (*TASK_CONDITIONS, *confounded)):
                rows.setdefault(what, []).append(name)
    reported = {what.partition(":")[0] for what in columns}
    across = {what: names for what, names in rows.items() if what.partition(":")[0] not in reported}
    return [*together, *_sentences(columns, "column"), *_sentences(across, "row"), *trajectories]


def _list(names: Sequence[str]) -> str:
    """`seed and code`, `seed, code and device`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _confounded(table: Table, provenance: Mapping[str, Mapping[str, Any]]) -> dict[str, list[int]]:
    """The conditions that are confounded with the seeds of a table, each with the seeds that have several values.

    These runs cannot show whether a number changes with the seed or with such a condition.
    """
    seeds = {run.run_id: run.config.seed for head in table.heads for run in head.runs}
    ids = {run_id for cells in table.cells for run_id in _with_numbers(cells)}
    found: dict[str, dict[int, Counter[str]]] = {}
    for run_id in ids & seeds.keys() & provenance.keys():
        for name, value in conditions(provenance[run_id]).items():
            found.setdefault(name, {}).setdefault(seeds[run_id], Counter())[value] += 1
    return {name: sorted(seed for seed, values in by_seed.items() if len(values) > 1)
            for name, by_seed in sorted(found.items())
            if name not in (*NO_WARNING, *TASK_CONDITIONS) and _goes_with_seeds(list(by_seed.values()))}


def _goes_with_seeds(values: Sequence[Counter[str]]) -> bool:
    """Whether a condition is constant within each seed but differs between seeds; `values` has its values by seed.

    A minority of the runs of a seed may have another value, if no other seed has it.
    """
    every = {value for counts in values for value in counts}
    nested = len(every) == sum(map(len, values))
    majority = all(2 * max(counts.values()) > sum(counts.values()) for counts in values)
    return len(values) > 1 and len(every) > 1 and majority and (nested or all(len(counts) == 1 for counts in values))


def _confounding(table: Table, confounded: Mapping[str, list[int]]) -> str:
    """`demo: seed and code are confounded.`"""
    inner = [f"runs of the same seed ({', '.join(map(str, seeds))}) also differ in {name}"
             for name, seeds in confounded.items() if seeds]
    return "; ".join([f"{table.name}: {_list(['seed', *confounded])} are confounded", *inner]) + "."


def _with_numbers(cells: Iterable[Cell]) -> list[str]:
    return sorted({run_id for cell in cells if cell.n for run_id in cell.run_ids})


def _mixed(ids: Iterable[str], provenance: Mapping[str, Mapping[str, Any]], left_out: Container[str] = ()) -> list[str]:
    """The conditions that differ between these runs, each with its values; for the code, the number of versions."""
    records = {id(one): one for run_id in ids if (one := provenance.get(run_id)) is not None}  # most are equal
    found = [conditions(record) for record in records.values()]
    names = dict.fromkeys(name for one in found for name in one if name not in NO_WARNING and name not in left_out)
    values = {name: sorted({one.get(name, ABSENT.get(name, "not recorded")) for one in found}) for name in names}
    return [f"code: {len(different)} versions." if name == "code" else f"{name}: {'; '.join(different)}."
            for name, different in values.items() if len(different) > 1]


def _mixed_settings(ids: Iterable[str], head: Head) -> list[str]:
    """Data and numbers of epochs that differ between the runs of a column: such runs must not be compared."""
    wanted = set(ids)
    runs = [run for run in head.runs if run.run_id in wanted and run.config.kind == "train"]
    values = {"data": sorted({data_words(run) for run in runs}),
              "length": sorted({f"{run.config.train.epochs} epochs" for run in runs})}
    return [f"{name}: {'; '.join(different)}." for name, different in values.items() if len(different) > 1]


def _sentences(mixed: Mapping[str, Iterable[str]], place: str) -> Iterable[str]:
    return (f"{', '.join(dict.fromkeys(labels))}: the runs of this {place} differ in {what}"
            for what, labels in mixed.items())


def unreadable(grid: Grid, states: Mapping[str, RunState]) -> list[str]:
    """A sentence for each run whose state is unknown: files of a newer release, or a link in place of a folder."""
    unknown = {run.run_id: states[run.run_id] for run in grid.runs if states[run.run_id].name == "unknown"}
    return [f"Run {run_id} cannot be read: {state.detail}." for run_id, state in unknown.items()]


def conditions(record: Mapping[str, Any]) -> dict[str, str]:
    """The conditions that a run's numbers may depend on, by name: code, device, torch, …"""
    environment = record.get("environment", {})
    return {"code": str(record.get("code", "not recorded"))} | {
        NAMES.get(key, key): "in a stack" if key == "stack" else str(value) for key, value in environment.items()}


def is_stacked(record: Mapping[str, Any]) -> bool:
    """Whether a run was computed in a stack with other runs."""
    return "stack" in record.get("environment", {})


def counted(runs: Iterable[GridRun], provenance: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Count]]]:
    """Each condition with its values and the number of runs that have each value.

    If there are several values, each is listed with the seeds of its runs, to show what changes with the seed.
    """
    seeds = {run.run_id: run.config.seed for run in runs if run.run_id in provenance}
    by_run = {run_id: conditions(provenance[run_id]) for run_id in seeds}
    found: list[tuple[str, list[Count]]] = []
    for name in dict.fromkeys(name for one in by_run.values() for name in one):
        values: dict[str, list[int]] = {}
        for run_id, one in by_run.items():
            values.setdefault(one.get(name, ABSENT.get(name, "not recorded")), []).append(seeds[run_id])
        most_first = sorted(values.items(), key=lambda item: -len(item[1]))
        found.append((name, [(value + (_seeds(used) if len(values) > 1 else ""), len(used))
                             for value, used in most_first]))
    return found


def _seeds(seeds: Iterable[int]) -> str:
    different = [str(seed) for seed in sorted(set(seeds))]
    return f" (seed{'s' * (len(different) > 1)} {', '.join(different)})"
