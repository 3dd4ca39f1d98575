"""Claims on runs whose numbers are set by hand: a table of methods by tasks, and the verdicts on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from report_store import Shelf, make_grid

from suite.files.yaml import Node, Where
from suite.grid.model import Grid
from suite.report.against.verdict import judged_table
from suite.report.claims.claim import Claim
from suite.report.claims.judge import judge
from suite.report.claims.language import load_claims
from suite.report.claims.numbers import Datum, RunNumbers
from suite.report.claims.outcome import Verdict
from suite.report.metric import metric
from suite.report.published.papers import load_published
from suite.report.tables.layout import Layout, Placed
from suite.report.tables.results import read_results
from suite.report.tables.table import Table

CLAIM = {"id": "one", "text": "Real is worse than Lin.", "source": "paper section 5.2", "table": "demo",
         "kind": "worse", "left": "S4D-Real", "right": "S4D-Lin", "columns": "sCIFAR"}
COLUMNS = [{"label": "sCIFAR", "where": {"task": "sCIFAR"}}, {"label": "SC", "where": {"task": "SC"}},
           {"label": "loss", "where": {"task": "sCIFAR"}, "metric": "val/loss"},
           {"label": "first", "where": {"task": "sCIFAR"}, "epoch": "first"}]
LOW, HIGH = [0.30, 0.31, 0.32], [0.40, 0.41, 0.42]  # accuracies of three seeds
ABSENT = Datum(metric("test/accuracy", ""), None, planned=0)
Cells = Mapping[tuple[str, str], Sequence[Any]]  # by method and task: for each seed an accuracy, a curve, or None


class Given:
    """Numbers for claims as they are given, by row and column; `published` are those that they are compared with."""

    profile = "paper"
    seeds: Sequence[int] = ()

    def __init__(self, cells: dict[tuple[str, str], Datum], published: Mapping[tuple[str, str], float] | None = None):
        self.cells, self.printed = cells, published or {}

    def datum(self, claim: Claim, row: str, column: str) -> Datum:
        """What stands in the cell."""
        return self.cells.get((row, column), ABSENT)

    def published(self, claim: Claim, row: str, column: str) -> float | str | None:
        """The published number of the cell."""
        return self.printed.get((row, column))

    def rows(self, claim: Claim) -> list[str]:
        """The row of each cell."""
        return list(dict.fromkeys(row for row, _ in self.cells))

    def borrowed(self, claim: Claim, column: str) -> None:
        """Nothing."""

    def variants(self, claim: Claim) -> Mapping[str, tuple[str, str]]:
        """None."""
        return {}


def claim(**changes: Any) -> dict[str, Any]:
    """CLAIM with these keys; None takes one out."""
    return {key: value for key, value in (CLAIM | changes).items() if value is not None}


def write(folder: Path, *claims: dict[str, Any], **families: Any) -> Path:
    """A file of claims."""
    folder.mkdir(exist_ok=True)
    path = folder / "claims.yaml"
    content = ({"families": families} if families else {}) | {"claims": list(claims)}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def tables_of(grid: Grid, shelf: Shelf) -> tuple[list[Table], RunNumbers]:
    """The table of a grid, and the numbers in it."""
    results = read_results(grid, shelf, shelf.states([run.run_id for run in grid.runs]))
    layout = Layout.model_validate({"name": grid.name, "rows": "method", "columns": COLUMNS})
    tables = [judged_table(Placed(layout, Node({}, Where("demo.yaml"))), grid, results, load_published())]
    return tables, RunNumbers(grid, tables, results, load_published())


def shelf_of(grid: Grid, folder: Path, cells: Cells) -> Shelf:
    """A store with these numbers, each run's last but one epoch the best."""
    shelf = Shelf(folder)
    for run in grid.runs:
        values = cells.get((run.labels["method"], run.labels["task"]), ())
        value = values[run.config.seed] if run.config.seed < len(values) else None
        if value is not None:
            shelf.put(run, "done", list(value) if isinstance(value, list) else [value] * 4)
    return shelf


def verdicts(folder: Path, cells: Cells, *claims: dict[str, Any], grid: Grid | None = None,
             **families: Any) -> tuple[Verdict, ...]:
    """The verdicts on claims where the methods have these accuracies on the tasks."""
    grid = grid or make_grid(seeds=max(map(len, cells.values()), default=3))
    tables, numbers = tables_of(grid, shelf_of(grid, folder, cells))
    return judge(load_claims(write(folder, *claims, **families), grid, tables), numbers)


def verdict(folder: Path, left: Sequence[Any], right: Sequence[Any], **changes: Any) -> Verdict:
    """The verdict where S4D-Real has these accuracies on sCIFAR and S4D-Lin those (None: not run)."""
    made, = verdicts(folder, {("S4D-Real", "sCIFAR"): left, ("S4D-Lin", "sCIFAR"): right}, claim(**changes))
    return made
