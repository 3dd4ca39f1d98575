"""Errors in the keys and values of a grid file. Each one names file, line and key, and what is allowed there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from keyword import iskeyword

from pydantic import BaseModel, ValidationError

from suite.config.run_config import ARGUMENTS, GROUPS, choices, field_type, fields, is_argument, is_field
from suite.data import cards
from suite.errors import Problem, nearest
from suite.files.validation import Path, by_place, message, model_at
from suite.files.yaml import Node
from suite.grid.grammar import GridFile, Profile

SIZES = re.compile(r"data\..*|optim\..*|train\.(epochs|batch_size|evaluate)|model\.(layers|features)|"
                   r"ssm\.(state_size|copies|kernel_length)")
NO_PLAIN = "write a number, a string, true, false, null, or a list of these"


def grid_problems(grid: Node) -> list[Problem]:
    """All problems of a grid file, by line. Axes are not checked here, but when they are read."""
    problems = list(shape_problems(grid, GridFile))
    for part in [grid, *_items(grid, "blocks")]:
        problems += setting_problems(Node(part.get("base"), part.at))
        problems += _override_problems(part)
    if not problems:
        for name, profile in grid.get("profiles", {}).items():
            problems += [*_override_problems(profile), *_size_problems(profile, f"profiles.{name}")]
    return sorted(problems, key=_line)


def profile_problems(profile: Node) -> list[Problem]:
    """All problems of a profile's file."""
    return list(shape_problems(profile, Profile)) or [*_override_problems(profile), *_size_problems(profile, "")]


def shape_problems(node: Node, model: type[BaseModel]) -> Iterator[Problem]:
    """What pydantic finds wrong with a file, one problem for each place."""
    try:
        model.model_validate(node.plain())
    except ValidationError as error:
        for path, errors in by_place(error, node).items():
            where, kind = node.find(path).key(*path), errors[0]["type"]
            if kind == "extra_forbidden":
                yield _unknown_key(path, where, model)
            else:
                what = " or ".join(dict.fromkeys(map(message, errors)))
                yield Problem(what, where, "" if kind == "missing" else f"got {errors[0]['input']!r}"[:200])


def setting_problems(settings: Node) -> Iterator[Problem]:
    """What is wrong with a mapping of fields to values. Nothing is reported if it is not a mapping."""
    for key, leaf in settings.leaves() if isinstance(settings.value, dict) else ():
        yield from value_problems(key, leaf)


def value_problems(key: str, leaf: Node) -> Iterator[Problem]:
    """What is wrong with `key: value` by itself: an unknown field, or a value that the field cannot have."""
    where = leaf.at.key(key)
    if key == "seed":
        yield _no_setting(where)
    elif is_argument(key):
        yield from _argument_problems(key, leaf)
    elif key.startswith(tuple(f"{field}." for field in ARGUMENTS)):
        yield Problem(f"{key.rpartition('.')[0]} must be a plain value, not a mapping", where, NO_PLAIN)
    elif key not in fields():
        option = key.removeprefix("data.")
        if (option == key or option not in cards.written_options()) and key not in (options := _options_of_cards()):
            every = [*fields(), *sorted(options)]
            near = [name for name in every if name.startswith(key.partition(".")[0] + ".")]
            yield Problem(f"unknown field {key!r}", where, nearest(key, near or every))
    else:
        try:
            field_type(key).validate_python(leaf.plain())
            if key == "task" and leaf.plain() not in choices(key):
                yield Problem(f"{leaf.plain()!r} is not allowed here", where, nearest(leaf.plain(), choices(key)))
        except ValidationError as error:
            what = f"{leaf.plain()!r} is not allowed here"
            if allowed := choices(key):
                yield Problem(what, where, nearest(leaf.plain(), map(str, allowed)))
            else:
                yield Problem(f"{what}: it {message(error.errors()[0])}", where, fields()[key].description or "")


def _argument_problems(key: str, leaf: Node) -> Iterator[Problem]:
    name = key.rpartition(".")[2]
    if not name.isidentifier() or iskeyword(name):
        yield Problem(f"{name!r} cannot be the name of an argument", leaf.at.key(key), "use letters, digits and _")
    try:
        field_type(key).validate_python(leaf.plain())
    except ValidationError:
        yield Problem(f"{leaf.plain()!r} is not a plain value", leaf.at.key(key),
                      NO_PLAIN)


def _options_of_cards() -> set[str]:
    """The fields `data.…` of all variants of all data sets."""
    return {f"data.{option}" for name in cards.names() for variant in cards.load(name).variants.values()
            for option in variant.options}


def _unknown_key(path: Path, where: str, model: type[BaseModel]) -> Problem:
    key = str(path[-1])
    if key == "seed":
        return _no_setting(where)
    if is_field(key) or key.partition(".")[0] in GROUPS:
        return Problem(f"the setting {key!r} must be inside `base:` or an axis", where)
    return Problem(f"unknown key {key!r}", where, nearest(key, model_at(model, path[:-1]).model_fields))


def _no_setting(where: str) -> Problem:
    return Problem("`seed` cannot be set here; use `seeds:`", where,
                   "for example seeds: [0, 1, 2]; to run only one of them, --only seed=0")


def _items(part: Node, key: str) -> list[Node]:
    """The items of a list. Empty if the value is not a list, which `shape_problems` reports."""
    items = part.get(key)
    return items if isinstance(items, list) else []


def _override_problems(part: Node) -> Iterator[Problem]:
    for item in _items(part, "overrides"):
        yield from setting_problems(Node(item.get("set"), item.at))


def _size_problems(profile: Node, prefix: str) -> Iterator[Problem]:
    """Problems of settings in a profile that would change what the runs compare."""
    for item in _items(profile, "overrides"):
        for key, leaf in item.value["set"].leaves():
            if not SIZES.fullmatch(key):
                where = leaf.at.key(prefix, key) if prefix else leaf.at.key(key)
                yield Problem(f"a profile cannot set {key!r}: it may change sizes, not what the runs compare", where,
                              "allowed: data.*, optim.*, train.epochs, train.batch_size, train.evaluate (its rates "
                              "depend on the data), model.layers, model.features, ssm.state_size, ssm.copies, and "
                              "ssm.kernel_length of a kernel that the grid cuts")


def _line(problem: Problem) -> int:
    match = re.search(r":(\d+):", problem.where)
    return int(match.group(1)) if match else 0
