"""The store of runs: one folder for each run. Reading never writes, and needs neither torch nor pandas.

    <store>/<run id>/  config.json  metrics.jsonl  result.json  outcomes.npz  checkpoint-*.pt  provenance.json  log.txt
                       attempts/

A run is done if `result.json` is intact. Every other state follows from the newest attempt (`suite.store.attempt`).
"""

from __future__ import annotations

import hashlib
import os
import re
import statistics
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from suite.config.rows import Row
from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.files import atomic
from suite.store import start_failure
from suite.store.attempt import latest
from suite.store.folder import OUTCOMES, check_folder, is_intact, link_in, read_head, read_result, read_rows
from suite.store.migrate import SCHEMA
from suite.store.records import Head, Provenance, Result
from suite.store.state import RunState, State, one_line, state_of

if TYPE_CHECKING:
    from suite.config.outcomes import Outcomes

RUN_ID = re.compile(r"[0-9a-f]{16}")


class Store:
    """The runs in a folder, which need not exist yet. Raises UserError if its path contains a line break."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if {"\n", "\r"} & set(str(self.root)):
            raise UserError(f"the store's path {str(self.root)!r} contains a line break", "--store",
                            "name a folder without one")
        self._heads: dict[str, tuple[tuple[int, int, int], Head]] = {}  # results read so far, without their rows

    def folder(self, run_id: str) -> Path:
        """The folder of a run. Raises ValueError if this is not a run id."""
        if not RUN_ID.fullmatch(run_id):
            raise ValueError(f"{run_id!r} is not a run's id")
        return self.root / run_id

    def states(self, wanted: Iterable[RunConfig | str]) -> dict[str, RunState]:
        """The state of each run, by id. As `state`, but one listing of the store finds all runs without a folder."""
        ids = [item if isinstance(item, str) else item.run_id for item in wanted]
        there, starts = self._folders(), start_failure.run_ids(self.root)
        states = {run_id: self._state(self.root / run_id, there[run_id]) if run_id in there else RunState(State.TODO)
                  for run_id in ids}
        return states | {run_id: self._with_start(run_id, states[run_id]) for run_id in starts & states.keys()}

    def run_ids(self) -> list[str]:
        """The ids of all runs that have a folder here, sorted. Raises UserError if the store is not a folder."""
        return sorted(self._folders())

    def _folders(self) -> dict[str, bool]:
        """The runs that have a folder here, and whether it is a symbolic link."""
        try:
            with os.scandir(self.root) as entries:
                return {entry.name: entry.is_symlink() for entry in entries if RUN_ID.fullmatch(entry.name)}
        except FileNotFoundError:
            if self.root.is_symlink():
                raise UserError(f"is a link to {self.root.readlink()}, which does not exist", str(self.root),
                                "make that folder, or name another one with --store") from None
            return {}
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", str(self.root), "name a folder with --store") from None

    def state(self, run_id: str) -> RunState:
        """The state of one run, derived from its files."""
        folder = self.folder(run_id)
        return self._with_start(run_id, self._state(folder, folder.is_symlink()))

    def rows(self, run_id: str) -> list[Row]:
        """One row for each finished epoch: from the result if it exists, else from the metrics so far."""
        result = self.result(run_id)
        return result.rows if result is not None else read_rows(self.folder(run_id))[0]

    def result(self, run_id: str) -> Result | None:
        """The result of a finished run. None if it does not exist or is damaged.

        Raises UserError if its version is newer.
        """
        try:
            return read_result(self.folder(run_id))
        except (FileNotFoundError, NotADirectoryError, atomic.Corrupt):
            return None

    def provenance(self, run_id: str) -> Provenance | None:
        """What a run was computed with (`suite.store.provenance`). None if the record does not exist or is damaged."""
        try:
            return Provenance.read(self.folder(run_id) / "provenance.json")
        except (FileNotFoundError, NotADirectoryError, atomic.Corrupt):
            return None

    def outcomes(self, run_id: str) -> Outcomes:
        """The outcome of each example at a run's best and last epoch. Empty if it was not recorded, or is damaged."""
        from suite.config.outcomes import decode  # here, since it needs NumPy

        folder = self.folder(run_id)
        with suppress(OSError, ValueError, atomic.Corrupt, UserError):
            data = atomic.read_bytes(folder / OUTCOMES)
            digest = self._head(folder).outcomes if (folder / "result.json").exists() else None
            if digest in (None, hashlib.sha256(data).hexdigest()):
                return decode(data)
        return {}

    def log(self, run_id: str) -> Path:
        """The file with all output of a run's attempts."""
        return self.folder(run_id) / "log.txt"

    def prices(self) -> dict[str, float]:
        """Median seconds per epoch over all results of the store, by shape."""
        seconds: dict[str, list[float]] = {}
        for run_id in self.run_ids():
            with suppress(OSError, atomic.Corrupt, UserError):  # no readable result, no time
                head = self._head(self.folder(run_id))
                if head.seconds_per_epoch is not None:
                    seconds.setdefault(head.shape, []).append(head.seconds_per_epoch)
        return {shape: statistics.median(values) for shape, values in seconds.items()}

    def add(self, config: RunConfig) -> Path:
        """Make a run's folder and its `config.json`, unless they exist. Raises UserError, OSError."""
        folder = self.folder(config.run_id)
        check_folder(folder)
        content = {"config": config.model_dump(mode="json"), "schema": SCHEMA}
        while not is_intact(folder / "config.json"):
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # an owner that begins removes files that are not yet in place
                atomic.create(folder / "config.json", atomic.seal(content), atomic.nobody())
        return folder

    def _with_start(self, run_id: str, state: RunState) -> RunState:
        """The state with the failure of its last start, unless an attempt has begun since then."""
        if state.name in (State.DONE, State.CLAIMED, State.CANCELLED):
            return state
        failed = start_failure.read(self.root, run_id)
        if failed is None or failed.attempts != state.attempts or state.failed_for_good:
            return state
        return replace(state, start=failed, detail=failed.words)

    def _state(self, folder: Path, link: bool) -> RunState:
        if link:
            return RunState(State.UNKNOWN, detail=f"{folder.name} is a symbolic link, which is not followed")
        try:
            return self._look(folder)
        except OSError as error:
            return RunState(State.UNKNOWN, detail=f"cannot be read: {error.strerror}")

    def _look(self, folder: Path) -> RunState:
        damage = ""
        try:
            head = self._head(folder)
            return RunState(State.DONE, epochs=head.epochs, attempts=head.attempts)
        except atomic.Corrupt as error:
            damage = f"{error}; the next start repairs it"
        except UserError as error:
            return RunState(State.UNKNOWN, detail=one_line(error))
        except FileNotFoundError:
            pass
        if (link := link_in(folder)) is not None:
            return RunState(State.UNKNOWN, detail=f"{link.name} is a symbolic link, which is not followed")
        tenure = latest(folder)
        rows, problem = read_rows(folder)
        damage = damage or (f"{problem}; the next start repairs it" if problem else "")
        if tenure is None:
            return RunState(State.PARTIAL if rows or damage else State.TODO, epochs=len(rows), detail=damage)
        if (folder / "result.json").exists() and not damage:  # it was written since the first look
            return self._look(folder)
        return state_of(tenure, len(rows), damage)

    def _head(self, folder: Path) -> Head:
        """A result without its rows. Raises FileNotFoundError, Corrupt."""
        path = folder / "result.json"
        stat = path.stat()
        stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        known = self._heads.get(folder.name)
        if known is None or known[0] != stamp:
            known = self._heads[folder.name] = (stamp, read_head(path))
        return known[1]
