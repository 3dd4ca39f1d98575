"""Conditions that the numbers of a table do not share, and the data that each run sees."""

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

OF_TASKS = ("prepared data",)  # which differ along a row by nature
ONLY_TOLD = ("cpu", "system")  # listed, but no cause for a warning: where it matters, `device` differs too
Count = tuple[str, int]  # a value, and how many runs have it
NAMES = {"kernel_backend": "kernel back end", "passes": "fused passes", "python": "Python", "data": "prepared data",
         "stack": "stacking"}
ABSENT = {"stacking": "alone"}  # what it means that a condition is not recorded, if anything


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

    What a column mixes is not said again of the rows across it. What goes with the seeds of a table is said once.
    """
    together: list[str] = []
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[str]] = {}
    trajectories: dict[str, None] = {}
    for table in tables:
        confounded = _confounded(table, provenance)
        if confounded:
            together.append(_told_apart(table, confounded))
        for head, cells in zip(table.heads, zip(*table.cells, strict=True), strict=True):
            ids = _with_numbers(cells)
            for what in [*_mixed(ids, provenance, confounded), *_mixed_settings(ids, head)]:
                columns.setdefault(what, []).append(head.label)
            for run_id in ids:
                for change in provenance.get(run_id, {}).get("mixed", ()):
                    trajectories[f"Run {run_id} changed on its way, {change}."] = None
        for name, cells in zip(table.rows, table.cells, strict=True):
            for what in _mixed(_with_numbers(cells), provenance, (*OF_TASKS, *confounded)):
                rows.setdefault(what, []).append(name)
    said = {what.partition(":")[0] for what in columns}
    across = {what: names for what, names in rows.items() if what.partition(":")[0] not in said}
    return [*together, *_sentences(columns, "column"), *_sentences(across, "row"), *trajectories]


def _list(names: Sequence[str]) -> str:
    """`seed and code`, `seed, code and device`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _confounded(table: Table, provenance: Mapping[str, Mapping[str, Any]]) -> dict[str, list[int]]:
    """The conditions that go with the seeds of a table, each with the seeds whose runs do not all have one value.

    Whether numbers differ by seed or by such a condition, these runs cannot say.
    """
    seeds = {run.run_id: run.config.seed for head in table.heads for run in head.runs}
    ids = {run_id for cells in table.cells for run_id in _with_numbers(cells)}
    found: dict[str, dict[int, Counter[str]]] = {}
    for run_id in ids & seeds.keys() & provenance.keys():
        for name, value in conditions(provenance[run_id]).items():
            found.setdefault(name, {}).setdefault(seeds[run_id], Counter())[value] += 1
    return {name: sorted(seed for seed, values in by_seed.items() if len(values) > 1)
            for name, by_seed in sorted(found.items())
            if name not in (*ONLY_TOLD, *OF_TASKS) and _goes_with_seeds(list(by_seed.values()))}


def _goes_with_seeds(values: Sequence[Counter[str]]) -> bool:
    """Whether a condition with these values by seed is the same within a seed, and not in all seeds.

    A few runs of a seed may have a value of their own that no other seed has.
    """
    every = {value for one in values for value in one}
    nested = len(every) == sum(map(len, values))
    alike = all(2 * max(one.values()) > sum(one.values()) for one in values)
    return len(values) > 1 and len(every) > 1 and alike and (nested or all(len(one) == 1 for one in values))


def _told_apart(table: Table, confounded: Mapping[str, list[int]]) -> str:
    """`demo: seed and code cannot be told apart.`"""
    inner = [f"runs of seed {', '.join(map(str, seeds))} differ in {name} among themselves, too"
             for name, seeds in confounded.items() if seeds]
    return "; ".join([f"{table.name}: {_list(['seed', *confounded])} cannot be told apart", *inner]) + "."


def _with_numbers(cells: Iterable[Cell]) -> list[str]:
    return sorted({run_id for cell in cells if cell.n for run_id in cell.run_ids})


def _mixed(ids: Iterable[str], provenance: Mapping[str, Mapping[str, Any]], left_out: Container[str] = ()) -> list[str]:
    """The conditions that differ between these runs, each with its values, or how many versions of code there are."""
    records = {id(one): one for run_id in ids if (one := provenance.get(run_id)) is not None}  # most are equal
    told = [conditions(one) for one in records.values()]
    names = dict.fromkeys(name for one in told for name in one if name not in ONLY_TOLD and name not in left_out)
    values = {name: sorted({one.get(name, ABSENT.get(name, "not recorded")) for one in told}) for name in names}
    return [f"code: {len(there)} versions." if name == "code" else f"{name}: {'; '.join(there)}."
            for name, there in values.items() if len(there) > 1]


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
        NAMES.get(key, key): "in a stack" if key == "stack" else str(value) for key, value in environment.items()}


def is_stacked(record: Mapping[str, Any]) -> bool:
    """Whether a run was computed in a stack with others."""
    return "stack" in record.get("environment", {})


def counted(runs: Iterable[GridRun], provenance: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, list[Count]]]:
    """Each condition with its values and how many runs had them; with the seeds of these, if there are several values.

    So a reader sees what goes with a seed.
    """
    seeds = {run.run_id: run.config.seed for run in runs if run.run_id in provenance}
    told = {run_id: conditions(provenance[run_id]) for run_id in seeds}
    found: list[tuple[str, list[Count]]] = []
    for name in dict.fromkeys(name for one in told.values() for name in one):
        values: dict[str, list[int]] = {}
        for run_id, one in told.items():
            values.setdefault(one.get(name, ABSENT.get(name, "not recorded")), []).append(seeds[run_id])
        most_first = sorted(values.items(), key=lambda item: -len(item[1]))
        found.append((name, [(value + (_seeds(there) if len(values) > 1 else ""), len(there))
                             for value, there in most_first]))
    return found


def _seeds(seeds: Iterable[int]) -> str:
    different = [str(seed) for seed in sorted(set(seeds))]
    return f" (seed{'s' * (len(different) > 1)} {', '.join(different)})"
