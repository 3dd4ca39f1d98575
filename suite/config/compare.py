"""The differences between configurations: from one of them, or from the most frequent values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from suite.config.fields import Flat
from suite.config.run_config import RunConfig


def settings(config: RunConfig) -> Flat:
    """All fields of a run by dotted name, without its seed."""
    return {key: value for key, value in config.flat().items() if key != "seed"}


def usual(all_settings: Iterable[Mapping[str, Any]]) -> Flat:
    """The most frequent value of each field. The first one wins a tie."""
    columns: dict[str, list[Any]] = {}
    for one in all_settings:
        for key, value in one.items():
            columns.setdefault(key, []).append(value)
    found = {}
    for key, values in columns.items():
        texts = list(map(repr, values))
        found[key] = values[texts.index(Counter(texts).most_common(1)[0][0])]
    return found


def differences(one: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields whose values differ, as (value in `one`, value in `base`). A missing field counts as None."""
    return {key: (one.get(key), base.get(key)) for key in dict.fromkeys([*base, *one]) if one.get(key) != base.get(key)}
