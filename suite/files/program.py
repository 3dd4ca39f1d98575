"""The name of this program, for messages that name a command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from suite.files import resources

SCRIPT, INSTALLED = "run_grid.py", "s4d-suite"


def name() -> str:
    """The plain name, as in a usage line: of the installed command, or of the script in a clone."""
    called = Path(sys.argv[0])
    return INSTALLED if called.stem == INSTALLED or (called.name != SCRIPT and resources.is_installed()) else SCRIPT


def typed() -> str:
    """What to type before a verb, in the folder where this command was typed.

    In a process that was started in another way (a notebook, a job): what to type in the clone's folder.
    """
    if name() == INSTALLED:
        return INSTALLED
    return f"python {shlex.quote(sys.argv[0])}" if Path(sys.argv[0]).name == SCRIPT else f"python {SCRIPT}"


def from_anywhere() -> str:
    """What to type before a verb, in any folder."""
    return INSTALLED if name() == INSTALLED else f"python {shlex.quote(str(Path(sys.argv[0]).absolute()))}"
