"""From a cell of a table back to its runs: settings, states, numbers, attempts and logs."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import Any

from suite.errors import UserError, nearest
from suite.grid import Grid, GridRun
from suite.plan import state_name
from suite.store import Store


def find_runs(grid: Grid, words: Sequence[str]) -> list[GridRun]:
    """The runs whose labels, task, seed (`seed=1`) or id (4 digits at least) fit every word, in any letter case.

    Raises UserError for a word that fits nothing.
    """
    runs = list(grid.runs)
    for word in words:
        low = word.lower()
        fits = [run for run in runs if low in _names(run) or (len(word) >= 4 and run.run_id.startswith(low))]
        if not fits:
            excluded = [e for e in grid.excluded if low in [v.lower() for v in e.labels.values()]]
            known = [label for labels in grid.axes.values() for label in labels]
            if excluded and not any(low in _names(run) for run in grid.runs):
                raise UserError(f"{word!r} is excluded: {excluded[0].reason}")
            raise UserError(f"no run of {grid.path} fits {' '.join(map(repr, words))}", "", nearest(word, known))
        runs = fits
    return runs


def _names(run: GridRun) -> set[str]:
    return {*(label.lower() for label in run.labels.values()), run.config.task, f"seed={run.config.seed}"}


def why(grids: Sequence[Grid], args: argparse.Namespace) -> int:
    """Prints where the numbers of a cell come from."""
    (grid,) = grids
    store = Store(args.store)
    runs = find_runs(grid, args.cell)
    cells: dict[tuple[tuple[str, str], ...], list[GridRun]] = {}
    for run in runs:
        cells.setdefault(tuple(run.labels.items()), []).append(run)
    usual = _usual(grid)
    for labels, members in cells.items():
        print(", ".join(f"{axis} {label}" for axis, label in labels) or grid.name)
        print("  differs from the grid's usual settings in: "
              + (", ".join(f"{k} = {v}" for k, v in _settings(members[0]).items() if usual.get(k) != v) or "nothing"))
        for run in members:
            _print_run(run, store)
        print()
    return 0


def _settings(run: GridRun) -> dict[str, Any]:
    return {k: v for k, v in run.config.flat().items() if k != "seed"}


def _usual(grid: Grid) -> dict[str, Any]:
    """The most frequent value of each field over the grid's runs."""
    counts: dict[str, Counter[str]] = {}
    values: dict[tuple[str, str], Any] = {}
    for run in grid.runs:
        for key, value in _settings(run).items():
            counts.setdefault(key, Counter())[repr(value)] += 1
            values[key, repr(value)] = value
    return {key: values[key, count.most_common(1)[0][0]] for key, count in counts.items()}


def _print_run(run: GridRun, store: Store) -> None:
    state = store.state(run.run_id)
    folder = store.root / run.run_id
    print(f"  seed {run.config.seed}  {run.run_id}  {state_name(state)}, {state.epochs} of "
          f"{run.config.train.epochs} epochs" + (f": {state.detail}" if state.detail else ""))
    direction, _, metric = (run.config.train.select or "").partition(" ")
    rows = [row for row in store.rows(run.run_id) if metric in row]
    if rows:
        best = (max if direction == "max" else min)(rows, key=lambda row: row[metric])
        print(f"      best {metric} {best[metric]:.4f} in epoch {best['epoch']}, last {rows[-1][metric]:.4f}")
    for name in ("config.json", "log.txt", "provenance.json"):
        if (folder / name).exists():
            print(f"      {folder / name}")


def logs(grids: Sequence[Grid], args: argparse.Namespace) -> int:
    """Prints the end of the logs of the chosen runs, newest last."""
    (grid,) = grids
    store = Store(args.store)
    found = [(run, store.root / run.run_id / "log.txt") for run in find_runs(grid, args.cell)]
    found = sorted(((run, path) for run, path in found if path.is_file()
                    and not path.is_symlink()), key=lambda item: item[1].stat().st_mtime)
    if not found:
        print("these runs have written no log yet")
    for run, path in found:
        print(f"==> {path}  ({', '.join(run.labels.values())}, seed {run.config.seed})")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-args.lines:]))
    return 0
