"""Families of data sets: the form in which each gives its arrays, and which module prepares which data set.

A data set is added by a card (`datasets/<name>.yaml`) and a line in `FAMILIES`; a new family also by a module with
`VIEWS` and `prepare`. It serves tasks of `suite/data/tasks.py`; a grid chooses it by `task` and `data.name`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from suite.data import tasks
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


@dataclass(frozen=True)
class Facts:
    """What a model must know of a data set. For values `channels` is set, for tokens `vocabulary`; see TaskData."""

    length: int
    channels: int | None = None
    vocabulary: int | None = None
    classes: int | None = None
    rate_hz: float | None = None


@dataclass(frozen=True)
class Prepared:
    """Facts and arrays of one task. `{split}` is train, val and test; `{split}/y` is (n,) int64 or float32.

    Values: `{split}/x` (n, L, channels) of any number type; the model sees (x - offset) * scale where the arrays
    `offset` and `scale`, each (L or 1, channels) float32, are given, else x.
    Tokens: `tokens`, all documents end to end, and `starts` (documents + 1,), where each begins and the last ends;
    `{split}/documents` (n,) names the document of each example, or (n, 2) those of a pair.
    """

    facts: Facts
    arrays: Mapping[str, np.ndarray]


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
