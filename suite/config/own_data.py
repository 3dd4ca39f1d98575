"""The identity of a user's own data set: its card, without descriptive texts, and the functions that it names."""

from __future__ import annotations

import hashlib
from pathlib import Path

from suite.config import plugin
from suite.config.fields import Data, Flat
from suite.data import cards
from suite.errors import UserError
from suite.files import study
from suite.files.atomic import canonical

TEXTS = {"about", "get", "download_mb", "prepared_mb", "close"}


def source(name: str, variant: str, task: str) -> str:
    """A digest of what card and functions say about this variant and task. "" for the suite's own data.

    Raises UserError if a function cannot be found.
    """
    card = cards.load(name)
    if card.prepare is None:
        return ""
    declared = card.tasks.get(task)
    plugin.check_name(card.prepare, "data.name")
    parts: Flat = {
        "prepare": [card.prepare, plugin.source(card.prepare, "data.name")],
        "variant": card.variant(variant).model_dump(mode="json", exclude=TEXTS | {"files"}),
        "files": {key: file.sha256 for key, file in card.variant(variant).files.items()},
        "task": None if declared is None else declared.model_dump(mode="json")}
    if declared is not None and declared.evaluate:
        plugin.check_name(declared.evaluate, "task")
        parts["evaluate"] = plugin.source(declared.evaluate, "task")
    return hashlib.sha256(canonical(parts).encode()).hexdigest()[:16]


def fill(data: Flat, task: str) -> None:
    """Add the digest to the fields of `data` if the data set is a user's own. Raises UserError as `cards.load` does."""
    if cards.load(data["name"]).prepare is not None and not data.get("name_source"):
        data["name_source"] = source(data["name"], data["variant"], task)


def functions(data: Data, task: str) -> list[str]:
    """The functions, as `module:function`, that the user's data set of a run names."""
    if not data.name_source:
        return []
    return [name for name in (cards.load(data.name).prepare, cards.task(task).evaluate) if name]


def card(data: Data) -> tuple[Path, Path] | None:
    """The card of the user's data set of a run, and the card's study. None for the suite's data."""
    if not data.name_source:
        return None
    path = cards.place(data.name)
    return path, study.home(path.parents[1])


def check(data: Data, task: str) -> None:
    """Raises UserError if the card or its functions have changed since the run was planned."""
    if data.name_source and data.name_source != source(data.name, data.variant, task):
        raise UserError(f"the data set {data.name} is not the one that the run was planned with", "data.name_source",
                        "plan again, or restore its card and the source of its functions")
