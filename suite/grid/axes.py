"""The axes of a grid and of its blocks: labels, bundles of settings, seeds, and their errors."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pydantic import ValidationError

from suite.config.run_config import field_type, fields, is_field
from suite.errors import Problem, Problems, nearest
from suite.files.yaml import Node, Where, one_form
from suite.grid.checks import setting_problems, value_problems

LONGEST_LABEL = 80


@dataclass(frozen=True)
class Value:
    """One value of an axis: its label, and its settings."""

    label: str
    settings: Mapping[str, Node]
    at: Where


@dataclass(frozen=True)
class Column:
    """Axes that vary together: one of `axes:`, or those of a group of `zip:`. A step has one value for each of them."""

    names: tuple[str, ...]
    steps: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True)
class Wanted:
    """What a clause asks for one axis or field: one of these labels, or one of these values of the field's type."""

    labels: frozenset[str]
    values: tuple[object, ...]

    @classmethod
    def of(cls, key: str, wanted: Iterable[Node]) -> Wanted:
        """`wanted` as labels, and as values of the field `key`."""
        return cls(frozenset(map(_label, wanted)), tuple(as_field(key, node.plain()) for node in wanted))

    def holds(self, value: object) -> bool:
        """Whether the field has one of the values. In Python True equals 1; in a field it does not."""
        return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values)


@dataclass(frozen=True)
class When:
    """The clause `when`: conditions on axes and fields, all of which must hold. `text` is for error messages."""

    wanted: Mapping[str, Wanted]
    text: Node

    @classmethod
    def read(cls, item: Node) -> When:
        """The clause of an item of `overrides` or `exclude`. Without a clause, every combination matches."""
        text = Node(item.get("when", {}), item.at)
        return cls({key: Wanted.of(key, _as_list(leaf)) for key, leaf in text.value.items()}, text)

    def matches(self, labels: Mapping[str, str], value_of: Callable[[str], object]) -> bool:
        """Whether a combination with these labels and values of its fields matches."""
        return all(labels.get(key) in one.labels or one.holds(value_of(key)) for key, one in self.wanted.items())


@dataclass(frozen=True)
class Override:
    """Settings that replace others in the combinations that `when` matches."""

    when: When
    settings: Mapping[str, Node]


@dataclass(frozen=True)
class Exclusion:
    """Leaves out the combinations that `when` matches, for a reason."""

    when: When
    because: str


@dataclass(frozen=True)
class Block:
    """One sub-grid: all combinations of its columns. `sizes` are the profile's overrides, applied after its own."""

    base: Mapping[str, Node]
    columns: tuple[Column, ...]
    overrides: tuple[Override, ...]
    sizes: tuple[Override, ...]
    exclusions: tuple[Exclusion, ...]
    seeds: tuple[int, ...]
    at: Where
    base_steps: tuple[int | None, ...] = ()  # of an ablation: each column's step in the base, None if free

    @cached_property
    def paths(self) -> list[tuple[Column, ...]]:
        """Columns whose products are the combinations: those of the block, or for an ablation its base and changes."""
        if not self.base_steps:
            return [self.columns]
        base = [column if step is None else Column(column.names, column.steps[step:step + 1])
                for column, step in zip(self.columns, self.base_steps, strict=True)]
        changes = [(*base[:i], Column(column.names, (other,)), *base[i + 1:])
                   for i, (column, step) in enumerate(zip(self.columns, self.base_steps, strict=True))
                   if step is not None for j, other in enumerate(column.steps) if j != step]
        return [tuple(base), *changes]

    @property
    def size(self) -> int:
        """The largest number of runs that the block can have."""
        return sum(math.prod(len(column.steps) for column in path) for path in self.paths) * len(self.seeds)

    @cached_property
    def axes(self) -> dict[str, list[Value]]:
        """The values of each axis, in order."""
        return {name: list({step[i].label: step[i] for step in column.steps}.values())
                for column in self.columns for i, name in enumerate(column.names)}

    @property
    def whens(self) -> list[When]:
        """The clauses of its overrides and exclusions, and of the profile."""
        return [*(override.when for override in self.overrides), *(exclusion.when for exclusion in self.exclusions),
                *(size.when for size in self.sizes)]


def read_block(part: Node, sets: Mapping[str, Node], profile: Node | None, problems: Problems) -> Block:
    """The block described by a mapping of the grid. `sets` are the settings of the command line.

    Errors are added to `problems`. Clauses are checked later, since they may name axes of other blocks.
    """
    columns = _columns(part, problems)
    block = Block(base=dict(Node(part.get("base", {}), part.at).leaves()), columns=columns,
                  base_steps=_base_steps(part, columns, problems),
                  overrides=_overrides(part), sizes=_overrides(profile) if profile else (),
                  exclusions=tuple(Exclusion(When.read(item), item.get("because")) for item in part.get("exclude", [])),
                  seeds=_seeds(part, problems), at=part.at)
    problems.add(*(Problem(f"cannot set {key!r}: it is an axis of this grid", str(sets[key].at),
                           "select some of its values with --only") for key in sets if key in block.axes))
    problems.add(*_conflicts(block))
    return block


def _columns(part: Node, problems: Problems) -> tuple[Column, ...]:
    """The columns of a grid or block: one for each axis of `axes`, and one for each group of `zip`."""
    columns = [Column((name,), tuple((value,) for value in _axis(name, node, problems)))
               for name, node in part.get("axes", {}).items()]
    zipped = part.child("zip")
    groups = [] if zipped is None or not zipped.value else zipped.value if isinstance(zipped.value, list) else [zipped]
    seen = dict.fromkeys(part.get("axes", {}), "`axes:` and `zip:`")
    for group in groups:
        problems.add(*(Problem(f"axis {name!r} is defined in both {seen[name]}", group.at.key("zip", name),
                               "keep one of them; to remove one that another file defines, set it to null")
                       for name in group.value if name in seen))
        seen |= dict.fromkeys(group.value, "groups of `zip:`")
        if group.value:
            columns.append(_together(group, problems))
    return tuple(columns)


def _together(group: Node, problems: Problems) -> Column:
    """The axes of one group of `zip`."""
    values = {name: _axis(name, node, problems) for name, node in group.value.items()}
    if len({len(one) for one in values.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(one)}" for name, one in values.items())
        problems.add(Problem(f"the axes of `zip:` differ in length: {lengths}", group.at.key("zip")))
    return Column(tuple(values), tuple(zip(*values.values(), strict=False)))


def _base_steps(part: Node, columns: tuple[Column, ...], problems: Problems) -> tuple[int | None, ...]:
    """The step of each column in the base of `ablate:`. Empty without `ablate:`."""
    ablate = part.child("ablate")
    base = ablate.child("base") if ablate is not None and ablate.value is not None else None
    if base is None:
        return ()
    names = [name for column in columns for name in column.names]
    problems.add(*(Problem(f"`ablate:` names {key!r}, which is not an axis", node.at.key("ablate.base", key),
                           nearest(key, names)) for key, node in base.value.items() if key not in names))
    return tuple(_base_step(base, column, problems) for column in columns)


def _base_step(base: Node, column: Column, problems: Problems) -> int | None:
    wanted = {name: base.value[name] for name in column.names if name in base.value}
    if not wanted:
        return None
    for i, step in enumerate(column.steps):
        labels = {name: value.label for name, value in zip(column.names, step, strict=True)}
        if all(labels[name] == _label(node) for name, node in wanted.items()):
            return i
    name, node = next(iter(wanted.items()))
    known = dict.fromkeys(step[column.names.index(name)].label for step in column.steps)
    problems.add(Problem(f"axis {name!r} has no value {node.plain()!r}", node.at.key("ablate.base", name),
                         nearest(str(node.plain()), known)))
    return None


def _overrides(part: Node) -> tuple[Override, ...]:
    return tuple(Override(When.read(item), dict(item.value["set"].leaves())) for item in part.get("overrides", []))


def as_field(key: str, value: object) -> object:
    """The value in the field's type: in a field of real numbers 100 becomes 100.0, and a list becomes a tuple.

    An invalid value is returned unchanged.
    """
    try:
        return field_type(key).validate_python(value) if is_field(key) else value
    except ValidationError:
        return value


def _axis(name: str, node: Node, problems: Problems) -> list[Value]:
    """The values of an axis: a list of values of the field of the same name, or named bundles of settings."""
    where = node.at.key("axes", name)
    values: list[Value] = []
    if isinstance(node.value, list):
        if not is_field(name) and not name.startswith("data."):
            problems.add(Problem(f"axis {name!r} is not a field, so its values must be named bundles", where,
                                 f"write label: {{field: value}}, or name a field: {nearest(name, fields())}"))
        values = [Value(_label(v), {name: Node(v.value, v.at)}, v.at) for v in node.value]
    elif isinstance(node.value, dict):
        values = [Value(label, dict(v.leaves()), v.at) for label, v in node.value.items() if isinstance(v.value, dict)]
        problems.add(*(Problem(f"value {label!r} must be a mapping of settings", v.at.key("axes", name, label),
                               "write label: {field: value, …}")
                       for label, v in node.value.items() if not isinstance(v.value, dict)))
    else:
        problems.add(Problem(f"axis {name!r} must be a list of values or a mapping of labels", where))
    if node.value in ([], {}):
        problems.add(Problem(f"axis {name!r} is empty", where, "add a value or remove the axis"))
    problems.add(*_value_problems(name, values))
    return values


def _value_problems(name: str, values: Iterable[Value]) -> Iterator[Problem]:
    seen: set[str] = set()
    for value in values:
        where = value.at.key("axes", name, value.label)
        if value.label in seen:
            yield Problem(f"duplicate value {value.label!r} in axis {name!r}", where)
        seen.add(value.label)
        if not value.label.strip() or len(value.label) > LONGEST_LABEL or not value.label.isprintable():
            yield Problem(f"the label {value.label!r} cannot be shown in a table", where,
                          f"use 1 to {LONGEST_LABEL} printable characters")
        yield from setting_problems(Node(value.settings, value.at))


def _label(node: Node) -> str:
    value = node.plain()
    if isinstance(value, bool):
        return str(value).lower()
    return one_form(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _as_list(leaf: Node) -> list[Node]:
    return leaf.value if isinstance(leaf.value, list) else [leaf]


def _seeds(part: Node, problems: Problems) -> tuple[int, ...]:
    node = part.child("seeds")
    if node is None:
        return (0,)
    if isinstance(node.value, dict):
        return tuple(range(node.get("range")))
    seeds: list[int] = node.plain()
    problems.add(*(Problem(f"duplicate seed {seed}", node.at.key("seeds"))
                   for seed, count in Counter(seeds).items() if count > 1))
    if not seeds:
        problems.add(Problem("`seeds:` is empty", node.at.key("seeds"), "write seeds: [0] or seeds: {range: 3}"))
    return tuple(seeds)


def _conflicts(block: Block) -> Iterator[Problem]:
    """Problems of two axes that set one field to different values: the result would silently depend on their order."""
    for (a, left), (b, right) in itertools.combinations(block.axes.items(), 2):
        for key in sorted({k for v in left for k in v.settings} & {k for v in right for k in v.settings}):
            values = {repr(v.settings[key].plain()) for v in [*left, *right] if key in v.settings}
            if len(values) > 1:
                yield Problem(f"axes {a!r} and {b!r} both set {key!r}, to different values",
                              left[0].at.key("axes", a), "set it in one of them, or in overrides: [{when: …, set: …}]")


def when_problems(when: When, axes: Mapping[str, list[str]]) -> Iterator[Problem]:
    """What is wrong with a `when`. `axes` are those of all blocks, since clauses of the grid apply to every block."""
    for key, leaf in when.text.value.items():
        labels = axes.get(key, [])
        unknown = [node for node in _as_list(leaf) if _label(node) not in labels]
        if is_field(key) or key.startswith("data.") and key not in axes:
            for node in unknown:
                yield from value_problems(key, Node(node.value, leaf.at))
        elif key not in axes:
            yield Problem(f"`when` names {key!r}, which is neither an axis nor a field", leaf.at.key("when", key),
                          nearest(key, [*axes, *fields()]))
        else:
            for value in (node.plain() for node in unknown):
                yield Problem(f"axis {key!r} has no value {value!r}", leaf.at.key("when", key),
                              nearest(str(value), labels))
