"""Results that are kept for good: `results/<name>/{store,report}`, small, read-only to `run`, and checked.

`freeze` copies the finished runs of grids, and those that were stopped after an epoch, without checkpoints and logs,
and writes their report; `check` makes that report again from the frozen store and compares. `frozen.json` beside them
names the grids and how they were asked for.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from suite.errors import UserError
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.saved import sha256
from suite.store.folder import FROZEN, MANIFEST, STORE
from suite.store.state import RunState
from suite.store.store import Store

RESULT, METRICS = "result.json", "metrics.jsonl"
WORDS = "The runs of a published report. Nothing starts or changes here: name another store with --store.\n"
PARTS = {"cells": (("table", "row", "column"),  # what names them, what must be the same, and of what in them
                   ("state", "n", "mean", "std", "interval", "values", "run_ids", "metric", "unit", "epoch", "base"),
                   "published", ("table", "row", "column", "value", "std", "difference", "interval", "verdict")),
         "claims": (("id",), ("verdict", "p", "adjusted_p"), "comparisons", ("n", "difference", "low", "high"))}
STOPPED = ("budget", "interrupted", "timeout")  # reasons of a state that are no fault of the run


@dataclass(frozen=True)
class Manifest:
    """The grids of kept results, as paths from their folder, and how they were asked for (`frozen.json`)."""

    grids: list[str]
    profile: str | None
    set: list[str]
    only: list[str]


@dataclass(frozen=True)
class Kept:
    """How many of the wanted runs were kept, and how many of those had been stopped early."""

    runs: int
    wanted: int
    early: int


def freeze(grids: Sequence[Grid], source: Store, out: Path, manifest: Manifest) -> Kept:
    """Keep what runs have reached, and the report, in the new folder `out`. Raises UserError if it is not new."""
    from suite.report.report import write_report

    target = Store(out / STORE)
    if target.root.exists():
        raise UserError("there are frozen runs already", str(target.root),
                        "name another folder with --out, or remove this one first")
    states = source.states(dict.fromkeys(run.run_id for grid in grids for run in grid.runs))
    kept = {run_id: name for run_id, state in states.items() if (name := _numbers(state))}
    if not kept:
        raise UserError("none of these runs is finished, nor stopped after an epoch", str(source.root),
                        "run them first")
    try:
        for run_id, name in kept.items():
            _keep(source, target, run_id, name)
        (target.root / FROZEN).write_text(WORDS, encoding="utf-8")
        (out / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n",
                                    encoding="utf-8")
    except OSError as error:
        raise atomic.explain(error) or error from None
    write_report(grids, target, out / "report", figures=False)
    return Kept(len(kept), len(states), list(kept.values()).count(METRICS))


def _numbers(state: RunState) -> str:
    """The file with the numbers of a run that is finished, or that was stopped after an epoch; else ''.

    Its whole epochs are what they are, whoever stopped it, or its limit of time. A run with epochs and no attempt was
    brought here by `merge` from frozen results, which keep no attempts.
    """
    brought = state.name == "partial" and not state.attempts and not state.detail
    if state.epochs and (brought or state.name == "cancelled" or state.reason in STOPPED):
        return METRICS
    return RESULT if state.name == "done" else ""


def _keep(source: Store, target: Store, run_id: str, numbers: str) -> None:
    """Copy of a run its configuration, numbers, and what it was computed with, less who started it where."""
    folder = target.folder(run_id)
    folder.mkdir(parents=True)
    for name in ("config.json", numbers):
        (folder / name).write_bytes((source.folder(run_id) / name).read_bytes())
    record = source.provenance(run_id)
    if record is not None:
        attempts = [{key: value for key, value in attempt.content().items() if key not in ("host", "command")}
                    for attempt in record.attempts]
        (folder / "provenance.json").write_bytes(atomic.seal({**record.content(), "attempts": attempts}))


@dataclass(frozen=True)
class Checked:
    """What differs between a kept report and what its store gives now, and the command that writes it again."""

    differences: list[str]
    command: str


def check(folder: Path) -> Checked:
    """Make a kept report again from its frozen store, and compare. Raises UserError."""
    from suite.report.report import write_report

    manifest = _manifest(folder)
    grids = [load_grid(folder / path, manifest.profile, manifest.set, manifest.only) for path in manifest.grids]
    with tempfile.TemporaryDirectory() as scratch:
        write_report(grids, Store(folder / STORE), Path(scratch), figures=False)
        found = list(_compare(folder / "report", Path(scratch)))
    return Checked(found, _anew(folder, manifest))


def _anew(folder: Path, manifest: Manifest) -> str:
    """The command that writes the kept report again, of the same choice of runs, as a shell reads it."""
    asked = [("--profile", [manifest.profile] if manifest.profile else []), ("--set", manifest.set),
             ("--only", manifest.only)]
    return shlex.join(["report", *(str(folder / path) for path in manifest.grids),
                       *(word for option, texts in asked for text in texts for word in (option, text)),
                       "--no-figures", "--store", str(folder / STORE), "--out", str(folder / "report")])


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError("there are no frozen results", str(path), "`freeze` makes them") from None
    except ValueError:
        raise UserError("is not JSON", str(path), "restore it from the repository") from None
    kinds: dict[str, Any] = {"grids": list, "profile": (str, type(None)), "set": list, "only": list}
    if not isinstance(content, dict) or not all(isinstance(content.get(key, ...), kind) for key, kind in kinds.items()):
        raise UserError(f"must have {', '.join(kinds)}", str(path), "restore it from the repository")
    return Manifest(**{key: content[key] for key in kinds})


def _compare(kept: Path, now: Path) -> Iterator[str]:
    """What differs: cells and claims, and files that are not as the report wrote them. Its wording may change."""
    names = sorted({path.name for folder in (kept, now) for path in folder.glob("*.cells.json")})
    for name in names:
        if not (kept / name).is_file() or not (now / name).is_file():
            yield f"{name}: only " + ("the store gives it" if (now / name).is_file() else "the report has it")
            continue
        content = _content(kept / name)
        yield from _compare_cells(name, content, _content(now / name))
        yield from _edited(kept, content)
    yield from _edited(kept, _content(kept / "index.json"))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise UserError("is not what a report wrote", str(path), "restore it from the repository")
    return content


def _edited(folder: Path, content: Mapping[str, Any]) -> Iterator[str]:
    for name, digest in content["files"].items():
        if sha256(folder / name) != digest:
            yield f"{name} is " + ("not as the report wrote it" if (folder / name).is_file() else "missing")


def _compare_cells(name: str, kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for part, (names, numbers, inner, of_inner) in PARTS.items():
        before, after = ({", ".join(str(one.get(key)) for key in names): one for one in content.get(part, ())}
                         for content in (kept, now))
        for which in dict.fromkeys([*before, *after]):
            one, other = before.get(which), after.get(which)
            if one is None or other is None:
                yield f"{name}: {part[:-1]} {which}: only " + ("the store gives it" if other else "the report has it")
                continue
            told = _differences(one, other, numbers)
            none: dict[str, Any] = {}
            for a, b in zip_longest(one.get(inner, ()), other.get(inner, ()), fillvalue=none):
                told += [f"{inner} {words}" for words in _differences(a, b, of_inner)]
            if told:
                yield f"{name}: {part[:-1]} {which}: {'; '.join(told)}"
    if kept.get("profile") != now.get("profile"):
        yield f"{name}: profile {kept.get('profile')}, now {now.get('profile')}"


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    return [f"{key} {one.get(key)!r}, now {other.get(key)!r}" for key in keys if not same(one.get(key), other.get(key))]


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, numbers up to a rounding of the last places."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)
