"""`--set`, `--seeds` and `--only`: what the command line changes in a grid, and which of its runs it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import filterfalse

from suite.config.run_config import RunConfig, fields
from suite.errors import Problem, Problems, UserError, nearest
from suite.files.yaml import Node, Where, parse_yaml
from suite.grid.checks import value_problems
from suite.grid.model import GridRun


@dataclass(frozen=True)
class CommandLine:
    """`sets` are the settings of `--set` by field, `only` the values of `--only` by axis or field.

    `seeds` is how many seeds there are in place of the grid's, from 0 on; None leaves these.
    """

    sets: Mapping[str, Node]
    only: Mapping[str, list[str]]
    changes: tuple[str, ...]  # the options as they were written
    seeds: int | None = None

    @classmethod
    def read(cls, sets: Iterable[str], only: Iterable[str], seeds: int | None = None) -> CommandLine:
        """The options whose values are the texts `field=value` and `axis=label`, and a number of seeds.

        Raises UserError for a text of another form, and for a setting that no field or option can have.
        """
        sets, only = tuple(sets), tuple(only)
        changes = (*(f"--set {text}" for text in sets), *(f"--only {text}" for text in only))
        if seeds is not None:
            changes = (*changes, f"--seeds {seeds}")
        return cls(_settings(sets), _values(only), changes, seeds)

    def wants(self, labels: Mapping[str, str], settings: Mapping[str, Node]) -> bool:
        """Whether `--only` leaves a combination in, as far as its labels and settings say. `--set` has the last word
        on a field that both name."""
        return all(_is_one_of(values, key, labels, settings[key].value if key in settings else None)
                   for key, values in self.only.items() if key not in self.sets and (key in labels or key in settings))

    def choose(self, runs: Iterable[GridRun], axes: Mapping[str, list[str]],
               ) -> tuple[tuple[GridRun, ...], tuple[GridRun, ...]]:
        """The runs that `--only` asks for, and the others. `axes` are the labels of each axis of the grid.

        Raises UserError for an unknown axis, field or value, and if no run has all of the values.
        """
        runs = tuple(runs)
        self._check_only(runs, axes)
        chosen = tuple(filter(self._asks_for, runs))
        if self.only and not chosen:
            asked = " and ".join(f"{key}={'|'.join(values)}" for key, values in self.only.items())
            raise UserError(f"--only: no run matches {asked}")
        return chosen, tuple(filterfalse(self._asks_for, runs))

    def _asks_for(self, run: GridRun) -> bool:
        return all(_is_one_of(values, key, run.labels, _field(run.config, key)) for key, values in self.only.items())

    def _check_only(self, runs: Iterable[GridRun], axes: Mapping[str, list[str]]) -> None:
        """Raises UserError for an unknown axis or field, or for a value that none of the runs left has."""
        for key, values in self.only.items():
            if key not in axes and key not in fields():
                raise UserError(f"unknown axis or field {key!r}", f"--only {key}={values[0]}",
                                nearest(key, [*axes, *fields()]))
        for key, values in self.only.items():
            there = [*axes.get(key, ()), *(str(_field(run.config, key)) for run in runs if key in fields())]
            for value in values:
                if not any(map(partial(_fits, value), there)):
                    raise UserError(f"--only {key}={value}: no run has that value", "",
                                    nearest(value, dict.fromkeys(there)))
            runs = [run for run in runs if _is_one_of(values, key, run.labels, _field(run.config, key))]


def _settings(sets: Iterable[str]) -> dict[str, Node]:
    settings: dict[str, Node] = {}
    problems = Problems()
    for text in sets:
        key, equals, value = text.partition("=")
        at = Where(f"--set {text}")
        if not equals or not key.strip():
            problems.add(Problem("expected field=value", str(at)))
            continue
        leaf = Node(parse_yaml(f"value: {value}", str(at)).get("value"), at)
        problems.add(*value_problems(key.strip(), leaf))
        settings[key.strip()] = leaf
    problems.raise_if_any()
    return settings


def _values(only: Iterable[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in only:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--only {text}: expected axis=label or field=value")
        wanted.setdefault(key, []).append(value)
    return wanted


def _field(config: RunConfig, key: str) -> object:
    return config.get(key) if key in fields() else None


def _is_one_of(values: Iterable[str], key: str, labels: Mapping[str, str], value: object) -> bool:
    """Whether the label on the axis `key`, or the value of the field `key`, fits one of the texts."""
    return any(key in labels and _fits(text, labels[key]) or key in fields() and _fits(text, str(value))
               for text in values)


def _fits(text: str, label: str) -> bool:
    """Whether a text of `--only` is the label, or a pattern that it fits: * ? [abc]. Case is ignored."""
    return text.lower() == label.lower() or fnmatchcase(label.lower(), text.lower())
