"""The command theory: the paper's theorems in numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from suite.files.output import write_file
from suite.theory.section import NAME, section


def write(args: argparse.Namespace) -> int:
    """Print the section and write it below `args.out`. Raises UserError where that cannot be written."""
    text = section()
    write_file(args.out, NAME, text.encode())
    print(f"{text}\n  {args.out / Path(NAME)}")
    return 0
