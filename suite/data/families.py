"""The registry of data sets: which module prepares which one.

A data set is added by a card (`datasets/<name>.yaml`) and a line in `FAMILIES`; a new family also by a module with
`VIEWS` and `prepare`. It serves tasks of `suite/data/tasks.py`; a grid chooses it by `task` and `data.name`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from suite.data import tasks
from suite.data.prepared_types import Prepared
from suite.data.source import Source
from suite.errors import UserError, nearest

FAMILIES = {
    "cifar10": "suite.data.images",
    "speech_commands": "suite.data.speech",
    "bidmc": "suite.data.vitals",
    "listops": "suite.data.listops",
    "imdb": "suite.data.text",
    "aan": "suite.data.retrieval",
    "pathfinder": "suite.data.pathfinder",
}


class Family(Protocol):
    """A module that prepares data sets. `VIEWS`: the tasks it serves; tasks with one view share their arrays."""

    VIEWS: Mapping[str, str]

    def prepare(self, source: Source, view: str) -> Prepared:
        """All splits of `source` as arrays. Raises UserError where a file is missing, damaged or of another form."""


def family(name: str) -> Family:
    """The module that prepares the data set `name`. Raises UserError where there is none, or for what is no task."""
    if name not in FAMILIES:
        raise UserError(f"no code prepares the data set {name!r}", "data.name",
                        f"{nearest(name, FAMILIES)}. Add it to suite/data/families.py")
    module = cast(Family, importlib.import_module(FAMILIES[name]))
    tasks.check(module.VIEWS, name, f"{FAMILIES[name]}: VIEWS")
    return module
