"""The Python interface, for notebooks and scripts: grids, results as a data frame, reports.

    import suite
    grid = suite.load_grid("grids/quickstart.yaml")
    frame = suite.results(grid, "results/quickstart/store")

Heavy packages are imported only when needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from suite.grid.model import Grid
    from suite.report.report import Report


def load_grid(path: str | Path, profile: str | None = None, sets: Iterable[str] = (),
              only: Iterable[str] = (), seeds: int | None = None) -> Grid:
    """Load a grid from a file, or a grid of the suite (`suite:NAME`), and expand it into its runs.

    `profile`, `sets` (`field=value`), `only` (`axis=label`) and `seeds` (a number) correspond to the options
    `--profile`, `--set`, `--only` and `--seeds`. Raises UserError with every problem of the file.
    """
    from suite.grid.expand import load_grid as load

    return load(Path(path), profile, tuple(sets), tuple(only), seeds)


def results(grid: Grid | Sequence[Grid], store: str | Path = "runs") -> pd.DataFrame:
    """The finished epochs of all runs of the grids, with a row for each grid, run and epoch.

    Columns: grid, the label on each axis, run_id, seed, state, epoch, each metric (e.g. `val/accuracy`, a fraction; NaN
    if the run does not have it), and each field of the run by its dotted name. Raises UserError if the store cannot be
    read.
    """
    from suite.report.added import with_added
    from suite.report.export import tidy
    from suite.report.tables.results import read_results
    from suite.store.store import Store

    opened = Store(Path(store))
    grids = with_added(_grids(grid), opened)
    states = opened.states(dict.fromkeys(run.run_id for one in grids for run in one.runs))
    return tidy(grids, [read_results(one, opened, states) for one in grids])


def make_report(grid: Grid | Sequence[Grid], store: str | Path = "runs", out: str | Path = "reports",
                figures: bool = True) -> Report:
    """Write the tables, claims, figures and web page of these grids to the folder `out`.

    Returns the paths of the files, and the text that the command line prints. Raises UserError for layouts and claims
    that do not match the grids, and if `out` cannot be written.
    """
    from suite.report.added import with_added
    from suite.report.report import write_report
    from suite.store.store import Store

    opened = Store(Path(store))
    return write_report(with_added(_grids(grid), opened), opened, Path(out), figures=figures)


def _grids(grid: Grid | Sequence[Grid]) -> list[Grid]:
    from suite.grid.model import Grid

    return [grid] if isinstance(grid, Grid) else list(grid)
