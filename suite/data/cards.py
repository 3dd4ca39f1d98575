"""Cards of the data sets: `datasets/<name>.yaml` gives the origin of a data set, its variants and their options.

A card in `datasets/` of a study adds a user's data set. It names the function that prepares it, and declares tasks that
the suite does not have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from suite.data import tasks
from suite.data.card import Card, Variant
from suite.errors import Problem, UserError, nearest
from suite.files import resources, study
from suite.files.yaml import Node, load_yaml
from suite.files.yaml_model import validated

CARDS = resources.folder("datasets")
OPTIONS = re.compile(r"^( *)options:.*\n((\1 +)\S.*\n(?:\3.*\n| *\n)*)", re.MULTILINE)  # a block in a card
FIXED = ("name", "variant", "preparation", "name_source")  # fields of data that are not options


def folders() -> list[Path]:
    """The folders of cards: the suite's own, and `datasets/` of each study."""
    ours = CARDS.resolve()
    own = [folder / "datasets" for folder in study.folders()]
    return [CARDS, *(folder for folder in own if folder.resolve() != ours)]


def names() -> list[str]:
    """The data sets that have a card."""
    found: set[str] = set()
    for folder in filter(os.path.isdir, folders()):
        with os.scandir(folder) as entries:
            found |= {entry.name.removesuffix(".yaml") for entry in entries
                      if entry.name.endswith(".yaml") and entry.name[0] != "." and entry.is_file()}
    return sorted(found)


def place(name: str) -> Path:
    """The path of a data set's card. Raises UserError if there is no such card, or more than one."""
    found = _cards(name)
    if not found:
        raise UserError(f"there is no data set {name!r}", where="data.name",
                        fix=f"{nearest(name, names())}. To add a data set, write a card in {CARDS.name}/")
    if len(found) > 1:
        raise UserError(f"there is another data set {name!r}: {found[0]}", str(found[1]), "rename one of them")
    return found[0]


def _cards(name: str) -> list[Path]:
    """The files that are cards of this name."""
    paths = [folder / f"{name}.yaml" for folder in folders()]
    return [path for path in paths if path.name[0] != "." and path.is_file() and path.name == f"{name}.yaml"]


def written_options() -> frozenset[str]:
    """The options of all cards, found by a regular expression, since parsing all cards as YAML is slow."""
    return _written(tuple(path for name in names() for path in _cards(name)))


@lru_cache(maxsize=None)
def _written(paths: tuple[Path, ...]) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        for _, block, indent in OPTIONS.findall(path.read_text("utf-8", "replace")):
            found.update(re.findall(rf"^{indent}(\w+):", block, re.MULTILINE))
    return frozenset(found)


@lru_cache(maxsize=None)
def load(name: str) -> Card:
    """The card of a data set. Raises UserError if it is missing, and with file and line for errors in it."""
    path = place(name)
    node = load_yaml(path)
    card = validated(node, Card)
    own = [task for task, declared in card.tasks.items() if declared is not None]
    tasks.check(card.tasks, name, node.find(("tasks",)).key("tasks"), own)
    if problems := [*_misfits(card, path, node)]:
        raise UserError(problems)
    if path.parent == CARDS:
        return card
    home = study.home(path.parents[1])
    variants = {key: one.model_copy(update={"files": {key: file.below(home) for key, file in one.files.items()}})
                for key, one in card.variants.items()}
    return card.model_copy(update={"variants": variants})


def _misfits(card: Card, path: Path, node: Node) -> Iterator[Problem]:
    if card.name != path.stem:
        yield Problem(f"the file is named {path.name}", node.find(("name",)).key("name"), f"write name: {path.stem}")
    for name, declared in card.tasks.items():
        if declared is not None and (name in tasks.TASKS or name == "none"):
            yield Problem(f"{name!r} is a task of the suite", node.find(("tasks", name)).key("tasks", name),
                          "rename it, or leave out its declaration")
    if path.parent != CARDS and card.prepare is None:
        yield Problem("the card names no function that prepares the data", str(path), "write prepare: module:function")


def own_tasks() -> dict[str, tasks.Task]:
    """The tasks declared by cards, by name. Raises UserError for an error in a card, and for two tasks of one name."""
    found: dict[str, tasks.Task] = {}
    for folder in folders()[1:]:
        for path in sorted(folder.glob("*.yaml")):
            for name, one in load(path.stem).tasks.items() if path.name[0] != "." else ():
                if one is None:
                    continue
                if name in found and found[name].data != path.stem:
                    raise UserError(f"the data set {found[name].data!r} also has a task {name!r}", str(path),
                                    "rename one of them")
                found[name] = tasks.Task(name, path.stem, one.inputs, one.metric, one.classes, one.direction,
                                         one.evaluate)
    return found


def task(name: str) -> tasks.Task:
    """The task of that name, of the suite or of a card. Raises UserError if it is unknown."""
    found = tasks.TASKS.get(name) or own_tasks().get(name)
    if found is None:
        raise UserError(f"unknown task {name!r}", "task", nearest(name, [*tasks.TASKS, *own_tasks()]))
    return found


def resolve(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields `data.…`, with the card's preparation and the defaults of all options filled in.

    Raises UserError, with all problems, for an unknown data set, variant or option, and for a value that is not
    allowed.
    """
    data = {k: v for k, v in data.items() if v is not None}
    variant = load(data["name"]).variant(data["variant"])
    problems = [p for key, value in data.items() if key not in FIXED
                for p in check_option(data["name"], variant, key, value)]
    if data.get("preparation", variant.preparation) != variant.preparation:
        problems.append(Problem(f"this code prepares version {variant.preparation} of {data['name']}/{data['variant']}",
                                "data.preparation", "leave the field out: it is filled in"))
    if problems:
        raise UserError(problems)
    return {k: o.default for k, o in variant.options.items()} | data | {"preparation": variant.preparation}


def check_option(name: str, variant: Variant, key: str, value: Any) -> list[Problem]:
    """What is wrong with `data.<key>: value` for this variant."""
    where = f"data.{key}"
    if key not in variant.options:
        known = ["name", "variant", *variant.options]
        return [Problem(f"unknown option {key!r} of data set {name!r}", where, nearest(key, known))]
    option = variant.options[key]
    kind = type(option.default)
    if type(value) is not kind and not (kind is float and type(value) is int):
        return [Problem(f"{value!r} is not of type {kind.__name__}", where, option.about)]
    if option.allowed and value not in option.allowed:
        return [Problem(f"{value!r} is not allowed", where, nearest(value, map(str, option.allowed)))]
    if option.least is not None and not isinstance(value, str) and value < option.least:
        return [Problem(f"{value!r} is less than {option.least}", where, option.about)]
    return []


def legacy(name: str, variant: str) -> dict[str, Any]:
    """Options of a variant with their legacy values, at which they are left out of the hash."""
    options = load(name).variants[variant].options if _cards(name) and variant in load(name).variants else {}
    return {key: option.legacy for key, option in options.items() if option.legacy is not None}
