"""The commands why and logs: the runs of a table cell, with their settings, states, numbers and logs."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from suite.cli.other_requests import CellRequest
from suite.config import plugin
from suite.config.compare import differences, settings, usual
from suite.config.own import named
from suite.errors import UserError, nearest
from suite.files.yaml import one_form
from suite.grid.model import Grid, GridRun
from suite.launch import job_logs
from suite.own import fault
from suite.report.added import with_added
from suite.store.state import State
from suite.store.store import Store
from suite.store.versions import versions


def find_runs(grid: Grid, words: Sequence[str]) -> list[GridRun]:
    """The runs whose labels, task, seed (`seed=1`) or id (at least its first 4 digits) match every word.

    Case is ignored, unless a label is exactly the word: then only that label matches. Raises UserError for a word
    without a match.
    """
    runs = list(grid.runs)
    for word in words:
        word = one_form(word)
        low = word.lower()
        fits = [run for run in runs if word in run.labels.values()] or \
            [run for run in runs if low in _names(run) or (len(word) >= 4 and run.run_id.startswith(low))]
        if not fits:
            excluded = [e for e in grid.excluded if low in [v.lower() for v in e.labels.values()]]
            known = [label for labels in grid.axes.values() for label in labels]
            if excluded and not any(low in _names(run) for run in grid.runs):
                raise UserError(f"{word!r} is excluded: {excluded[0].reason}")
            raise UserError(f"no run of {grid.path} matches {' '.join(map(repr, words))}", "", nearest(word, known))
        runs = fits
    return runs


def _names(run: GridRun) -> set[str]:
    return {*(label.lower() for label in run.labels.values()), run.config.task, f"seed={run.config.seed}"}


def why(grids: Sequence[Grid], request: CellRequest) -> int:
    """Print where the numbers of a cell come from."""
    store = Store(request.store)
    (grid,) = with_added(grids, store)
    runs = find_runs(grid, request.cell)
    cells = _members(runs)
    common = usual(settings(members[0].config) for members in _members(grid.runs).values())
    others = versions([run for members in cells.values() for run in members], store)
    for labels, members in cells.items():
        print(", ".join(f"{axis} {label}" for axis, label in labels) or grid.name)
        _print_differences("the grid's usual settings", settings(members[0].config), common)
        for run in members:
            _print_run(run, store)
            for other in (one for one in others if one.wanted.run_id == run.run_id):
                print(f"      an earlier version of {' and '.join(other.names)}: {other.run_id}  "
                      f"{store.state(other.run_id).label}; since then {'; '.join(other.differences)}")
        print()
    if any(store.state(run.run_id).name != State.TODO for run in runs):
        _print_cells(grid, store, {run.run_id for run in runs})
    return 0


def _members(runs: Iterable[GridRun]) -> dict[tuple[tuple[str, str], ...], list[GridRun]]:
    """The runs of each combination of labels, one per seed."""
    found: dict[tuple[tuple[str, str], ...], list[GridRun]] = {}
    for run in runs:
        found.setdefault(tuple(run.labels.items()), []).append(run)
    return found


def _print_differences(what: str, fields: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    found = [f"{key} = {value} (there: {other})" for key, (value, other) in differences(fields, base).items()]
    print(f"  differs from {what} in: " + (", ".join(found) or "nothing"))


def _print_cells(grid: Grid, store: Store, ids: set[str]) -> None:
    """Print the table cells that show these runs, with the published numbers."""
    from suite.report.document import document_of
    from suite.report.render.detail import cells_of

    document = document_of(grid, store)
    configs = {run.run_id: run.config for run in grid.runs}
    for shown in cells_of(document):
        if not ids & set(shown.cell.run_ids):
            continue
        print(f"table {shown.table.name}, {shown.cell.row}, {shown.cell.column}: {shown.cell.text}")
        print(f"  {shown.what}")
        if shown.base_run:
            _print_differences(f"the row {shown.cell.base}", settings(configs[shown.cell.run_ids[0]]),
                               settings(configs[shown.base_run]))
        for name, text in shown.facts:
            print(f"  {name}: {text}")
        print()


def _print_run(run: GridRun, store: Store) -> None:
    state = job_logs.states([run.run_id], store)[run.run_id]
    folder = store.root / run.run_id
    print(f"  seed {run.config.seed}  {run.run_id}  {state.label}, {state.epochs} of "
          f"{run.config.train.epochs} epochs" + (f": {state.detail}" if state.detail else ""))
    direction, _, metric = (run.config.train.select or "").partition(" ")
    rows = [row for row in store.rows(run.run_id) if metric in row] if state.name != State.UNKNOWN else []
    if rows:
        _print_best(metric, max if direction == "max" else min, rows)
    for own in named(run.config):
        print(f"      {own.name}: {', '.join(f'{k} {v}' for k, v in plugin.parts(own.source).items())}")
    if report := fault.excerpt(folder / "log.txt") if state.name == State.FAILED else "":
        print(textwrap.indent(report, " " * 6))
    for name in ("config.json", "log.txt", "provenance.json"):
        if (folder / name).exists():
            print(f"      {folder / name}")
    if not (folder / "log.txt").exists() and (path := job_logs.of_runs([run.run_id], store).get(run.run_id)):
        print(f"      {path}")


def _print_best(metric: str, best: Callable[[list[float]], float], rows: Sequence[Mapping[str, Any]]) -> None:
    from suite.report.tables.results import number

    values = [number(row[metric]) for row in rows]
    finite = list(filter(math.isfinite, values))
    if finite:
        epoch = rows[values.index(best(finite))]["epoch"]
        print(f"      best {metric} {best(finite):.4f} in epoch {epoch}, last {values[-1]:.4f}")
    if len(finite) < len(values):
        lost = next(row["epoch"] for row, value in zip(rows, values, strict=True) if not math.isfinite(value))
        print(f"      {metric} is not a number in epoch {lost}: the run counts as diverged")


def logs(grids: Sequence[Grid], request: CellRequest) -> int:
    """Print the end of the logs of the chosen runs, newest last."""
    store = Store(request.store)
    (grid,) = with_added(grids, store)
    runs = find_runs(grid, request.cell)
    of_jobs = job_logs.of_runs([run.run_id for run in runs], store)
    found = [(run, store.root / run.run_id / "log.txt") for run in runs]
    found = [(run, path) for run, path in found if path.is_file() and not path.is_symlink()]
    there = {run.run_id for run, _ in found}
    found += [(run, of_jobs[run.run_id]) for run in runs if run.run_id in of_jobs and run.run_id not in there]
    found = sorted(found, key=lambda item: item[1].stat().st_mtime)
    starts = [state.detail for state in job_logs.states([run.run_id for run in runs], store).values()
              if state.start is not None]
    print("\n".join(dict.fromkeys(starts)), end="\n" if starts else "")
    if not found:
        print("these runs have no logs yet")
    for run, path in found:
        print(f"==> {path}  ({', '.join(run.labels.values())}, seed {run.config.seed})")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-request.lines:]))
    return 0
