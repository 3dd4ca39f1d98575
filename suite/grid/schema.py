"""The JSON Schema of grid files, for editors: all keys of the grammar and all fields, with types and descriptions."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from suite.config.run_config import GROUPS, field_type, fields
from suite.data import cards
from suite.data.card import Option
from suite.grid.grammar import GridFile

Json: TypeAlias = dict[str, Any]  # a part of a JSON Schema, whose keys are the standard's


def text() -> str:
    """The schema as JSON text that ends in a newline. It is kept in `grids/schema.json`; a test compares the two."""
    return json.dumps(grid_schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def grid_schema() -> Json:
    """JSON Schema (draft 2020-12) of a grid file."""
    schema = GridFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$defs"]["Settings"] = _settings()
    settings = {"$ref": "#/$defs/Settings"}
    bundles = {"type": "object", "minProperties": 1, "additionalProperties": settings}
    axes = {"type": "object", "additionalProperties": {"anyOf": [{"type": "array", "minItems": 1}, bundles]},
            "properties": {"seed": bundles}}  # an axis may have this name, but its values are not seeds
    for part in (schema, schema["$defs"]["Block"]):
        about = {key: part["properties"][key].get("description", "") for key in ("base", "axes", "zip")}
        part["properties"]["base"] = settings | {"description": about["base"]}
        part["properties"]["axes"] = axes | {"description": about["axes"]}
        part["properties"]["zip"] = {"anyOf": [axes, {"type": "array", "items": axes}], "description": about["zip"]}
    schema["$defs"]["Override"]["properties"]["set"] = settings
    # A file that extends another may leave out what the other gives, except the name.
    schema["required"] = ["name"]
    return schema


def _settings() -> Json:
    """Fields by dotted name, except the seed, which `seeds:` gives.

    Nested groups are allowed too; their content is checked when the grid is read.
    """
    properties: Json = {name: field_type(name).json_schema() | {"description": info.description or ""}
                        for name, info in fields().items() if name != "seed"}
    properties |= {f"data.{key}": _option(forms) for key, forms in _options().items()}
    groups = {group: {"type": "object"} for group in GROUPS}
    return {"type": "object", "properties": properties | groups, "additionalProperties": False}


def _options() -> dict[str, list[Option]]:
    """The forms of each option of the data sets, over all their variants."""
    found: dict[str, list[Option]] = {}
    for card in map(cards.load, cards.names()):
        for variant in card.variants.values():
            for key, option in variant.options.items():
                found.setdefault(key, []).append(option)
    return found


def _option(forms: list[Option]) -> Json:
    """The schema of an option, as wide as any variant allows. The check of a grid knows the variant and is stricter."""
    kind = {"bool": "boolean", "int": "integer", "float": "number", "str": "string"}
    types = sorted({kind[type(one.default).__name__] for one in forms})
    known: Json = {"type": types if len(types) > 1 else types[0],
                             "description": "; or ".join(dict.fromkeys(one.about for one in forms))}
    if all(one.allowed for one in forms):
        known["enum"] = list(dict.fromkeys(value for one in forms for value in one.allowed))
    return known
