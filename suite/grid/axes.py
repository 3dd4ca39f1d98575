"""The axes of a grid and of its blocks: labels, bundles of settings, seeds, and what can be wrong with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from suite.config.run_config import field_type, fields
from suite.errors import Problem, nearest
from suite.files.yaml import Node, Where
from suite.grid.file import setting_problems, value_problems

LONGEST_LABEL = 80


@dataclass(frozen=True)
class Value:
    """One value of an axis: its label, and the settings that it stands for."""

    label: str
    settings: dict[str, Node]
    at: Where


@dataclass
class Block:
    """One union member: `columns` are the axes, each a list of steps; a step gives one value for each of its axes.

    `sizes` are the overrides of the profile, which come after the block's own.
    """

    base: dict[str, Node]
    columns: list[tuple[tuple[str, ...], list[tuple[Value, ...]]]]
    overrides: list[tuple[Mapping[str, When], dict[str, Node]]]
    sizes: list[tuple[Mapping[str, When], dict[str, Node]]]
    excludes: list[tuple[Mapping[str, When], str]]
    seeds: tuple[int, ...]
    at: Where
    problems: list[Problem] = field(default_factory=list)
    whens: list[Node] = field(default_factory=list)

    @property
    def axes(self) -> dict[str, list[Value]]:
        return {name: list({step[i].label: step[i] for step in steps}.values())
                for names, steps in self.columns for i, name in enumerate(names)}


def read_block(part: Node, last: Mapping[str, Node], profile: Node | None) -> Block:
    """The block that a mapping of the grid describes; `last` holds the settings of the command line."""
    empty = Node({}, part.at)
    problems: list[Problem] = []
    columns: list[tuple[tuple[str, ...], list[tuple[Value, ...]]]] = []
    for name, node in part.value.get("axes", empty).value.items():
        columns.append(((name,), [(value,) for value in _axis(name, node, problems)]))
    zipped = {name: _axis(name, node, problems) for name, node in part.value.get("zip", empty).value.items()}
    if zipped:
        lengths = {name: len(values) for name, values in zipped.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
            problems.append(Problem(f"the axes of zip differ in length: {told}", part.value["zip"].at.key("zip")))
        columns.append((tuple(zipped), list(zip(*zipped.values(), strict=False))))
    problems += [Problem(f"the axis {name!r} stands in `axes:` and in `zip:`", part.value["zip"].at.key("zip", name),
                         "keep one of them; null takes one of another file out")
                 for name in zipped if name in dict(part.value.get("axes", empty).value)]
    block = Block(base=dict(part.value.get("base", empty).leaves()), columns=columns, at=part.at, problems=problems,
                   overrides=_overrides(part), sizes=_overrides(profile) if profile else [],
                   excludes=[(_when(item), item.value["because"].value) for item in _items(part, "exclude")],
                   seeds=_seeds(part, problems))
    for key in set(last) & set(block.axes):
        problems.append(Problem(f"{key!r} is an axis of this grid", str(last[key].at), "choose from it with --only"))
    problems += _conflicts(block)
    items = [*_items(part, "overrides"), *_items(part, "exclude"), *(_items(profile, "overrides") if profile else [])]
    block.whens = [item.value["when"] for item in items if "when" in item.value]
    return block


def _overrides(part: Node) -> list[tuple[Mapping[str, When], dict[str, Node]]]:
    return [(_when(item), dict(item.value["set"].leaves())) for item in _items(part, "overrides")]


def _items(part: Node, key: str) -> list[Node]:
    return list(part.value[key].value) if key in part.value else []


def _when(item: Node) -> dict[str, When]:
    when = item.value["when"].value if "when" in item.value else {}
    return {key: When.of(key, leaf.value if isinstance(leaf.value, list) else [leaf]) for key, leaf in when.items()}


@dataclass(frozen=True)
class When:
    """What a clause wants of an axis or field: one of these labels, or one of these values as the field holds them."""

    labels: frozenset[str]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, key: str, wanted: list[Node]) -> When:
        """`wanted` as labels are written, and as the field `key` reads them."""
        return cls(frozenset(map(_label, wanted)), tuple(as_field(key, node.plain()) for node in wanted))

    def holds(self, value: Any) -> bool:
        """Whether the field has one of the values."""
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values)


def as_field(key: str, value: Any) -> Any:
    """The value as a run holds it: 100 is 100.0 among numbers, a list is a tuple. As it is where it is wrong."""
    try:
        return field_type(key).validate_python(value) if key in fields() else value
    except ValidationError:
        return value


def _axis(name: str, node: Node, problems: list[Problem]) -> list[Value]:
    """The values of an axis: a list of values of the field that it is named after, or named bundles of settings."""
    where = node.at.key("axes", name)
    if isinstance(node.value, list):
        if name not in fields() and not name.startswith("data."):
            problems.append(Problem(f"the axis {name!r} is not a field, so its values must be named bundles", where,
                                    f"write label: {{field: value}}, or name a field: {nearest(name, fields())}"))
        values = [Value(_label(v), {name: Node(v.value, v.at)}, v.at) for v in node.value]
    elif isinstance(node.value, dict):
        values = [Value(label, dict(v.leaves()), v.at) for label, v in node.value.items() if isinstance(v.value, dict)]
        problems += [Problem(f"the value of {label!r} is not a bundle of settings", v.at.key("axes", name, label),
                             "write label: {field: value, …}")
                     for label, v in node.value.items() if not isinstance(v.value, dict)]
    else:
        values = []
        problems.append(Problem(f"the axis {name!r} is neither a list nor a mapping of labels", where))
    if not node.value and isinstance(node.value, list | dict):
        problems.append(Problem(f"the axis {name!r} is empty", where, "give it a value, or take the axis out"))
    seen: set[str] = set()
    for value in values:
        here = value.at.key("axes", name, value.label)
        if value.label in seen:
            problems.append(Problem(f"the value {value.label!r} stands twice in the axis {name!r}", here))
        seen.add(value.label)
        if not value.label.strip() or len(value.label) > LONGEST_LABEL or not value.label.isprintable():
            problems.append(Problem(f"the label {value.label!r} cannot be shown in a table", here,
                                    f"1 to {LONGEST_LABEL} printable characters"))
        problems += setting_problems(Node(value.settings, value.at))
    return values


def _label(node: Node) -> str:
    value = node.plain()
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _seeds(part: Node, problems: list[Problem]) -> tuple[int, ...]:
    node = part.value.get("seeds")
    if node is None:
        return (0,)
    if isinstance(node.value, dict):
        return tuple(range(node.value["range"].value))
    seeds = node.plain()
    for seed in {s for s in seeds if seeds.count(s) > 1}:
        problems.append(Problem(f"the seed {seed} stands twice", node.at.key("seeds")))
    if not seeds:
        problems.append(Problem("there is no seed", node.at.key("seeds"), "write seeds: [0], or seeds: {range: 3}"))
    return tuple(seeds)


def _conflicts(block: Block) -> Iterator[Problem]:
    """Two axes that set one field to different values would silently depend on their order."""
    for (a, left), (b, right) in itertools.combinations(block.axes.items(), 2):
        for key in {k for v in left for k in v.settings} & {k for v in right for k in v.settings}:
            values = {repr(v.settings[key].plain()) for v in [*left, *right] if key in v.settings}
            if len(values) > 1:
                yield Problem(f"both the axis {a!r} and the axis {b!r} set {key!r}, to different values",
                              left[0].at.key("axes", a), "set it in one of them, or in overrides: [{when: …, set: …}]")


def when_problems(when: Node, axes: Mapping[str, list[str]]) -> Iterator[Problem]:
    """What is wrong with a `when`; `axes` are those of all blocks, since a clause of the grid holds in each of them."""
    for key, leaf in when.value.items():
        wanted = leaf.value if isinstance(leaf.value, list) else [leaf]
        labels = axes.get(key, [])
        unknown = [node for node in wanted if _label(node) not in labels]
        if key in fields() or key.startswith("data.") and key not in axes:
            for node in unknown:
                yield from value_problems(key, Node(node.value, leaf.at))
        elif key not in axes:
            yield Problem(f"`when` names {key!r}, which is neither an axis nor a field", leaf.at.key("when", key),
                          nearest(key, [*axes, *fields()]))
        else:
            for value in (node.plain() for node in unknown if key in axes):
                yield Problem(f"the axis {key!r} has no value {value!r}", leaf.at.key("when", key),
                              nearest(str(value), labels))
