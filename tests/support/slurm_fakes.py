"""A cluster that is not there: commands of SLURM that only take notes (`fake_slurm/`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMANDS = Path(__file__).parent / "fake_slurm"


@dataclass(frozen=True)
class Fake:
    """The folder in which the commands take their notes."""

    folder: Path

    def set(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def drop(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def scripts(self) -> dict[str, str]:
        """Number of each array that was submitted, with its script."""
        return {path.stem: path.read_text() for path in sorted(self.folder.glob("*.sh"))}

    def state(self, label: str, state: str, reason: str = "None") -> None:
        """Change what the queue says of a job; with "" it is gone."""
        number, _, task = label.partition("_")
        rows = [row.split("|") for row in self.lines("queue")]
        rows = [[*row[:3], state, reason] if row[:2] == [number, task] else row for row in rows]
        self.set("queue", "".join("|".join(row) + "\n" for row in rows if row[3]))


@pytest.fixture(name="cluster")
def fake_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    folder = tmp_path / "slurm"
    folder.mkdir()
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.setenv("PATH", f"{COMMANDS}{os.pathsep}{os.environ['PATH']}")
    return Fake(folder)
