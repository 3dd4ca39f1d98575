"""The variants, tasks and options that `data prepare` and `data show` are called with."""

from __future__ import annotations

from collections.abc import Sequence

from suite.config import own_data
from suite.config.fields import Data, Flat
from suite.data import cards
from suite.data.families import FAMILIES, family
from suite.errors import UserError, nearest


def variants(name: str, wanted: str | None) -> list[str]:
    """The variant `wanted`, or all variants. Raises UserError if the card does not have it."""
    card = cards.load(name)
    return [wanted] if wanted and card.variant(wanted) else list(card.variants)


def tasks(name: str, wanted: str | None) -> list[str]:
    """The task `wanted`, or one task for each set of arrays. Raises UserError if the data set does not have it."""
    views = dict(family(name).VIEWS) if name in FAMILIES or cards.load(name).prepare else {}
    if wanted is None:
        return list({view: task for task, view in reversed(views.items())}.values())[::-1]
    if wanted not in views:
        raise UserError(f"the data set {name!r} does not provide the task {wanted!r}", "--task", nearest(wanted, views))
    return [wanted]


def options(name: str, variant: str, sets: Sequence[str]) -> Flat:
    """The options of `--set`, read as YAML. Raises UserError for an option that the card does not have."""
    from suite.files.yaml import parse_yaml

    found: Flat = {}
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{text!r} is not an assignment", "--set", "write OPTION=VALUE, e.g. pool=2")
        found[key.removeprefix("data.")] = parse_yaml(f"value: {value}", "--set").plain()["value"]
    cards.resolve({"name": name, "variant": variant} | found)
    return found


def chosen_data(name: str, variant: str, task: str, sets: Sequence[str]) -> Data:
    """The data fields of a run on this task."""
    made = {"name": name, "variant": variant, **options(name, variant, sets)}
    own_data.fill(made, task)
    return Data(**made)
