"""The combinations of a block: one value of each axis, and the settings that come of it in the order of precedence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from suite.config.run_config import fields
from suite.files.yaml import Node
from suite.grid.axes import Block, as_field
from suite.grid.command_line import CommandLine


@dataclass(frozen=True)
class Combination:
    """One combination of a block. `replaced` are settings of the grid that the profile or `--set` changed."""

    labels: dict[str, str]
    settings: Mapping[str, Node]
    replaced: Mapping[str, Node]

    @property
    def name(self) -> str:
        """Its label on each axis, for error messages."""
        return ", ".join(f"{axis} {label}" for axis, label in self.labels.items()) or "the only run"


def combinations(block: Block, command: CommandLine) -> Iterator[Combination]:
    """All combinations, the last axis fastest. Later settings replace earlier ones: base, axes, overrides, profile,
    `--set`.

    The profile leaves a field that is an axis alone: to vary a size is a question. `--set` leaves combinations alone
    that `--only` rules out: a variant of one task's data is no mistake in the others.
    """
    known = {name: [value.label for value in values] for name, values in block.axes.items()}
    for steps in itertools.product(*(column.steps for column in block.columns)):
        labels: dict[str, str] = {}
        settings = dict(block.base)
        for column, step in zip(block.columns, steps, strict=True):
            for name, value in zip(column.names, step, strict=True):
                labels[name] = value.label
                settings.update(value.settings)
        for override in block.overrides:
            if override.when.matches(labels, partial(_value, settings)):
                settings.update(override.settings)
        before = dict(settings)
        for size in block.sizes:
            if size.when.matches(labels, partial(_value, settings)):
                settings.update({key: node for key, node in size.settings.items() if key not in labels})
        if command.sets and command.wants(labels, settings, known):
            settings.update(command.sets)
        yield Combination(labels, settings, {key: node for key, node in before.items() if node is not settings[key]
                                             and node.plain() != settings[key].plain()})


def _value(settings: Mapping[str, Node], key: str) -> object:
    """A field's value in a combination whose configuration is not made yet."""
    if key in settings:
        return as_field(key, settings[key].plain())
    return fields()[key].default if key in fields() else None
