"""The command theory: checks the paper's theorems numerically."""

from __future__ import annotations

from pathlib import Path

from suite.cli.other_requests import WriteRequest
from suite.files.output import check_folder, write_file
from suite.theory.section import NAME, section


def write(request: WriteRequest) -> int:
    """Print the section, and write it to `request.out`. Raises UserError if the folder cannot be written to."""
    check_folder(request.out)
    text = section()
    write_file(request.out, NAME, text.encode())
    print(f"{text}\n  {request.out / Path(NAME)}")
    return 0
