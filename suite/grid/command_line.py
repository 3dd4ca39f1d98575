"""`--set`, `--seeds` and `--only`: what the command line changes in a grid, and which of its runs it selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from suite.config.run_config import ARGUMENTS, RunConfig, fields, is_field
from suite.errors import Problem, Problems, UserError, nearest
from suite.files.yaml import FLOAT, INT, Node, Where, one_form, parse_yaml
from suite.grid.checks import value_problems
from suite.grid.model import GridRun


@dataclass(frozen=True)
class CommandLine:
    """`sets` are the settings of `--set` by field, `only` the values of `--only` by axis or field.

    `seeds` is a number of seeds, 0 to `seeds` - 1, that replaces the grid's list; None keeps that list.
    """

    sets: Mapping[str, Node]
    only: Mapping[str, list[str]]
    changes: tuple[str, ...]  # the options as they were written
    seeds: int | None = None

    @classmethod
    def read(cls, sets: Iterable[str], only: Iterable[str], seeds: int | None = None) -> CommandLine:
        """Parse `sets`, texts `field=value`, and `only`, texts `axis=label`.

        Raises UserError for a malformed text or an invalid setting.
        """
        sets, only = tuple(sets), tuple(only)
        changes = (*(f"--set {text}" for text in sets), *(f"--only {text}" for text in only))
        if seeds is not None:
            changes = (*changes, f"--seeds {seeds}")
        return cls(_settings(sets), _values(only), changes, seeds)

    def wants(self, labels: Mapping[str, str], settings: Mapping[str, Node], axes: Mapping[str, Iterable[str]]) -> bool:
        """Whether `--only` keeps a combination, as far as its labels and settings show. `axes` are the labels of each
        axis. A field that `--set` also names is not checked."""
        for key, values in self.only.items():
            own = {labels[key]} if key in labels else set()
            own |= {str(settings[key].plain())} if key in settings else set()
            if key not in self.sets and own and not own & _meant(values, [*axes.get(key, ()), *own]):
                return False
        return True

    def choose(self, runs: Iterable[GridRun], axes: Mapping[str, list[str]],
               ) -> tuple[tuple[GridRun, ...], tuple[GridRun, ...]]:
        """The runs that `--only` selects, and the others. `axes` are the labels of each axis of the grid.

        Raises UserError for an unknown axis, field or value, and if no run has all of the values.
        """
        runs = tuple(runs)
        self._check_only(runs, axes)
        wanted = {key: _meant(values, _there(key, runs, axes)) for key, values in self.only.items()}
        chosen = tuple(run for run in runs if _has(run, wanted))
        if self.only and not chosen:
            asked = " and ".join(f"{key}={'|'.join(values)}" for key, values in self.only.items())
            raise UserError(f"--only: no run matches {asked}")
        return chosen, tuple(run for run in runs if not _has(run, wanted))

    def _check_only(self, runs: Iterable[GridRun], axes: Mapping[str, list[str]]) -> None:
        """Raises UserError for an unknown axis or field, or for a value that none of the remaining runs has."""
        for key, values in self.only.items():
            if key not in axes and not is_field(key):
                raise UserError(f"unknown axis or field {key!r}", f"--only {key}={values[0]}",
                                nearest(key, [*axes, *fields()]))
        for key, values in self.only.items():
            there = _there(key, runs, axes)
            for value in values:
                if not _meant([value], there):
                    raise UserError(f"--only {key}={value}: no run has that value", "",
                                    nearest(value, dict.fromkeys(there)))
            wanted = {key: _meant(values, there)}
            runs = [run for run in runs if _has(run, wanted)]


def _settings(sets: Iterable[str]) -> dict[str, Node]:
    settings: dict[str, Node] = {}
    problems = Problems()
    for text in sets:
        key, equals, value = text.partition("=")
        at = Where(f"--set {text}")
        if not equals or not key.strip():
            problems.add(Problem("expected field=value", str(at)))
            continue
        node = Node(parse_yaml(f"value: {value}", str(at)).get("value"), at)
        nested = key.strip() in ARGUMENTS and isinstance(node.value, dict)
        for name, leaf in Node({key.strip(): node}, at).leaves() if nested else ((key.strip(), node),):
            problems.add(*value_problems(name, Node(leaf.value, at)))
            if name in settings:
                problems.add(Problem(f"{name} is set twice", str(at), "keep one of them"))
            settings[name] = Node(leaf.value, at)
    problems.raise_if_any()
    return settings


def _values(only: Iterable[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in only:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--only {text}: expected axis=label or field=value")
        wanted.setdefault(one_form(key), []).append(one_form(value))
    return wanted


def _field(config: RunConfig, key: str) -> object:
    return config.get(key) if is_field(key) else None


def _there(key: str, runs: Iterable[GridRun], axes: Mapping[str, list[str]]) -> list[str]:
    """The labels of the axis of that name, and the values of that field in the runs."""
    return [*axes.get(key, ()), *(str(_field(run.config, key)) for run in runs if is_field(key))]


def _has(run: GridRun, wanted: Mapping[str, set[str]]) -> bool:
    """Whether the run's label, or the value of its field, is one of those for each key."""
    return all(run.labels.get(key) in texts or (is_field(key) and str(_field(run.config, key)) in texts)
               for key, texts in wanted.items())


def _meant(values: Iterable[str], there: Iterable[str]) -> set[str]:
    """The texts in `there` that the user means: the identical one; else those that are equal up to letter case, equal
    as numbers (`1e-3` is 0.001), or match as a pattern (* ? [abc], in any letter case)."""
    known = set(there)
    meant: set[str] = set()
    for value in values:
        lower, number = value.lower(), _number(value)
        meant |= {value} if value in known else {
            text for text in known if text.lower() == lower or fnmatchcase(text.lower(), lower)
            or (number is not None and _number(text) == number)}
    return meant


def _number(text: str) -> float | None:
    """The text as a number, as in a grid file. None if it is not a number."""
    return float(text.replace("_", "")) if INT.fullmatch(text) or FLOAT.fullmatch(text) else None
