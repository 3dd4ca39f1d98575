"""The starts of a job, which SLURM may requeue: `<store>/slurm/logs/<job>.starts`, one start per line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from suite.files.record import Record


class Start(Record):
    """A start of a job, with the step that each run had reached. `restarts`: how often SLURM had restarted the job."""

    job: str
    restarts: int
    host: str = ""
    when: str = ""
    progress: dict[str, int]


def read(path: Path) -> list[Start]:
    """Returns the recorded starts, oldest first. Incomplete lines are left out."""
    lines: list[str] = []
    with suppress(FileNotFoundError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    noted = []
    for line in lines:
        with suppress(ValueError):  # an incomplete line
            noted.append(Start.model_validate_json(line))
    return noted


def add(path: Path, start: Start) -> None:
    """Append a start to the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(start.model_dump_json() + "\n")
