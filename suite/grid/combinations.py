"""The combinations of a block: one value of each axis, and the settings that follow by the order of precedence."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from suite.config.run_config import fields
from suite.files.yaml import Node
from suite.grid.axes import Block, as_field
from suite.grid.command_line import CommandLine
from suite.grid.own_arguments import NOT_TAKEN, misplaced, not_taken

KERNEL_LENGTH = "ssm.kernel_length"


@dataclass(frozen=True)
class Combination:
    """One combination of a block.

    `replaced`: settings of the grid that the profile or `--set` changed. `left_out`: arguments that its user code does
    not take. `misplaced`: those among them that are certainly mistakes. `cut`: the profile's `ssm.kernel_length` if it
    cuts a kernel that the grid does not cut, or the reverse.
    """

    labels: dict[str, str]
    settings: Mapping[str, Node]
    replaced: Mapping[str, Node]
    left_out: Mapping[str, Node]
    misplaced: tuple[str, ...] = ()
    is_repeated: bool = False  # it differs from an earlier one only in left-out arguments
    cut: Node | None = None

    @property
    def name(self) -> str:
        """Its label on each axis, for error messages."""
        return ", ".join(f"{axis} {label}" for axis, label in self.labels.items()) or "the only run"


def combinations(block: Block, command: CommandLine) -> Iterator[Combination]:
    """All combinations, the last axis fastest. Later settings replace earlier ones: base, axes, overrides, profile,
    `--set`.

    A profile does not change a field that is an axis, since the grid studies that size. It may shorten a cut kernel
    along with the sequences, but only the grid decides whether a kernel is cut. `--set` does not change combinations
    that `--only` rules out: they may not have the data variant that it names. An axis of an argument that the user's
    code does not take gives only one combination.
    """
    seen: set[tuple[str, ...]] = set()
    known = {name: [value.label for value in values] for name, values in block.axes.items()}
    for steps in (steps for path in block.paths for steps in itertools.product(*(column.steps for column in path))):
        values = {name: value for column, step in zip(block.columns, steps, strict=True)
                  for name, value in zip(column.names, step, strict=True)}
        settings = dict(block.base)
        for value in values.values():
            settings.update(value.settings)
        left_out = not_taken(settings)
        labels = {name: NOT_TAKEN if value.settings and value.settings.keys() <= left_out.keys() else value.label
                  for name, value in values.items()}
        if left_out and tuple(labels.values()) in seen:
            yield Combination(labels, {}, {}, left_out, is_repeated=True)
            continue
        seen.add(tuple(labels.values()))
        wrong = tuple(misplaced(values.values(), left_out))
        yield _combined(block, partial(command.wants, axes=known), command.sets, labels,
                        {k: v for k, v in settings.items() if k not in left_out}, left_out, wrong)


def _combined(block: Block, wants: Callable[..., bool], sets: Mapping[str, Node], labels: dict[str, str],
              settings: dict[str, Node], left_out: dict[str, Node], wrong: tuple[str, ...]) -> Combination:
    """The combination, with overrides, profile and `--set` applied to the settings of base and axes."""
    for override in block.overrides:
        if override.when.matches(labels, partial(_value, settings)):
            settings.update(override.settings)
    before = dict(settings)
    for size in block.sizes:
        if size.when.matches(labels, partial(_value, settings)):
            settings.update({key: node for key, node in size.settings.items() if key not in labels})
    cut = _cut(before, settings)
    if sets and wants(labels, settings):
        settings.update(sets)
    later = not_taken(settings)
    settings = {key: node for key, node in settings.items() if key not in later}
    replaced = {key: node for key, node in before.items() if key in settings and node is not settings[key]
                and node.plain() != settings[key].plain()}
    return Combination(labels, settings, replaced, left_out | later, wrong, cut=cut)


def _cut(before: Mapping[str, Node], settings: Mapping[str, Node]) -> Node | None:
    """The kernel length that a profile sets, if it changes whether the kernel is cut; else None."""
    now, old = settings.get(KERNEL_LENGTH), before.get(KERNEL_LENGTH)
    if now is None or (now.plain() is None) == (old is None or old.plain() is None):
        return None
    return now


def _value(settings: Mapping[str, Node], key: str) -> object:
    """A field's value in a combination that has no configuration yet."""
    if key in settings:
        return as_field(key, settings[key].plain())
    return fields()[key].default if key in fields() else None
