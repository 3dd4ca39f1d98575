"""The registry of data sets: the module that prepares each of them.

To add a data set, write a card (`datasets/<name>.yaml`) and a line in `FAMILIES`; for a new family also a module with
`VIEWS` and `prepare`. It provides tasks of `suite/data/tasks.py`; a grid selects it by `task` and `data.name`.

A user's data set is a card in the study. Its `prepare: module:function` names a function that replaces
`Family.prepare`. Each of its tasks has its own arrays, unless the function's module also has `VIEWS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from suite.data import cards, tasks
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
    "delay": "suite.data.delay",
    "mqar1": "suite.data.recall",
    "selcopy": "suite.data.copying",
}


class Family(Protocol):
    """A module that prepares data sets. `VIEWS`: its tasks, each with its view. Tasks with equal views share arrays."""

    VIEWS: Mapping[str, str]

    def prepare(self, source: Source, view: str) -> Prepared:
        """All splits of `source` as arrays. Raises UserError if a file is missing, damaged or in another format."""


class Own:
    """A user's function, with the interface of a family."""

    def __init__(self, name: str, function: str) -> None:
        self.__name__ = function
        module, _, attribute = function.partition(":")
        try:
            found = importlib.import_module(module)
            self.prepare: Callable[[Source, str], Prepared] = getattr(found, attribute)
        except Exception as error:
            raise UserError(f"{function} cannot be imported: {type(error).__name__}: {error}",
                            f"{cards.place(name)}: prepare", "write module:function, of a module in the study's folder"
                            ) from error
        self.__file__ = found.__file__
        views = getattr(found, "VIEWS", {})
        self.VIEWS: Mapping[str, str] = {task: views.get(task, task) for task in cards.load(name).tasks}


def family(name: str) -> Family:
    """The family of the data set `name`. Raises UserError if it has no family, or for an unknown task in VIEWS."""
    own = cards.load(name).prepare if name in cards.names() else None
    if own is not None:
        return Own(name, own)
    if name not in FAMILIES:
        raise UserError(f"no code prepares the data set {name!r}", "data.name",
                        f"{nearest(name, FAMILIES)}. Add it to suite/data/families.py")
    module = cast(Family, importlib.import_module(FAMILIES[name]))
    tasks.check(module.VIEWS, name, f"{FAMILIES[name]}: VIEWS")
    return module
