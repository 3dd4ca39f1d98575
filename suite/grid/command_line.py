"""`--set` and `--only`: what the command line changes in a grid, and which of its runs it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import filterfalse

from suite.config.run_config import ARGUMENTS, RunConfig, fields, is_field
from suite.errors import Problem, Problems, UserError, nearest
from suite.files.yaml import Node, Where, parse_yaml
from suite.grid.checks import value_problems
from suite.grid.model import GridRun


@dataclass(frozen=True)
class CommandLine:
    """`sets` are the settings of `--set` by field, `only` the values of `--only` by axis or field."""

    sets: Mapping[str, Node]
    only: Mapping[str, list[str]]
    changes: tuple[str, ...]  # the options as they were written

    @classmethod
    def read(cls, sets: Iterable[str], only: Iterable[str]) -> CommandLine:
        """The options whose values are the texts `field=value` and `axis=label`.

        Raises UserError for a text of another form, and for a setting that no field or option can have.
        """
        sets, only = tuple(sets), tuple(only)
        changes = (*(f"--set {text}" for text in sets), *(f"--only {text}" for text in only))
        return cls(_settings(sets), _values(only), changes)

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
            if key not in axes and not is_field(key):
                raise UserError(f"unknown axis or field {key!r}", f"--only {key}={values[0]}",
                                nearest(key, [*axes, *fields()]))
        for key, values in self.only.items():
            there = [*axes.get(key, ()), *(str(_field(run.config, key)) for run in runs if is_field(key))]
            known = {text.lower() for text in there}
            for value in values:
                if value.lower() not in known:
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
        whole = Node(parse_yaml(f"value: {value}", str(at)).get("value"), at)
        nested = key.strip() in ARGUMENTS and isinstance(whole.value, dict)
        for name, leaf in Node({key.strip(): whole}, at).leaves() if nested else ((key.strip(), whole),):
            problems.add(*value_problems(name, Node(leaf.value, at)))
            settings[name] = Node(leaf.value, at)
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
    return config.get(key) if is_field(key) else None


def _is_one_of(values: Iterable[str], key: str, labels: Mapping[str, str], value: object) -> bool:
    """Whether the label on the axis `key`, or the value of the field `key`, is one of the texts. Case is ignored."""
    lower = [text.lower() for text in values]
    return labels.get(key, "").lower() in lower or (is_field(key) and str(value).lower() in lower)
