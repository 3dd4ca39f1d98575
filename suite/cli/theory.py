"""The command theory: the paper's theorems in numbers."""

from __future__ import annotations

from pathlib import Path

from suite.cli.other_requests import WriteRequest
from suite.files.output import check_folder, write_file
from suite.theory.section import NAME, section


def write(request: WriteRequest) -> int:
    """Print the section, and write it below `request.out`. Raises UserError if that cannot be written."""
    check_folder(request.out)
    text = section()
    write_file(request.out, NAME, text.encode())
    print(f"{text}\n  {request.out / Path(NAME)}")
    return 0
