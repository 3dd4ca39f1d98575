"""`--only`: which runs of a grid are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suite.config.run_config import fields
from suite.errors import UserError, nearest
from suite.grid.model import GridRun


def wanted_values(only: Iterable[str]) -> dict[str, list[str]]:
    """The values that `--only` asks for, by axis or field."""
    wanted: dict[str, list[str]] = {}
    for text in only:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--only {text}: it must read axis=label or field=value")
        wanted.setdefault(key, []).append(value)
    return wanted


def is_one_of(values: list[str], key: str, labels: Mapping[str, str], value: Any) -> bool:
    lower = [text.lower() for text in values]
    return labels.get(key, "").lower() in lower or (key in fields() and str(value).lower() in lower)


def chosen_runs(runs: list[GridRun], wanted: Mapping[str, list[str]],
            axes: Mapping[str, list[str]]) -> tuple[tuple[GridRun, ...], tuple[GridRun, ...]]:
    """The runs that `--only` asks for, and the others."""
    chosen = runs
    for key, values in wanted.items():
        if key not in axes and key not in fields():
            raise UserError(f"unknown axis or field {key!r}", f"--only {key}={values[0]}",
                            nearest(key, [*axes, *fields()]))
    for key, values in wanted.items():
        there = list(dict.fromkeys([*axes.get(key, ()), *(str(r.config.get(key)) for r in chosen if key in fields())]))
        for value in values:
            if value.lower() not in [t.lower() for t in there]:
                raise UserError(f"--only {key}={value}: no run has that value", "", nearest(value, there))
        chosen = [r for r in chosen
                  if is_one_of(values, key, r.labels, r.config.get(key) if key in fields() else None)]
    if wanted and not chosen:
        told = " and ".join(f"{key}={'|'.join(values)}" for key, values in wanted.items())
        raise UserError(f"--only: no run fits {told}")
    asked = set(map(id, chosen))
    return tuple(chosen), tuple(run for run in runs if id(run) not in asked)
