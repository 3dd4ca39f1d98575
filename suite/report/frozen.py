"""Archived results, `results/<name>/{store,report}`: small, read-only for `run`, and checked by tests.

`freeze` copies the finished runs of grids, and the runs that were stopped after an epoch, without checkpoints and logs,
and writes their report. `check` renders that report again from the frozen store and compares the two. `frozen.json`
names the grids and the options that selected their runs.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from pydantic import ValidationError

from suite.errors import UserError
from suite.files import atomic
from suite.grid.expand import load_grid
from suite.grid.model import Grid
from suite.report.added import with_added
from suite.report.records import CellRecord, ClaimRecord, IndexRecord, ReportRecord, read_record, to_bytes
from suite.report.records import Manifest as Manifest
from suite.report.saved import Saved, sha256
from suite.store import declaration
from suite.store.folder import FROZEN, MANIFEST, OUTCOMES, STORE, read_config
from suite.store.state import RunState
from suite.store.store import Store
from suite.store.versions import as_kept

RESULT, METRICS = "result.json", "metrics.jsonl"
WORDS = "The runs of a published report. Nothing starts or changes here: name another store with --store.\n"
STOPPED = ("budget", "interrupted", "timeout")  # reasons of a state that do not make its epochs invalid


@dataclass(frozen=True)
class Compared:
    """What `check` compares: records with the same `names` must have the same `fields`.

    `inner` is the field that holds nested records, whose `inner_fields` must be the same.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...]
    inner: str
    inner_fields: tuple[str, ...]


CELLS = Compared(
    ("table", "row", "column"),
    ("state", "n", "mean", "std", "interval", "values", "run_ids", "metric", "unit", "epoch", "base",
     "over_examples"),
    "published", ("table", "row", "column", "value", "std", "difference", "interval", "verdict"))
CLAIMS = Compared(("id",), ("verdict", "p", "adjusted_p"), "comparisons",
                  ("n", "difference", "low", "high", "over_examples"))


@dataclass(frozen=True)
class Kept:
    """The number of `runs` that were kept of those `wanted`, and how many of them had been stopped early."""

    runs: int
    wanted: int
    early: int


def freeze(grids: Sequence[Grid], source: Store, out: Path, manifest: Manifest) -> Kept:
    """Copy the results of runs and their report into the new folder `out`.

    Raises UserError if `out` has frozen runs already, or if no run has finished an epoch.
    """
    from suite.report.report import write_report

    target = Store(out / STORE)
    if target.root.exists():
        raise UserError("there are frozen runs already", str(target.root),
                        "name another folder with --out, or remove this one first")
    states = source.states(dict.fromkeys(run.run_id for grid in grids for run in grid.runs))
    kept = {run_id: name for run_id, state in states.items() if (name := _numbers(state))}
    if not kept:
        raise UserError("none of these runs is finished or was stopped after an epoch", str(source.root),
                        "run them first")
    for run_id in kept:
        _check_config(source.folder(run_id))  # before anything is written
    try:
        for run_id, name in kept.items():
            _keep(source, target, run_id, name)
        declaration.copy(source.root, target.root)
        (target.root / FROZEN).write_text(WORDS, encoding="utf-8")
        (out / MANIFEST).write_bytes(to_bytes(manifest))
    except OSError as error:
        raise atomic.explain(error) or error from None
    write_report(grids, target, out / "report", figures=False)
    return Kept(len(kept), len(states), list(kept.values()).count(METRICS))


def _numbers(state: RunState) -> str:
    """The file with the numbers of a run that is finished, or was stopped after an epoch. Returns "" for other runs.

    The completed epochs of a stopped run are valid. A run with epochs and without attempts was copied by `merge` from
    frozen results, which keep no attempts.
    """
    merged = state.name == "partial" and not state.attempts and not state.detail
    if state.epochs and (merged or state.name == "cancelled" or state.reason in STOPPED):
        return METRICS
    return RESULT if state.name == "done" else ""


def _check_config(folder: Path) -> None:
    """Raises UserError if the configuration of a run is missing, or belongs to another run."""
    try:
        read_config(folder)
    except UserError as error:
        problem = error.problems[0]
        raise UserError(problem.what, problem.where, "restore the file from a copy of the store, or run the grid "
                        "again with another --store") from None


def _keep(source: Store, target: Store, run_id: str, numbers: str) -> None:
    """Copy the configuration, the numbers and the provenance of a run, without host names and command lines."""
    folder = target.folder(run_id)
    folder.mkdir(parents=True)
    for name in ("config.json", numbers, OUTCOMES):
        if name != OUTCOMES or (source.folder(run_id) / name).exists():  # earlier releases recorded none
            (folder / name).write_bytes((source.folder(run_id) / name).read_bytes())
    record = source.provenance(run_id)
    if record is not None:
        attempts = [{key: value for key, value in attempt.content().items() if key not in ("host", "command")}
                    for attempt in record.attempts]
        (folder / "provenance.json").write_bytes(atomic.seal({**record.content(), "attempts": attempts}))


@dataclass(frozen=True)
class Checked:
    """The differences between a kept report and one made now from its store, and the command that writes it again."""

    differences: list[str]
    command: str


def check(folder: Path) -> Checked:
    """Make a kept report again from its frozen store and compare the two.

    Raises UserError if the folder has no frozen results, or if a file in it is damaged.
    """
    from suite.report.report import write_report

    manifest = _manifest(folder)
    store = Store(folder / STORE)
    grids = [as_kept(load_grid(folder / path, manifest.profile, manifest.set, manifest.only, manifest.seeds), store)
             for path in manifest.grids]
    with tempfile.TemporaryDirectory() as scratch:
        write_report(with_added(grids, store), store, Path(scratch), figures=False)
        found = list(_compare(folder / "report", Path(scratch)))
    return Checked(found, _command(folder, manifest))


def _command(folder: Path, manifest: Manifest) -> str:
    """The shell command that writes the kept report again, for the same selection of runs."""
    options = [("--profile", [manifest.profile] if manifest.profile else []), ("--set", manifest.set),
             ("--only", manifest.only), ("--seeds", [str(manifest.seeds)] if manifest.seeds else [])]
    return shlex.join(["report", *(str(folder / path) for path in manifest.grids),
                       *(word for option, texts in options for text in texts for word in (option, text)),
                       "--no-figures", "--store", str(folder / STORE), "--out", str(folder / "report")])


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        return read_record(Manifest, path.read_bytes())
    except FileNotFoundError:
        raise UserError("there are no frozen results", str(path), "`freeze` makes them") from None
    except ValidationError as error:
        broken = error.errors()[0]["type"] == "json_invalid"
        raise UserError("is not JSON" if broken else "must have grids, profile, set, only", str(path),
                        "restore it from the repository") from None


def _compare(kept: Path, now: Path) -> Iterator[str]:
    """Cells and claims that differ, and files that were edited. Changes of wording are not compared."""
    names = sorted({path.name for folder in (kept, now) for path in folder.glob("*.cells.json")})
    for name in names:
        if not (kept / name).is_file() or not (now / name).is_file():
            yield f"{name}: only " + ("the store gives it" if (now / name).is_file() else "the report has it")
            continue
        before, after = _record(ReportRecord, kept / name), _record(ReportRecord, now / name)
        yield from _compare_records(f"{name}: cell", CELLS, before.cells, after.cells)
        yield from _compare_records(f"{name}: claim", CLAIMS, before.claims, after.claims)
        if before.profile != after.profile:
            yield f"{name}: profile {before.profile}, now {after.profile}"
        yield from _edited(kept, before)
    yield from _edited(kept, _record(IndexRecord, kept / "index.json"))


def _record(kind: type[Saved], path: Path) -> Saved:
    try:
        return read_record(kind, path.read_bytes())
    except (FileNotFoundError, ValueError):
        raise UserError("is not what a report wrote", str(path), "restore it from the repository") from None


def _edited(folder: Path, record: ReportRecord | IndexRecord) -> Iterator[str]:
    for name, digest in record.files.items():
        if sha256(folder / name) != digest:
            yield f"{name} is " + ("not as the report wrote it" if (folder / name).is_file() else "missing")


def _compare_records(what: str, compared: Compared, kept: Sequence[CellRecord | ClaimRecord],
                     now: Sequence[CellRecord | ClaimRecord]) -> Iterator[str]:
    before, after = ({", ".join(str(getattr(one, name)) for name in compared.names): one for one in records}
                     for records in (kept, now))
    for which in dict.fromkeys([*before, *after]):
        one, other = before.get(which), after.get(which)
        if one is None or other is None:
            yield f"{what} {which}: only " + ("the store gives it" if other else "the report has it")
            continue
        changes = _differences(one, other, compared.fields)
        for a, b in zip_longest(getattr(one, compared.inner), getattr(other, compared.inner)):
            changes += [f"{compared.inner} {words}" for words in _differences(a, b, compared.inner_fields)]
        if changes:
            yield f"{what} {which}: {'; '.join(changes)}"


def _differences(one: object | None, other: object | None, fields: Iterable[str]) -> list[str]:
    """The fields that differ. The fields of a missing record count as None."""
    pairs = [(name, one and getattr(one, name), other and getattr(other, name)) for name in fields]
    return [f"{name} {a!r}, now {b!r}" for name, a, b in pairs if not same(a, b)]


def same(one: object, other: object) -> bool:
    """Whether two values are equal; numbers up to rounding errors (relative 1e-9)."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)
