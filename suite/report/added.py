"""Seeds that `--decide` added. They belong to the grid, up to the maximum that its claims declare.

This module is cheap to import, because every command that reads a grid needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from suite.files.yaml import Node, load_yaml
from suite.grid.model import Grid
from suite.grid.seeds import at_seed, configurations, in_order, with_runs
from suite.report.places import SOURCES

if TYPE_CHECKING:
    from suite.store.store import Store


def with_added(grids: Sequence[Grid], store: Store, sources: Path = SOURCES) -> list[Grid]:
    """The grids, extended by the runs of added seeds that are in the store."""
    return [_with_added(grid, store, most_seeds(grid, sources)) for grid in grids]


def _with_added(grid: Grid, store: Store, most: int) -> Grid:
    if not grid.seeds or any("seed=" in change for change in grid.changes if change.startswith("--only")):
        return grid
    further = in_order(grid.seeds, most)[len(set(grid.seeds)):]
    runs = [at_seed(run, seed) for run in configurations(grid.runs) for seed in further]
    return with_runs(grid, [run for run in runs if store.folder(run.run_id).exists()])


def most_seeds(grid: Grid, sources: Path = SOURCES) -> int:
    """The largest number of seeds that a family of claims on the grid's tables declares; 0 without looks."""
    path = sources / "claims.yaml"
    declared = _declared(path, path.read_bytes()) if path.is_file() else {}
    if not declared:
        return 0
    from suite.report.tables.layout_names import layout_files, table_name

    names = [table_name(path) for path in layout_files(sources / "tables", grid.name)] or [grid.name]
    return max((declared.get(name, 0) for name in names), default=0)


@lru_cache(maxsize=4)
def _declared(path: Path, content: bytes) -> dict[str, int]:
    """For each table, the most seeds that a family of claims on it declares. The report checks the file for errors."""
    node = load_yaml(path)
    families, claims = (node.value[key].value if key in node.value else None for key in ("families", "claims"))
    found: dict[str, int] = {}
    if not isinstance(families, dict) or not isinstance(claims, list):
        return found
    for claim in claims:
        family = families.get(_text(claim, "family"))
        looks = family.value.get("looks") if family is not None and isinstance(family.value, dict) else None
        most = looks.value.get("most") if looks is not None and isinstance(looks.value, dict) else None
        table = _text(claim, "table") or (_text(family, "table") if family is not None else "")
        if looks is not None:
            count = most.value if most is not None and isinstance(most.value, int) else 10
            found[table] = max(found.get(table, 0), count)
    return found


def _text(node: Node, key: str) -> str:
    value = node.value[key].value if isinstance(node.value, dict) and key in node.value else ""
    return value if isinstance(value, str) else str(value)
