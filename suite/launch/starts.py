"""The starts of a job, which SLURM may start several times: `<store>/slurm/logs/<job>.starts`, one on each line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from suite.files.record import Record


class Start(Record):
    """One start of a job, and the step that each of its runs had reached."""

    job: str
    restarts: int
    host: str = ""
    when: str = ""
    progress: dict[str, int]


def read(path: Path) -> list[Start]:
    """The recorded starts, the oldest first. Lines that were not written whole are left out."""
    lines: list[str] = []
    with suppress(FileNotFoundError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    noted = []
    for line in lines:
        with suppress(ValueError):  # half a line
            noted.append(Start.model_validate_json(line))
    return noted


def add(path: Path, start: Start) -> None:
    """Record a start."""
    with path.open("a", encoding="utf-8") as file:
        file.write(start.model_dump_json() + "\n")
