"""The suite's files beside its code: cards of data sets, grids, report definitions, examples, a first study.

They are in top-level folders of a clone. A wheel has a copy in `suite/_data`, made by `setup.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from suite.errors import UserError, nearest

PACKAGE = Path(__file__).resolve().parents[1]
IN_WHEEL = PACKAGE / "_data"
PREFIX = "suite:"  # before the name of a grid of the suite, instead of a path


def root() -> Path:
    """The folder that holds datasets/, examples/, grids/, …: the clone, or a folder of the installed package."""
    return IN_WHEEL if is_installed() else PACKAGE.parent


def is_installed() -> bool:
    """Whether this code was installed from a wheel, without these folders beside it."""
    return IN_WHEEL.is_dir()


def folder(name: Literal["datasets", "examples", "grids", "reports", "study"]) -> Path:
    """The path of one of these folders, in a clone or an installed package."""
    return root() / name


def shown(path: Path) -> str:
    """A grid's path as a user writes it: `suite:NAME` for a grid that was installed with the suite."""
    return f"{PREFIX}{path.relative_to(folder('grids'))}" if path.is_relative_to(IN_WHEEL) else str(path)


def grid_path(path: Path, grids: Path, where: str = "") -> Path:
    """The file that `path` names: for `suite:NAME` a grid of the suite, in the folder `grids`; else `path` itself.

    Raises UserError, at `where`, if the suite has no grid of that name.
    """
    if not str(path).startswith(PREFIX):
        return path
    name = str(path).removeprefix(PREFIX)
    known = sorted(str(one.relative_to(grids)) for one in grids.rglob("*.yaml") if "_profiles" not in one.parts)
    found = name if name in known else f"{name}.yaml"
    if found not in known:
        raise UserError(f"the suite has no grid {name!r}", where or str(path), nearest(name, known))
    return grids / found
