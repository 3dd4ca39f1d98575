"""The user's code that a run names, as `module:name`, and the fields that identify it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from suite.config.fields import SOURCES
from suite.config.run_config import RunConfig


@dataclass(frozen=True)
class Named:
    """User code in a run: the field that names it (`model.name`), the name, and its identity when it was planned."""

    field: str
    name: str
    source: str


def named(config: RunConfig) -> Iterator[Named]:
    """The user code of a run."""
    for field, source in SOURCES.items():
        if ":" in config.get(field):
            yield Named(field, config.get(field), config.get(source))


def names(configs: Iterable[RunConfig]) -> list[str]:
    """The names of all user code in these runs, without duplicates."""
    return list(dict.fromkeys(one.name for config in configs for one in named(config)))


def with_sources(config: RunConfig, sources: dict[str, str]) -> RunConfig:
    """The same run with other identities of its user code, by field (`model.name_source`, …)."""
    changed: dict[str, dict[str, object]] = {}
    for field, text in sources.items():
        group, _, key = field.partition(".")
        changed.setdefault(group, getattr(config, group).model_dump())[key] = text
    groups = {group: type(getattr(config, group)).model_validate(values) for group, values in changed.items()}
    return RunConfig.model_construct(None, **{name: groups.get(name, getattr(config, name))
                                              for name in RunConfig.model_fields})
