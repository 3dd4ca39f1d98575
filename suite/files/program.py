"""The name of this program, for messages that name a command."""

from __future__ import annotations

import shlex
import shutil
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
    called = Path(sys.argv[0]).name == SCRIPT
    return f"{_python()} {shlex.quote(sys.argv[0])}" if called else f"python {SCRIPT}"


def from_anywhere() -> str:
    """What to type before a verb, in any folder."""
    if name() == INSTALLED:
        return INSTALLED
    return f"{_python(anywhere=True)} {shlex.quote(str(Path(sys.argv[0]).absolute()))}"


def _python(anywhere: bool = False) -> str:
    """`python`, or the path of this Python if it is in a virtual environment that is not activated."""
    found, own = shutil.which("python"), Path(sys.executable)
    if sys.prefix == sys.base_prefix or (found and Path(found).parent.resolve() == own.parent.resolve()):
        return "python"
    inside = not anywhere and own.is_relative_to(Path.cwd())
    return shlex.quote(str(own.relative_to(Path.cwd()) if inside else own))
