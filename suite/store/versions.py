"""Runs of user code that a store has in another version, or under the identity of earlier releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from suite.config import plugin
from suite.config.fields import SOURCES
from suite.config.own import Named, named, names, with_sources
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files.counted import counted
from suite.grid.model import Grid, GridRun
from suite.store.folder import read_config
from suite.store.state import State
from suite.store.store import Store


@dataclass(frozen=True)
class Version:
    """A run `run_id` of the store that differs from `wanted` only in its user code; `differences` in words."""

    wanted: GridRun
    run_id: str
    names: tuple[str, ...]
    differences: tuple[str, ...]


def as_kept(grid: Grid, store: Store) -> Grid:
    """The grid, with the earlier identity for those runs that the store has only under that identity.

    Earlier releases identified user code by the text of its class or function. Such a run counts, under its old id, as
    long as this text is unchanged; `plan` mentions it.
    """
    if not names(run.config for run in grid.whole.runs):
        return grid
    there = set(store.run_ids()) if store.root.is_dir() else set()
    known: dict[str, str] = {}
    found = [tuple(_as_kept(run, there, known) for run in runs) for runs in (grid.runs, grid.left_out)]
    return replace(grid, runs=found[0], left_out=found[1])


def _as_kept(run: GridRun, there: set[str], known: dict[str, str]) -> GridRun:
    own = list(named(run.config))
    if not own or run.run_id in there:
        return run
    for one in own:
        known.setdefault(one.name, plugin.earlier(one.name))
    earlier = with_sources(run.config, {SOURCES[one.field]: known[one.name] for one in own})
    return GridRun(earlier, earlier.run_id, run.labels) if earlier.run_id in there else run


def earlier_identity(runs: Iterable[GridRun]) -> dict[str, int]:
    """The number of runs that are identified by the text of a class or function alone, by its name."""
    counts: dict[str, int] = {}
    for run in {run.run_id: run for run in runs}.values():
        for one in named(run.config):
            if plugin.is_earlier(one.source):
                counts[one.name] = counts.get(one.name, 0) + 1
    return counts


def versions(runs: Iterable[GridRun], store: Store) -> list[Version]:
    """The runs in the store that differ from these runs only in the version of user code."""
    wanted = {_without_sources(run.config): run for run in runs if list(named(run.config))}
    ids = {run.run_id for run in wanted.values()}
    found = []
    for run_id, config in _configs(store, names(run.config for run in wanted.values())) if wanted else ():
        run = wanted.get(_without_sources(config))
        if run is not None and run_id not in ids and store.state(run_id).name != State.TODO:
            pairs = [(one, other) for one, other in zip(named(config), named(run.config), strict=True)
                     if one.source != other.source]
            found.append(Version(run, run_id, tuple(one.name for one, _ in pairs), tuple(_words(pairs))))
    return found


def _words(pairs: Iterable[tuple[Named, Named]]) -> Iterator[str]:
    for before, now in pairs:
        yield from plugin.differences(before.source, now.source)


def _without_sources(config: RunConfig) -> str:
    """The configuration of a run without the version of its user code, as canonical JSON."""
    return with_sources(config, dict.fromkeys((SOURCES[one.field] for one in named(config)), "")).canonical


def _configs(store: Store, own: Iterable[str]) -> Iterator[tuple[str, RunConfig]]:
    """The runs of a store that name any of this code. Other configurations are not parsed: there may be thousands."""
    marks = [f'"{name}"'.encode() for name in own]
    for run_id in store.run_ids() if store.root.is_dir() else ():
        try:
            content = (store.root / run_id / "config.json").read_bytes()
            if any(mark in content for mark in marks):
                yield run_id, read_config(store.root / run_id)
        except (OSError, UserError):
            continue


def remarks(runs: Iterable[GridRun], store: Store) -> list[str]:
    """Remarks on user code for `plan`: a line for each name and kind of difference."""
    runs = list(runs)
    lines = [f"{counted(count, 'run')} of {name} {'has' if count == 1 else 'have'} an earlier identity: the text of "
             "the class or function alone, not of what it imports"
             for name, count in earlier_identity(runs).items()]
    groups: dict[str, list[Version]] = {}
    for one in versions(runs, store):
        groups.setdefault(" and ".join(one.names), []).append(one)
    for name, found in groups.items():
        changes = list(dict.fromkeys(change for one in found for change in one.differences))
        lines.append(f"{counted(len(found), 'run')} of an earlier version of {name} "
                     f"{'is' if len(found) == 1 else 'are'} in the store: {'; '.join(changes)}")
    return lines
