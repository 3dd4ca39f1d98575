"""YAML files read as pydantic models. Unknown keys are rejected, and every problem names file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from suite.errors import Problem, UserError, nearest
from suite.files import patterns
from suite.files.yaml import Node

NAME = patterns.NAME
T = TypeVar("T", bound=BaseModel)


class Part(BaseModel):
    """A part of such a file. Unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def validated(node: Node, model: type[T]) -> T:
    """The file's content as `model`. Raises UserError with every problem, each with file, line and key."""
    try:
        return model.model_validate(node.plain())
    except ValidationError as error:
        raise UserError(_problems(error, node, model)) from None


def _problems(error: ValidationError, node: Node, model: type[BaseModel]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for e in error.errors():
        path = _keys(node, e["loc"], e["type"] == "missing")
        where = node.find(path).key(*path)
        if e["type"] == "extra_forbidden":
            known = _part(model, path[:-1]).model_fields
            problem = Problem(f"unknown key {path[-1]!r}", where, nearest(path[-1], known))
        elif e["type"] == "missing":
            problem = Problem("this key is missing", where)
        else:
            what = f"it should {patterns.in_words(e['ctx']['pattern'])}" if e["type"] == "string_pattern_mismatch" \
                else _plain(e["msg"])
            problem = Problem(what, where, f"it is {e['input']!r}"[:200])
        if where in found and "it should" in found[where].what and "it should" in problem.what:
            # each member of a union reports what it expects
            problem = Problem(f"{found[where].what}, or {problem.what.removeprefix('it should ')}", where, problem.fix)
        found[where] = problem
    return sorted(found.values(), key=lambda problem: int(re.findall(r":(\d+)", problem.where)[0]))


def _plain(message: str) -> str:
    """Pydantic's message without the names of its types."""
    message = re.sub(r"^(Input|String) should", "it should", message.removeprefix("Value error, "))
    return re.sub(r"dictionary or instance of \w+", "mapping", message).replace("a valid tuple", "a valid list")


def _keys(node: Node, path: tuple[Any, ...], missing: bool) -> tuple[Any, ...]:
    """The part of pydantic's path that is in the file, without names of members of a union. A missing key is kept."""
    keys: list[Any] = []
    for part in path:
        there = part in node.value if isinstance(node.value, dict) else \
            isinstance(node.value, list) and isinstance(part, int) and part < len(node.value)
        if there:
            node = node.value[part]
        elif not (missing and part == path[-1]):
            continue  # the name of a member of a union, or an index of a list that is written as its only value
        keys.append(part)
    return tuple(keys)


def _part(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """The model at `path` within `model`."""
    for part in path:
        info = model.model_fields.get(part) if isinstance(part, str) else None
        inner = next(_models(info.annotation), None) if info else None
        model = inner or model
    return model


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in getattr(kind, "__args__", ()):
        yield from _models(part)
