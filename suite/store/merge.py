"""The verb merge: copies the runs of one store into another. The same id is the same run.

If both stores have a run, the copy that is further wins, and the other goes to the trash. Two different results are
reported, and both are kept. Each run is copied aside and put in place by one rename, so a merge that was killed can
simply be run again.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from suite.config.rows import Row
from suite.errors import UserError
from suite.files import atomic
from suite.files.clutter import files_in
from suite.store import attempt, declaration, requests, trash
from suite.store.folder import MANIFEST, STORE, check_folder, check_writable, checkpoints, read_config
from suite.store.state import RunState, State
from suite.store.store import Store

ASIDE = "merging"  # folder of the target for unfinished copies, `<run>-<pid>-<start time>`
STILL_S = 6.0  # a run of another machine without a heartbeat for this long is copied as it is
NEW, SAME, BEHIND, NOTHING = "new", "the same in both", "not further in the source", "not started in the source"
AHEAD = "further in the source; the target's copy is in the trash"
TWICE = "measured in both; the target's is kept"
CONFLICT = "conflict: the results of the two stores differ; nothing was changed"


WELL = {NEW, SAME, BEHIND, NOTHING, AHEAD, TWICE}


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge: the ids of its runs, by what happened to them in words."""

    source: Path
    target: Path
    outcomes: Mapping[str, list[str]]

    @property
    def is_complete(self) -> bool:
        """Whether no run was left out or is in conflict."""
        return self.outcomes.keys() <= WELL


def merge(source_folder: Path, target_folder: Path) -> Merged:
    """Copy the runs of one store, or of a folder made by `freeze`, into another. Raises UserError."""
    source, target = _source(source_folder), Store(target_folder)
    if source.root.resolve() == target.root.resolve():
        raise UserError("a store cannot be merged into itself", str(target.root))
    check_writable(target.root)
    outcomes: dict[str, list[str]] = {}
    try:
        target.root.mkdir(parents=True, exist_ok=True)
        _clean(target.root / ASIDE)
        requests.copy(source.root, target.root)
        declaration.copy(source.root, target.root)
        _copy_patches(source.root, target.root)
        alive = _alive(source)
        for run_id in source.run_ids():
            outcomes.setdefault(_bring(run_id, source, target, alive), []).append(run_id)
        with suppress(OSError):  # another process may be merging too
            (target.root / ASIDE).rmdir()
    except OSError as error:
        raise atomic.explain(error) or error from None
    return Merged(source.root, target.root, outcomes)


def _source(folder: Path) -> Store:
    """The source: the folder, or the store in it if `freeze` made it. Raises UserError if it has no run.

    An empty store is an error, since most likely the wrong folder was named.
    """
    source = Store(folder / STORE if (folder / MANIFEST).is_file() else folder)
    fix = "name a folder of runs, as runs, or one that `freeze` has made, as results/quickstart"
    if not source.root.is_dir():
        raise UserError("there is no such store", str(source.root), fix)
    if not source.run_ids():
        raise UserError("it has no runs", str(source.root), fix)
    return source


class Decision(StrEnum):
    """What to do with a run of the source."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
    TAKE = "take"
    KEEP = "keep"


@dataclass(frozen=True, order=True)
class Reach:
    """How far a run is. Instances are ordered: further is greater. `step` is that of its newest checkpoint."""

    done: bool
    epochs: int
    step: int = 0


def compare(mine: Reach, theirs: Reach, equal: bool) -> Decision:
    """What to do with a run that both stores have. `mine`: of the target; `equal`: both have the same numbers."""
    if mine.done and theirs.done:
        return Decision.SAME if equal else Decision.CONFLICT
    return Decision.TAKE if theirs > mine else Decision.KEEP


def _bring(run_id: str, source: Store, target: Store, alive: set[str]) -> str:
    """Merge one run. Returns what happened to it, as a heading."""
    theirs, folder = source.state(run_id), source.folder(run_id)
    if theirs.name == State.UNKNOWN:
        return f"cannot be read: {theirs.detail}"
    if theirs.name == State.TODO:
        return NOTHING
    if run_id in alive:
        return "still running in the source; merge again when they have ended"
    try:
        read_config(folder)
        _check_plain(folder)
    except UserError as error:
        return f"left out: {error.problems[0].what}"
    while True:
        there = target.folder(run_id).exists()  # before its state: a folder that appears in between must not seem empty
        mine = target.state(run_id)
        check_folder(target.folder(run_id))
        if not there:
            decision = Decision.NEW
        else:
            equal = _numbers(source, run_id) == _numbers(target, run_id)
            decision = compare(_reach(target, run_id, mine), _reach(source, run_id, theirs), equal)
        if decision == Decision.CONFLICT:
            bench = read_config(folder).kind == "bench"  # measured twice: both are valid, and one is enough
            return TWICE if bench else CONFLICT
        if decision not in (Decision.NEW, Decision.TAKE):
            return SAME if decision == Decision.SAME else BEHIND
        if mine.is_held:
            return "still running in the target; merge again when they have ended"
        if _put(folder, target, run_id, decision == Decision.TAKE):
            return NEW if decision == Decision.NEW else AHEAD


def _put(folder: Path, target: Store, run_id: str, replace: bool) -> bool:
    """Copy a run into the target. With `replace`, first move the target's copy to the trash. Returns whether it
    succeeded: False if another process was faster."""
    own = f"{run_id}-{os.getpid()}-{attempt.process_start(os.getpid())}"
    aside = target.root / ASIDE / own
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _copy(folder, aside)
        if replace and trash.move(target, run_id, target.state(run_id)) is None:
            return False
        aside.rename(target.folder(run_id))  # fails if there is a folder that is not empty
    except FileNotFoundError:  # the owner of the source's run has just replaced a checkpoint
        return False
    except OSError:
        if not replace and target.folder(run_id).exists():
            return False
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _copy(folder: Path, aside: Path) -> None:
    """Copy a run and flush it to disk: in a power failure, the rename must not survive without the content."""
    shutil.copytree(folder, aside, ignore=lambda _, names: [name for name in names if atomic.ASIDE.fullmatch(name)])
    for path in [*aside.rglob("*"), aside]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check_plain(folder: Path) -> None:
    """Raises UserError if anything in a run's folder is neither a file nor a folder: a link may lead anywhere."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UserError(f"{path.relative_to(folder)} in it is not a plain file", str(path))


def _reach(store: Store, run_id: str, state: RunState) -> Reach:
    if state.name == State.DONE:
        return Reach(True, state.epochs)
    return Reach(False, state.epochs, max((step for step, _ in checkpoints(store.folder(run_id))), default=0))


def _numbers(store: Store, run_id: str) -> list[Row]:
    """The rows of a run without their times."""
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in store.rows(run_id)]


def _alive(source: Store) -> set[str]:
    """Runs of the source that are running: on this machine judged by process, elsewhere by heartbeat."""
    def beats() -> dict[str, attempt.Tenure]:
        claimed = (run_id for run_id, state in source.states(source.run_ids()).items() if state.name == State.CLAIMED)
        found = ((run_id, attempt.latest(source.folder(run_id))) for run_id in claimed)
        return {run_id: tenure for run_id, tenure in found if tenure is not None}

    before = beats()
    if any(tenure.status == attempt.Status.ELSEWHERE for tenure in before.values()):
        time.sleep(STILL_S)
    return {run_id for run_id, tenure in beats().items() if tenure.status == attempt.Status.ALIVE
            or run_id not in before or tenure.pulse != before[run_id].pulse}


def _copy_patches(source: Path, target: Path) -> None:
    for path in files_in(source / "patches", "*.patch"):
        if path.is_file() and not path.is_symlink() and not (target / "patches" / path.name).exists():
            (target / "patches").mkdir(exist_ok=True)
            atomic.create(target / "patches" / path.name, path.read_bytes(), atomic.nobody())


def _clean(aside: Path) -> None:
    """Remove runs half-copied by merges of this machine that have died."""
    for path in aside.glob("*-*-*") if aside.is_dir() and not aside.is_symlink() else ():
        _, pid, started = path.name.rsplit("-", 2)
        if not pid.isdecimal() or str(attempt.process_start(int(pid))) != started:
            shutil.rmtree(path, ignore_errors=True)
