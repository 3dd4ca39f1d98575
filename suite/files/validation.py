"""Pydantic's validation errors, in this suite's words and with the keys of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ValidationError

from suite.files.patterns import in_words
from suite.files.yaml import Node

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path: TypeAlias = tuple[int | str, ...]  # keys and list indices, from the outside in
# By type of error, since pydantic's own messages change between releases. {…} are from the error's context.
MESSAGES: Mapping[str, str] = {
    "missing": "this key is required",
    "extra_forbidden": "this key is unknown",
    "literal_error": "must be {expected}",
    "int_type": "must be an integer", "int_from_float": "must be an integer", "int_parsing": "must be an integer",
    "int_parsing_size": "is too large",
    "float_type": "must be a number", "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false", "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "string_too_short": "is too short (minimum length: {min_length})",
    "string_pattern_mismatch": "must {in_words}",
    "list_type": "must be a list", "tuple_type": "must be a list",
    "dict_type": "must be a mapping", "model_type": "must be a mapping",
    "too_short": "is too short (minimum length: {min_length})",
    "greater_than": "must be greater than {gt}", "greater_than_equal": "must be greater than or equal to {ge}",
    "less_than": "must be less than {lt}", "less_than_equal": "must be less than or equal to {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
}
OF_A_KIND = {"list_type", "dict_type", "model_type", "string_type"}  # from members of a union for other kinds


def message(error: ErrorDetails) -> str:
    """An error in words, as `must be an integer`. A type that is not in MESSAGES keeps pydantic's message."""
    words = MESSAGES.get(error["type"])
    context = error.get("ctx", {})
    if "pattern" in context:
        context = {**context, "in_words": in_words(context["pattern"])}
    return words.format_map(context) if words else error["msg"]


def by_place(error: ValidationError, node: Node) -> dict[Path, list[ErrorDetails]]:
    """The errors by their place in the file.

    For a union, pydantic reports the errors of each member. A member that expects another kind of value is left out if
    another one got further: for a mapping with a wrong entry, "must be a list" does not help.
    """
    found: dict[Path, list[ErrorDetails]] = {}
    for one in error.errors():
        found.setdefault(_keys(node, one["loc"], is_missing=one["type"] == "missing"), []).append(one)

    def is_noise(path: Path) -> bool:
        got_further = any(other[:len(path)] == path and len(other) > len(path) for other in found)
        return got_further and all(one["type"] in OF_A_KIND for one in found[path])

    return {path: errors for path, errors in found.items() if not is_noise(path)}


def _keys(node: Node, path: Path, is_missing: bool) -> Path:
    """The parts of pydantic's path that are in the file; others name members of a union. A missing key is kept."""
    keys: list[int | str] = []
    for place, part in enumerate(path):
        child = node.child(part)
        if child is not None or (is_missing and place == len(path) - 1):
            keys.append(part)
        node = child or node
    return tuple(keys)


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    """The innermost model along `path` within `model`: its keys are allowed there."""
    for part in path:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        model = next(_models(field.annotation), model) if field else model
    return model


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in getattr(kind, "__args__", ()):
        yield from _models(part)
