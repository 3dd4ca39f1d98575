"""The command init: creates a new study, which runs as is and can be edited."""

from __future__ import annotations

import shlex
from pathlib import Path

from suite.cli.other_requests import InitRequest
from suite.errors import UserError
from suite.files import resources


def init(request: InitRequest) -> int:
    """Copy the suite's example study, and print how to run it. Raises UserError if a file exists."""
    source = resources.folder("study")
    files = {path: request.folder / path.relative_to(source) for path in _files(source)}
    there = [target for target in files.values() if target.exists() or target.is_symlink()]
    if there:
        raise UserError(f"would be overwritten: {', '.join(str(path.relative_to(request.folder)) for path in there)}",
                        str(request.folder), "choose another folder")
    try:
        for path, target in files.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    except OSError as error:
        raise UserError(f"the study cannot be written: {error.strerror}", str(error.filename or request.folder),
                        "choose a writable folder") from error
    print("\n".join(f"wrote {target}" for target in files.values()))
    print(f"\ncd {shlex.quote(str(request.folder))}\n{request.command} plan grids/mine.yaml\n"
          f"{request.command} grids/mine.yaml")
    return 0


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts
                  and path.suffix in (".yaml", ".py", ".md"))
